/** A record of the log as it stands in an export: one JSON object, or one row. */
import type { LogRecord, NewEvent } from '@millrace/log'
import { exportErrors } from './errors.ts'

/** A record in an export. Times are milliseconds since the epoch. */
export interface ExportedRecord {
  readonly tenant: string
  readonly stream: string
  readonly partition: number
  /** Place in the partition. */
  readonly offset: number
  readonly type: string
  readonly key: string
  /** The keys that its history is found under, when they are not the key alone. */
  readonly keys?: readonly string[]
  readonly id: string
  readonly eventTimeMs: number
  readonly ingestTimeMs: number
  readonly watermarkMs: number
  readonly definition: string
  /** Generation of the fold that emitted it; 0 for what came from outside. */
  readonly generation: number
  readonly isHistory: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly data: unknown
}

/** A record for an export; `data` may be masked. What the log keeps sealed is open in it. */
export function exportedRecord(record: LogRecord, data: unknown): ExportedRecord {
  const { tenant, stream, partition, offset, type, key, keys, id } = record
  const { eventTimeMs, ingestTimeMs, watermarkMs, definition, generation, isHistory, headers } = record // prettier-ignore
  const isOwnKey = keys.length === 1 && keys[0] === key
  return {
    tenant,
    stream,
    partition,
    offset,
    type,
    key,
    ...(isOwnKey ? {} : { keys: [...keys] }),
    id,
    eventTimeMs,
    ingestTimeMs,
    watermarkMs,
    definition,
    generation,
    isHistory,
    headers,
    data,
  }
}

/** The event that an exported record came of, to be appended to the same partition. */
export function eventOf(record: ExportedRecord): NewEvent {
  const { offset: _, ingestTimeMs: __, watermarkMs: ___, ...event } = record
  return event
}

type Check = (value: unknown) => boolean

const isText: Check = value => typeof value === 'string'
const isCount: Check = value => Number.isSafeInteger(value) && (value as number) >= 0
const isTime: Check = value => Number.isFinite(value)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const FIELDS: Readonly<Record<string, { readonly check: Check; readonly is: string }>> = {
  tenant: { check: isText, is: 'a text' },
  stream: { check: isText, is: 'a text' },
  partition: { check: isCount, is: 'a whole number' },
  offset: { check: isCount, is: 'a whole number' },
  type: { check: isText, is: 'a text' },
  key: { check: isText, is: 'a text' },
  id: { check: isText, is: 'a text' },
  eventTimeMs: { check: isTime, is: 'a number' },
  ingestTimeMs: { check: isTime, is: 'a number' },
  watermarkMs: { check: isTime, is: 'a number' },
  definition: { check: isText, is: 'a text' },
  generation: { check: isCount, is: 'a whole number' },
  isHistory: { check: value => typeof value === 'boolean', is: 'true or false' },
  headers: {
    check: value => isObject(value) && Object.values(value).every(isText),
    is: 'an object of texts',
  },
}

/** Checks what was read from a file, or from a server. Throws EXPORT_DAMAGED. */
export function readRecord(
  value: unknown,
  { file, place }: { readonly file: string; readonly place: string },
): ExportedRecord {
  const refuse = (reason: string): never => {
    throw exportErrors.create('EXPORT_DAMAGED', { file, place, reason })
  }
  if (!isObject(value)) return refuse('it is no JSON object')
  for (const [name, { check, is }] of Object.entries(FIELDS)) {
    if (!check(value[name])) refuse(`${name} is not ${is}`)
  }
  const { keys } = value
  if (keys !== undefined && !(Array.isArray(keys) && keys.every(isText))) {
    refuse('keys is not a list of texts')
  }
  if (!Object.hasOwn(value, 'data')) refuse('data is missing')
  return value as unknown as ExportedRecord
}
