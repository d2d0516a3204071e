/**
 * Takes a request body apart into events: the decoded value of each, and its bytes as they came.
 *
 * The fast way is one scan for borders and one `JSON.parse` of the whole text. Whatever it cannot
 * take (a line that is not JSON, an element that is no object, deep nesting, other bytes than
 * UTF-8) is looked at again with care, one element at a time, so that one bad event does not
 * refuse its neighbours and each gets its own reason.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { productErrors } from '@millrace/product'
import { serverErrors } from '../errors.ts'
import { depthOf, scanElements, skipSpace } from './scan.ts'

/** The bounds that a body is held to. */
export interface BodyLimits {
  readonly eventsMax: number
  readonly eventBytesMax: number
  readonly depthMax: number
}

/** Why an element is no event. */
export interface ElementFault {
  readonly code: 'EVENT_INVALID' | 'EVENT_TOO_LARGE'
  readonly reason: string
}

/** A body, taken apart. */
export interface ParsedBody {
  /** False: the body was one object, not an array and not NDJSON. */
  readonly isBatch: boolean
  readonly values: readonly unknown[]
  /** The bytes of each value; empty when they must be made from the values. */
  readonly payloads: readonly Uint8Array[]
  /** By index; such a value is undefined. */
  readonly faults: ReadonlyMap<number, ElementFault>
  /** Line of each value from 1; undefined unless lines were counted. */
  readonly lines: readonly number[] | undefined
}

const NO_FAULTS: ReadonlyMap<number, ElementFault> = new Map()
const NO_BYTES = new Uint8Array(0)
const NEWLINE = 0x0a
const COMMA = 0x2c
const OPEN_BRACKET = 0x5b

/** Takes apart a body; owns `body` from now on (separators between events may be overwritten). */
export function parseBody(body: Buffer, format: 'json' | 'ndjson', limits: BodyLimits): ParsedBody {
  if (format === 'ndjson') {
    const parsed = parseLines(body, limits)
    if (parsed.values.length === 0) throw serverErrors.create('BODY_MISSING')
    return parsed
  }
  const from = hasByteOrderMark(body) ? 3 : 0
  if (!isUtf8(body)) throw serverErrors.create('BODY_NOT_UTF8')
  const first = skipSpace(body, from, body.length)
  if (first === body.length) throw serverErrors.create('BODY_MISSING')
  return body[first] === OPEN_BRACKET
    ? parseArray(body, from, limits)
    : parseObject(body.subarray(from), limits)
}

/** True for a JSON body that is not an array. */
export function isSingle(body: Buffer): boolean {
  const first = skipSpace(body, hasByteOrderMark(body) ? 3 : 0, body.length)
  return body[first] !== OPEN_BRACKET
}

function hasByteOrderMark(body: Buffer): boolean {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf
}

/** The text of bytes that are UTF-8; ASCII takes the shorter way. */
export function textOf(bytes: Buffer): string {
  return isAscii(bytes) ? bytes.toString('latin1') : bytes.toString('utf8')
}

/** Decodes JSON; throws BODY_INVALID, without a word of the text, which may be personal. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw serverErrors.create('BODY_INVALID', { reason: syntaxReason(error) })
  }
}

/** What `JSON.parse` says, without the piece of the text that it quotes. */
function syntaxReason(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  const at = / at position (\d+)/.exec(message)
  if (at !== null) return `it breaks at character ${at[1]}`
  return /end of JSON/.test(message) ? 'it ends too early' : 'it does not follow the grammar'
}

function parseObject(body: Buffer, limits: BodyLimits): ParsedBody {
  // A small body cannot nest deeply enough to matter, and its schema bounds it anyway.
  if (body.length > limits.eventBytesMax) {
    throw serverErrors.create('EVENT_TOO_LARGE', { limitBytes: limits.eventBytesMax })
  }
  checkDepth(body, limits.depthMax)
  const value = parseJson(textOf(body))
  return { isBatch: false, values: [value], payloads: [body], faults: NO_FAULTS, lines: undefined }
}

/** Throws REQUEST_INVALID for JSON that nests too deep. */
export function checkDepth(body: Buffer, depthMax: number): void {
  if (depthOf(body, depthMax) > depthMax) {
    throw productErrors.create('REQUEST_INVALID', {
      name: 'the body',
      reason: `it nests more than ${depthMax} levels`,
    })
  }
}

function parseArray(body: Buffer, from: number, limits: BodyLimits): ParsedBody {
  const { eventsMax: elementsMax, depthMax } = limits
  const elements = scanElements(body, {
    from,
    to: body.length,
    format: 'array',
    // The array itself is a level.
    depthMax: depthMax - 1,
    elementsMax,
  })
  if (elements === undefined) checkDepth(body, depthMax)
  const values = parseJson(textOf(from === 0 ? body : body.subarray(from))) as unknown[]
  if (values.length > elementsMax) {
    throw serverErrors.create('EVENTS_TOO_MANY', { limit: elementsMax })
  }
  const isSliced = elements !== undefined && elements.bounds.length === 2 * values.length
  const payloads = isSliced ? slices(body, elements.bounds) : values.map(payloadOf)
  return sized({ isBatch: true, values, payloads, faults: NO_FAULTS, lines: undefined }, limits)
}

/** The text of a value anew, for arrays with elements that are no objects: those are refused later. */
function payloadOf(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8')
}

function slices(body: Buffer, bounds: readonly number[]): Uint8Array[] {
  const { buffer, byteOffset } = body
  const payloads: Uint8Array[] = new Array<Uint8Array>(bounds.length / 2)
  for (let index = 0; index < payloads.length; index++) {
    const from = bounds[2 * index] as number
    const to = bounds[2 * index + 1] as number
    payloads[index] = new Uint8Array(buffer, byteOffset + from, to - from)
  }
  return payloads
}

/** Finds elements above the limit. */
function sized(parsed: ParsedBody, limits: BodyLimits): ParsedBody {
  let faults: Map<number, ElementFault> | undefined
  for (let index = 0; index < parsed.payloads.length; index++) {
    if ((parsed.payloads[index] as Uint8Array).length <= limits.eventBytesMax) continue
    faults ??= new Map()
    faults.set(index, tooLarge(limits))
  }
  return faults === undefined ? parsed : { ...parsed, faults }
}

function tooLarge(limits: BodyLimits): ElementFault {
  return { code: 'EVENT_TOO_LARGE', reason: `it has more than ${limits.eventBytesMax} bytes` }
}

/** Takes apart a body of lines, or some lines of one; there may be none. Owns `body` from now on. */
export function parseLines(
  body: Buffer,
  limits: BodyLimits,
  { isFirst = true }: { isFirst?: boolean } = {},
): ParsedBody {
  const from = isFirst && hasByteOrderMark(body) ? 3 : 0
  return parseLinesFast(body, from, limits) ?? parseLinesWithCare(body, from, limits)
}

function parseLinesFast(body: Buffer, from: number, limits: BodyLimits): ParsedBody | undefined {
  if (!isUtf8(body)) return undefined
  const elements = scanElements(body, {
    from,
    to: body.length,
    format: 'ndjson',
    depthMax: limits.depthMax,
    elementsMax: limits.eventsMax,
  })
  if (elements === undefined || elements.bounds.length === 0) return undefined
  const { bounds, separators } = elements
  for (const at of separators) body[at] = COMMA
  let values: unknown[] | undefined
  try {
    values = JSON.parse(`[${textOf(from === 0 ? body : body.subarray(from))}]`) as unknown[]
  } catch {
    // Some line is not JSON: each is looked at by itself.
  }
  if (values === undefined || values.length !== bounds.length / 2) {
    for (const at of separators) body[at] = NEWLINE
    return undefined
  }
  const payloads = slices(body, bounds)
  return sized({ isBatch: true, values, payloads, faults: NO_FAULTS, lines: undefined }, limits)
}

function parseLinesWithCare(body: Buffer, from: number, limits: BodyLimits): ParsedBody {
  const values: unknown[] = []
  const payloads: Uint8Array[] = []
  const faults = new Map<number, ElementFault>()
  const lines: number[] = []
  let line = 0
  for (let at = from; at < body.length;) {
    const newline = body.indexOf(NEWLINE, at)
    const end = newline === -1 ? body.length : newline
    const bytes = trimmed(body.subarray(at, end))
    at = end + 1
    line += 1
    if (bytes.length === 0) continue
    if (values.length === limits.eventsMax) {
      throw serverErrors.create('EVENTS_TOO_MANY', { limit: limits.eventsMax })
    }
    const parsed = parseLine(bytes, limits)
    if ('code' in parsed) faults.set(values.length, parsed)
    lines.push(line)
    values.push('code' in parsed ? undefined : parsed.value)
    payloads.push(bytes)
  }
  return { isBatch: true, values, payloads, faults, lines }
}

/** A line that is too long to be kept. */
export function tooLongLine(limits: BodyLimits): ParsedBody {
  const faults = new Map([[0, tooLarge(limits)]])
  return { isBatch: true, values: [undefined], payloads: [NO_BYTES], faults, lines: [1] }
}

function parseLine(bytes: Buffer, limits: BodyLimits): { value: unknown } | ElementFault {
  const invalid = (reason: string): ElementFault => ({ code: 'EVENT_INVALID', reason })
  if (bytes.length > limits.eventBytesMax) return tooLarge(limits)
  if (!isUtf8(bytes)) return invalid('the line is not UTF-8')
  if (depthOf(bytes, limits.depthMax) > limits.depthMax) {
    return invalid(`it nests more than ${limits.depthMax} levels`)
  }
  try {
    return { value: JSON.parse(textOf(bytes)) }
  } catch (error) {
    return invalid(`the line is not JSON: ${syntaxReason(error)}`)
  }
}

function trimmed(bytes: Buffer): Buffer {
  const from = skipSpace(bytes, 0, bytes.length)
  let to = bytes.length
  while (to > from && skipSpace(bytes, to - 1, to) === to) to -= 1
  return bytes.subarray(from, to)
}
