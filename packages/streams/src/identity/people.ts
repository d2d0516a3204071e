/** An event as it counts when ids of people are one person. */
import type { LogRecord } from '@millrace/log'
import { withData } from '../amendments.ts'
import { OUTSIDE } from '../generations.ts'
import { unreadable } from '../unreadable.ts'
import { ALIAS_HEADER, MERGED, PERSON, type Canonical, type PersonFields } from './contract.ts'

/** True for a stream whose keys are people. */
export function isKeyedByPeople(stream: string): boolean {
  return stream === PERSON || stream.startsWith(`${PERSON}.from-`)
}

/** The ids of people that an event names, as it was sent. */
export function peopleIn(
  event: Pick<LogRecord, 'type' | 'data'>,
  people: PersonFields,
): readonly string[] {
  const fields = people.get(event.type)
  if (fields === undefined) return []
  const values = readableIn(event)
  return fields.flatMap(field => {
    const value = values?.[field]
    return (Array.isArray(value) ? value : [value]).filter(id => typeof id === 'string')
  })
}

/** The data of an event; null for one that the definition does not understand any more: whoever folds it waits. */
function readableIn(event: Pick<LogRecord, 'data'>): Readonly<Record<string, unknown>> | null {
  return unreadable(event) === undefined
    ? (event.data as Readonly<Record<string, unknown>> | null)
    : null
}

/** The record with the ids that hold; the same object where no other holds. */
export function asOnePerson(
  record: LogRecord,
  people: PersonFields | undefined,
  canonical: Canonical | undefined,
): LogRecord {
  const fields = canonical === undefined ? undefined : people?.get(record.type)
  if (canonical === undefined || fields === undefined) return record
  const data = readableIn(record)
  let changed: Record<string, unknown> | undefined
  for (const field of fields) {
    const value = data?.[field]
    const now = nowOf(value, canonical)
    if (now !== value) (changed ??= { ...data })[field] = now
  }
  return changed === undefined ? record : withData(record, changed)
}

function nowOf(value: unknown, canonical: Canonical): unknown {
  if (typeof value === 'string') return canonical(value)
  if (!Array.isArray(value)) return value
  const now = value.map(each => (typeof each === 'string' ? canonical(each) : (each as unknown)))
  return now.every((each, index) => each === value[index]) ? value : now
}

/** True for a record of the stream of people that does not count where it is: its key is another person now, or it stands in for one who is not. */
export function isElsewhere(
  record: LogRecord,
  people: PersonFields | undefined,
  canonical: Canonical | undefined,
): boolean {
  if (record.generation === MERGED) {
    const alias = record.headers[ALIAS_HEADER] as string
    return people === undefined || (canonical?.(alias) ?? alias) !== record.key
  }
  if (canonical === undefined || record.generation !== OUTSIDE || record.stream !== PERSON) {
    return false
  }
  return people?.has(record.type) === true && canonical(record.key) !== record.key
}
