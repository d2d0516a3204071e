/** Writing and reading the frame of a record; its layout is drawn in `layout.ts`. */
import { invariant, partitionName } from '@millrace/core'
import { decodePayload } from '../admission.ts'
import { logErrors } from '../errors.ts'
import type { LogRecord, NewEvent, SealedPart } from '../log.ts'
import { createBytes, readKey, readText, writeText } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import type { Group } from './group.ts'
import { FLAG, KIND, RECORD_HEADER_BYTES, TEXT_HEADER_BYTES, padded } from './layout.ts'
import type { NameSpace, NameTable } from './names.ts'

/** The numbers of a record's header. One object is reused for all records of a log. */
export interface RecordHead {
  stream: number
  partition: number
  type: number
  tenant: number
  definition: number
  isUnique: boolean
  offset: number
  ingestTimeMs: number
  watermarkMs: number
}

/** Frames a record at the end of the group. `text` is the JSON of its data when the event has no payload. */
export function writeRecord(
  group: Group,
  head: RecordHead,
  event: NewEvent,
  text: string | undefined,
): void {
  const { payload, keys, headers, sealed } = event
  const hasExtras = keys !== undefined || headers !== undefined || sealed !== undefined
  const headerText = headers === undefined ? '' : JSON.stringify(headers)
  const payloadBytesMax = text === undefined ? (payload as Uint8Array).length : text.length * 3
  group.reserve(
    RECORD_HEADER_BYTES +
      3 * (event.key.length + event.id.length) +
      (hasExtras ? extrasBytesMax(event, headerText) : 0) +
      payloadBytesMax +
      8,
  )
  const { u8, u16, u32, f64 } = group.bytes
  const start = group.at
  const keyStart = start + RECORD_HEADER_BYTES
  const keyBytes = writeText(u8, keyStart, event.key)
  const idBytes = writeText(u8, keyStart + keyBytes, event.id)
  let at = keyStart + keyBytes + idBytes
  const extrasAt = at
  if (hasExtras) at = writeExtras(u8, at, event, headerText)
  const payloadStart = at
  if (text === undefined) {
    u8.set(payload as Uint8Array, at)
    at += payloadBytesMax
  } else {
    at += u8.write(text, at, 'utf8')
  }
  const end = padded(at)
  for (let zero = at; zero < end; zero++) u8[zero] = 0
  const word = start >> 2
  const half = start >> 1
  const double = start >> 3
  u32[word] = end - start
  u32[word + 1] = KIND.record
  u8[start + 5] = flagsOf(event, head.isUnique)
  u16[half + 3] = head.stream
  u16[half + 4] = head.partition
  u16[half + 5] = head.type
  u32[word + 3] = head.tenant
  u16[half + 8] = head.definition
  u16[half + 9] = keyBytes
  u16[half + 10] = idBytes
  u16[half + 11] = 0
  u32[word + 6] = event.generation ?? 0
  u32[word + 7] = payloadStart - extrasAt
  u32[word + 8] = at - payloadStart
  u32[word + 9] = 0
  f64[double + 5] = head.offset
  f64[double + 6] = event.eventTimeMs
  f64[double + 7] = head.ingestTimeMs
  f64[double + 8] = head.watermarkMs
  group.at = end
}

function flagsOf(event: NewEvent, isUnique: boolean): number {
  let flags = 0
  if (event.isHistory === true) flags |= FLAG.history
  if (event.isEnvelope === true && event.payload !== undefined) flags |= FLAG.envelope
  if (event.sealed !== undefined) flags |= FLAG.sealed
  if (event.headers !== undefined) flags |= FLAG.headers
  if (event.keys !== undefined) flags |= FLAG.keys
  if (isUnique) flags |= FLAG.unique
  return flags
}

/** The most bytes that the extras of an event take. */
function extrasBytesMax({ keys, headers, sealed }: NewEvent, headerText: string): number {
  let bytes = 0
  if (keys !== undefined) {
    bytes += 2
    for (const key of keys) bytes += 2 + 3 * key.length
  }
  if (headers !== undefined) bytes += 4 + 3 * headerText.length
  if (sealed !== undefined) bytes += 6 + 3 * sealed.person.length + sealed.bytes.length
  return bytes
}

/** Writes the extras of an event, for which there is room; returns where they end. */
function writeExtras(u8: Buffer, start: number, event: NewEvent, headerText: string): number {
  const { keys, headers, sealed } = event
  let at = start
  if (keys !== undefined) {
    u8.writeUInt16LE(keys.length, at)
    at += 2
    for (const key of keys) at = writeShort(u8, at, key)
  }
  if (headers !== undefined) {
    const length = u8.write(headerText, at + 4, 'utf8')
    u8.writeUInt32LE(length, at)
    at += 4 + length
  }
  if (sealed !== undefined) {
    at = writeShort(u8, at, sealed.person)
    u8.writeUInt32LE(sealed.bytes.length, at)
    u8.set(sealed.bytes, at + 4)
    at += 4 + sealed.bytes.length
  }
  return at
}

function writeShort(u8: Buffer, at: number, text: string): number {
  const length = writeText(u8, at + 2, text)
  u8[at] = length & 0xff
  u8[at + 1] = length >>> 8
  return at + 2 + length
}

interface Extras {
  readonly keys: readonly string[] | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly sealed: SealedPart | undefined
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})

function decodeExtras(source: Buffer, start: number, flags: number): Extras {
  let at = start
  const short = (): string => {
    const length = source.readUInt16LE(at)
    at += 2 + length
    return source.toString('utf8', at - length, at)
  }
  const long = (): Buffer => {
    const length = source.readUInt32LE(at)
    at += 4 + length
    return source.subarray(at - length, at)
  }
  let keys: string[] | undefined
  if ((flags & FLAG.keys) !== 0) {
    const count = source.readUInt16LE(at)
    at += 2
    keys = Array.from({ length: count }, short)
  }
  const headers = (flags & FLAG.headers) === 0 ? NO_HEADERS : parseHeaders(long())
  const sealed = (flags & FLAG.sealed) === 0 ? undefined : { person: short(), bytes: long() }
  return { keys, headers, sealed }
}

function parseHeaders(text: Buffer): Readonly<Record<string, string>> {
  const headers: unknown = JSON.parse(text.toString('utf8'))
  invariant(typeof headers === 'object' && headers !== null, 'headers are an object')
  return headers as Record<string, string>
}

const UNDECODED = Symbol('undecoded')

/** A record as a view over its frame: whatever is not asked for is not decoded. */
export class FrameRecord implements LogRecord {
  readonly #bytes: Bytes
  readonly #at: number
  readonly #names: NameTable
  readonly stream: string
  memo: unknown = undefined
  #key: string | undefined = undefined
  #id: string | undefined = undefined
  #extras: Extras | undefined = undefined
  #data: unknown = UNDECODED

  constructor(bytes: Bytes, at: number, stream: string, names: NameTable) {
    this.#bytes = bytes
    this.#at = at
    this.stream = stream
    this.#names = names
  }

  /** The same with a copy of its frame, so that it keeps no other records in memory. */
  alone(): FrameRecord {
    const length = frameField.length(this.#bytes, this.#at)
    const bytes = createBytes(length)
    this.#bytes.u8.copy(bytes.u8, 0, this.#at, this.#at + length)
    return new FrameRecord(bytes, 0, this.stream, this.#names)
  }

  get tenant(): string {
    return this.#named('tenant', this.#bytes.u32[(this.#at >> 2) + 3] as number)
  }
  get partition(): number {
    return this.#bytes.u16[(this.#at >> 1) + 4] as number
  }
  get offset(): number {
    return this.#bytes.f64[(this.#at >> 3) + 5] as number
  }
  get type(): string {
    return this.#named('type', this.#bytes.u16[(this.#at >> 1) + 5] as number)
  }
  get key(): string {
    return (this.#key ??= keyOfFrame(this.#bytes, this.#at))
  }
  get keys(): readonly string[] {
    if ((this.#flags & FLAG.keys) === 0) return [this.key]
    return this.#more.keys as readonly string[]
  }
  get id(): string {
    return (this.#id ??= idOfFrame(this.#bytes, this.#at))
  }
  get eventTimeMs(): number {
    return this.#bytes.f64[(this.#at >> 3) + 6] as number
  }
  get ingestTimeMs(): number {
    return this.#bytes.f64[(this.#at >> 3) + 7] as number
  }
  get watermarkMs(): number {
    return this.#bytes.f64[(this.#at >> 3) + 8] as number
  }
  get definition(): string {
    return this.#named('definition', this.#bytes.u16[(this.#at >> 1) + 8] as number)
  }
  get generation(): number {
    return this.#bytes.u32[(this.#at >> 2) + 6] as number
  }
  get isHistory(): boolean {
    return (this.#flags & FLAG.history) !== 0
  }
  get isUnique(): boolean {
    return (this.#flags & FLAG.unique) !== 0
  }
  get headers(): Readonly<Record<string, string>> {
    return (this.#flags & FLAG.headers) === 0 ? NO_HEADERS : this.#more.headers
  }
  get sealed(): SealedPart | undefined {
    return (this.#flags & FLAG.sealed) === 0 ? undefined : this.#more.sealed
  }
  get payload(): Uint8Array {
    if ((this.#flags & FLAG.envelope) === 0) return this.#stored
    return Buffer.from(JSON.stringify(this.data), 'utf8')
  }
  get data(): unknown {
    if (this.#data === UNDECODED) {
      try {
        this.#data = decodePayload(this.#stored, (this.#flags & FLAG.envelope) !== 0)
      } catch (error) {
        throw this.#damaged('its payload is not the JSON that was written', error)
      }
    }
    return this.#data
  }

  get #flags(): number {
    return this.#bytes.u8[this.#at + 5] as number
  }
  get #more(): Extras {
    const bytes = this.#bytes
    try {
      return (this.#extras ??= decodeExtras(bytes.u8, extrasStart(bytes, this.#at), this.#flags))
    } catch (error) {
      throw this.#damaged('its headers are not the JSON that was written', error)
    }
  }
  get #stored(): Uint8Array {
    const { u8, u32 } = this.#bytes
    const word = this.#at >> 2
    const start = extrasStart(this.#bytes, this.#at) + (u32[word + 7] as number)
    return u8.subarray(start, start + (u32[word + 8] as number))
  }

  #named(space: NameSpace, number: number): string {
    const name = this.#names[space].nameOf(number)
    if (name === undefined) throw this.#damaged(`there is no ${space} number ${number}`)
    return name
  }

  #damaged(reason: string, cause?: unknown): Error {
    const { offset } = this
    const partition = partitionName(this.stream, this.partition)
    const details = {
      file: `The frame of the record at offset ${offset} of ${partition}`,
      at: RECORD_HEADER_BYTES,
      reason,
      affected: `${partition} at offset ${offset}`,
      goOn: `read ${partition} from offset ${offset + 1} on`,
    }
    return logErrors.create('LOG_DAMAGED', details, cause)
  }
}

/** What is wrong with a frame that must end by `end`; undefined when every length in it fits. */
export function faultOfFrame(bytes: Bytes, at: number, end: number): string | undefined {
  const { u8, u32 } = bytes
  const word = at >> 2
  const length = u32[word] as number
  if (length < 8 || length % 8 !== 0 || at + length > end) return 'a frame has a wrong length'
  const kind = u8[at + 4]
  if (kind === KIND.record) return faultOfRecord(bytes, at, length)
  if (kind === KIND.advance) return undefined
  const isInside = length >= TEXT_HEADER_BYTES + (u32[word + 2] as number)
  return isInside ? undefined : 'the text of a frame is longer than the frame'
}

function faultOfRecord(bytes: Bytes, at: number, length: number): string | undefined {
  const { u8, u32 } = bytes
  if (length < RECORD_HEADER_BYTES) return 'a record is shorter than its header'
  const word = at >> 2
  const start = extrasStart(bytes, at)
  const payload = start + (u32[word + 7] as number)
  if (payload + (u32[word + 8] as number) > at + length) return 'the parts of a record are longer than it' // prettier-ignore
  const flags = u8[at + 5] as number
  if ((flags & (FLAG.keys | FLAG.headers | FLAG.sealed)) === 0) return undefined
  return endOfExtras(u8, start, payload, flags) === payload
    ? undefined
    : 'the extras of a record do not have the length that it says'
}

/** Where the extras end by their own lengths; Infinity when that is behind `end`. */
function endOfExtras(u8: Buffer, start: number, end: number, flags: number): number {
  let at = start
  const skip = (width: 2 | 4): void => {
    at = at + width > end ? Infinity : at + width + u8.readUIntLE(at, width)
  }
  if ((flags & FLAG.keys) !== 0) {
    if (at + 2 > end) return Infinity
    let count = u8.readUInt16LE(at)
    at += 2
    while (count-- > 0 && at < end) skip(2)
    if (count >= 0) return Infinity
  }
  if ((flags & FLAG.headers) !== 0) skip(4)
  if ((flags & FLAG.sealed) !== 0) {
    skip(2)
    skip(4)
  }
  return at
}

function extrasStart({ u16 }: Bytes, at: number): number {
  const half = at >> 1
  return at + RECORD_HEADER_BYTES + (u16[half + 9] as number) + (u16[half + 10] as number)
}

function keyOfFrame({ u8, u16 }: Bytes, at: number): string {
  return readKey(u8, at + RECORD_HEADER_BYTES, u16[(at >> 1) + 9] as number)
}

export function idOfFrame({ u8, u16 }: Bytes, at: number): string {
  const start = at + RECORD_HEADER_BYTES + (u16[(at >> 1) + 9] as number)
  return readText(u8, start, u16[(at >> 1) + 10] as number)
}

/** The fixed numbers of a frame. */
export const frameField = {
  length: ({ u32 }: Bytes, at: number): number => u32[at >> 2] as number,
  kind: ({ u8 }: Bytes, at: number): number => u8[at + 4] as number,
  isUnique: ({ u8 }: Bytes, at: number): boolean => ((u8[at + 5] as number) & FLAG.unique) !== 0,
  stream: ({ u16 }: Bytes, at: number): number => u16[(at >> 1) + 3] as number,
  partition: ({ u16 }: Bytes, at: number): number => u16[(at >> 1) + 4] as number,
  tenant: ({ u32 }: Bytes, at: number): number => u32[(at >> 2) + 3] as number,
  offset: ({ f64 }: Bytes, at: number): number => f64[(at >> 3) + 5] as number,
  ingestTimeMs: ({ f64 }: Bytes, at: number): number => f64[(at >> 3) + 7] as number,
  watermarkMs: ({ f64 }: Bytes, at: number): number => f64[(at >> 3) + 8] as number,
} as const
