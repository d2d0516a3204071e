/**
 * What every implementation checks before it gives an event its place, so that all of them refuse
 * the same input with the same words. Fast: called once per event on the hot path.
 */
import { logErrors } from './errors.ts'
import { DEFAULT_TENANT } from './log.ts'
import type { AppendResult, NewEvent, StreamSpec } from './log.ts'
import { isJsonEqual } from './json-equal.ts'

export const KEY_LENGTH_MAX = 512
export const ID_LENGTH_MAX = 128
export const NAME_LENGTH_MAX = 200
export const KEYS_MAX = 4096
export const PARTITIONS_MAX = 4096
const STREAM_NAME = /^[a-z][a-z0-9._-]{0,99}$/
const SKEW_MS_DEFAULT = 60_000

/** A declared stream with its defaults filled in. */
export interface Declared {
  readonly name: string
  readonly partitions: number
  readonly latenessMs: number
  readonly skewMs: number
  readonly transient: StreamSpec['transient']
}

/** Fills in the defaults of a declaration; refuses one that is malformed (LOG_STREAM_INVALID). */
export function checkStream(spec: StreamSpec): Declared {
  const refuse = (reason: string): never => {
    throw logErrors.create('LOG_STREAM_INVALID', { stream: spec.name, reason })
  }
  if (!STREAM_NAME.test(spec.name)) refuse('its name is not [a-z][a-z0-9._-]* of at most 100')
  const { partitions, latenessMs = 0, skewMs = SKEW_MS_DEFAULT, transient } = spec
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
    refuse(`its partitions are not 1 to ${PARTITIONS_MAX}`)
  }
  if (!isCount(latenessMs) || !isCount(skewMs)) refuse('latenessMs or skewMs is not a count')
  for (const limit of [transient?.maxAgeMs, transient?.maxBytes]) {
    if (limit !== undefined && !isCount(limit)) refuse('a limit of transient is not a count')
  }
  return { name: spec.name, partitions, latenessMs, skewMs, transient }
}

/** True when a declaration changes nothing. Refuses another number of partitions (LOG_STREAM_CONFLICT). */
export function isSameStream(existing: Declared, wanted: Declared): boolean {
  if (existing.partitions !== wanted.partitions) {
    throw logErrors.create('LOG_STREAM_CONFLICT', {
      stream: wanted.name,
      existing: existing.partitions,
      wanted: wanted.partitions,
    })
  }
  return (
    existing.latenessMs === wanted.latenessMs &&
    existing.skewMs === wanted.skewMs &&
    existing.transient?.maxAgeMs === wanted.transient?.maxAgeMs &&
    existing.transient?.maxBytes === wanted.transient?.maxBytes
  )
}

/** Refuses an event that cannot be stored (LOG_EVENT_INVALID with its index). */
export function checkEvent(event: NewEvent, index: number, partitions: number): void {
  const reason = faultOf(event, partitions)
  if (reason !== undefined) throw logErrors.create('LOG_EVENT_INVALID', { index, reason })
}

function faultOf(event: NewEvent, partitions: number): string | undefined {
  if (!isText(event.key, KEY_LENGTH_MAX)) return `its key is not 1 to ${KEY_LENGTH_MAX} characters`
  if (!isText(event.id, ID_LENGTH_MAX)) return `its id is not 1 to ${ID_LENGTH_MAX} characters`
  if (!isText(event.type, NAME_LENGTH_MAX)) return 'its type is not 1 to 200 characters'
  if (!Number.isSafeInteger(event.eventTimeMs)) return 'its event time is not whole milliseconds'
  if (event.payload === undefined && event.data === undefined) return 'it has no data'
  const { tenant, definition, generation, expectedVersion, partition } = event
  if (tenant !== undefined && !isText(tenant, NAME_LENGTH_MAX)) return 'its tenant is malformed'
  if (definition !== undefined && !(typeof definition === 'string' && definition.length <= 200)) {
    return 'its definition is malformed'
  }
  if (generation !== undefined && !(isCount(generation) && generation <= 0xffffffff)) {
    return 'its generation is malformed'
  }
  if (expectedVersion !== undefined && !isCount(expectedVersion)) {
    return 'its expected version is malformed'
  }
  if (partition !== undefined && !(isCount(partition) && partition < partitions)) {
    return `its partition is not 0 to ${partitions - 1}`
  }
  if (event.keys !== undefined || event.headers !== undefined || event.sealed !== undefined) {
    return faultOfExtras(event)
  }
  return undefined
}

function faultOfExtras(event: NewEvent): string | undefined {
  const { keys, headers, sealed } = event
  if (keys !== undefined) {
    if (keys.length === 0 || keys.length > KEYS_MAX) return `its keys are not 1 to ${KEYS_MAX}`
    for (const key of keys) {
      if (!isText(key, KEY_LENGTH_MAX)) return 'one of its keys is malformed'
    }
  }
  if (headers !== undefined) {
    for (const name of Object.keys(headers)) {
      if (typeof headers[name] !== 'string') return `its header ${name} is not text`
    }
  }
  if (sealed !== undefined && !isText(sealed.person, KEY_LENGTH_MAX)) {
    return 'its sealed part names no person'
  }
  return undefined
}

/**
 * Text that UTF-8 can carry: a lone surrogate would come back as another character, and two
 * different ids would become one.
 */
function isText(value: unknown, lengthMax: number): boolean {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= lengthMax &&
    value.isWellFormed()
  )
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** The data of an event; decoded from its payload when only that was given. */
export function dataOf(event: NewEvent): unknown {
  if (event.data !== undefined || event.payload === undefined) return event.data
  return decodePayload(event.payload, event.isEnvelope ?? false)
}

/** Decodes stored bytes: the JSON text of the data, or of an envelope around it. */
export function decodePayload(payload: Uint8Array, isEnvelope: boolean): unknown {
  const { buffer, byteOffset, length } = payload
  const value: unknown = JSON.parse(Buffer.from(buffer, byteOffset, length).toString('utf8'))
  return isEnvelope ? (value as { data: unknown }).data : value
}

/** The JSON text of `data`; refuses what has none (a function, a cycle, a bigint). */
export function jsonOf(data: unknown, index: number): string {
  let text: string | undefined
  let cause: unknown
  try {
    text = JSON.stringify(data)
  } catch (error) {
    cause = error
  }
  if (text !== undefined) return text
  throw logErrors.create('LOG_EVENT_INVALID', { index, reason: 'its data is not JSON' }, cause)
}

/** The parts of a stored record that decide whether an event with its id is the same event. */
export interface StoredContent {
  readonly tenant: string
  readonly stream: string
  readonly type: string
  readonly key: string
  readonly eventTimeMs: number
  readonly data: unknown
}

/** What differs between an event and the record stored under its id; undefined when they are the same. */
export function differenceOf(event: NewEvent, stored: StoredContent): string | undefined {
  if (event.stream !== stored.stream) return `it is on stream ${stored.stream}`
  if ((event.tenant ?? DEFAULT_TENANT) !== stored.tenant) return 'it belongs to another tenant'
  if (event.type !== stored.type) return `its type is ${stored.type}`
  if (event.key !== stored.key) return 'its key differs'
  if (event.isTimeOfArrival !== true && event.eventTimeMs !== stored.eventTimeMs) {
    return `its event time is ${stored.eventTimeMs}`
  }
  return isJsonEqual(dataOf(event), stored.data) ? undefined : 'its data differs'
}

/** The result of an event whose id was appended before with other content. */
export function eventConflict(id: string, reason: string): AppendResult {
  const error = logErrors.create('EVENT_CONFLICT', { id, reason })
  return { status: 'conflict', code: error.code, reason: error.message }
}

/** The result of an event whose expected version is not the version of its key. */
export function versionConflict(event: NewEvent, actual: number): AppendResult {
  const error = logErrors.create('VERSION_CONFLICT', {
    key: event.key,
    stream: event.stream,
    expected: event.expectedVersion,
    actual,
  })
  return { status: 'conflict', code: error.code, reason: error.message }
}

/** The name of a key of a tenant in an index; tenants and keys cannot run into each other. */
export function tenantKey(tenant: string, key: string): string {
  return tenant === DEFAULT_TENANT ? key : `${tenant.length}\u0000${tenant}${key}`
}
