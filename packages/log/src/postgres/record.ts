/** A row of `records` as a record of the log. Text is decoded when somebody asks for it. */
import { decodePayload } from '../admission.ts'
import type { LogRecord, NewEvent, SealedPart } from '../log.ts'
import type { Row } from './database.ts'
import { FLAG } from './layout.ts'
import type { TablePartition } from './catalog.ts'

/** The columns that `recordOf` reads, in its order; `r` is the table. */
export const RECORD_COLUMNS = `r."offset", r.event_ms, r.ingest_ms, r.watermark_ms, r.generation,
  r.flags, r.tenant, r.type, r.key, r.id, r.definition, r.payload, r.extras`

/** What few records have. */
interface Extras {
  readonly keys?: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly sealed?: { readonly person: string; readonly bytes: string }
}

const NO_EXTRAS: Extras = {}
const NO_HEADERS: Readonly<Record<string, string>> = {}

/** The column `extras` of an event; null for most. */
export function extrasOf({ key, keys, headers, sealed }: NewEvent): string | null {
  const isOwnKey = keys === undefined || (keys.length === 1 && keys[0] === key)
  const hasHeaders = headers !== undefined && Object.keys(headers).length > 0
  if (isOwnKey && !hasHeaders && sealed === undefined) return null
  const extras: Extras = {
    ...(isOwnKey ? {} : { keys }),
    ...(hasHeaders ? { headers } : {}),
    ...(sealed === undefined
      ? {}
      : { sealed: { person: sealed.person, bytes: Buffer.from(sealed.bytes).toString('base64') } }),
  }
  return JSON.stringify(extras)
}

/** Reads a row of `RECORD_COLUMNS`. */
export function recordOf(place: TablePartition, row: Row): LogRecord {
  const [offset, eventMs, ingestMs, watermarkMs, generation, flags, ...texts] = row
  const [tenant, type, key, id, definition, text] = texts as string[]
  return new TableRecord(place, {
    offset: Number(offset),
    eventTimeMs: Number(eventMs),
    ingestTimeMs: Number(ingestMs),
    watermarkMs: Number(watermarkMs),
    generation: Number(generation),
    flags: Number(flags),
    tenant: tenant as string,
    type: type as string,
    key: key as string,
    id: id as string,
    definition: definition as string,
    text: text as string,
    extras: texts[6] ?? null,
  })
}

/** The columns of a record. */
interface Columns {
  readonly offset: number
  readonly eventTimeMs: number
  readonly ingestTimeMs: number
  readonly watermarkMs: number
  readonly generation: number
  readonly flags: number
  readonly tenant: string
  readonly type: string
  readonly key: string
  readonly id: string
  readonly definition: string
  readonly text: string
  readonly extras: string | null
}

/** See the head of the file. */
export class TableRecord implements LogRecord {
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly eventTimeMs: number
  readonly ingestTimeMs: number
  readonly watermarkMs: number
  readonly generation: number
  readonly tenant: string
  readonly type: string
  readonly key: string
  readonly id: string
  readonly definition: string
  memo: unknown = undefined
  readonly #flags: number
  readonly #text: string
  #extras: string | Extras
  #payload: Uint8Array | undefined
  #data: unknown
  #isDecoded = false

  constructor({ stream, partition }: TablePartition, columns: Columns) {
    this.stream = stream.declared.name
    this.partition = partition
    this.offset = columns.offset
    this.eventTimeMs = columns.eventTimeMs
    this.ingestTimeMs = columns.ingestTimeMs
    this.watermarkMs = columns.watermarkMs
    this.generation = columns.generation
    this.tenant = columns.tenant
    this.type = columns.type
    this.key = columns.key
    this.id = columns.id
    this.definition = columns.definition
    this.#flags = columns.flags
    this.#text = columns.text
    this.#extras = columns.extras ?? NO_EXTRAS
  }

  get isHistory(): boolean {
    return (this.#flags & FLAG.history) !== 0
  }

  get isUnique(): boolean {
    return (this.#flags & FLAG.unique) !== 0
  }

  get keys(): readonly string[] {
    return this.#more().keys ?? [this.key]
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#more().headers ?? NO_HEADERS
  }

  get sealed(): SealedPart | undefined {
    const { sealed } = this.#more()
    if (sealed === undefined) return undefined
    return { person: sealed.person, bytes: Buffer.from(sealed.bytes, 'base64') }
  }

  get payload(): Uint8Array {
    this.#payload ??= Buffer.from(
      (this.#flags & FLAG.envelope) === 0 ? this.#text : JSON.stringify(this.data),
    )
    return this.#payload
  }

  get data(): unknown {
    if (!this.#isDecoded) {
      const isEnvelope = (this.#flags & FLAG.envelope) !== 0
      this.#data = isEnvelope
        ? decodePayload(Buffer.from(this.#text), true)
        : (JSON.parse(this.#text) as unknown)
      this.#isDecoded = true
    }
    return this.#data
  }

  #more(): Extras {
    if (typeof this.#extras === 'string') this.#extras = JSON.parse(this.#extras) as Extras
    return this.#extras
  }
}
