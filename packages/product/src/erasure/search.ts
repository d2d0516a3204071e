/** The events of the log that name people, and what of them is sealed. */
import { isError, partitionName, type App, type PersonalEvent } from '@millrace/core'
import { DEFAULT_TENANT, type EventLog, type LogRecord } from '@millrace/log'
import { OUTSIDE, type RequestedCorrection } from '@millrace/streams'
import type { ErasedType } from './events.ts'

/** What was found. */
export interface Found {
  readonly retractions: readonly RequestedCorrection[]
  /** Events that are not keyed by one of the people. */
  readonly ofOthers: number
  readonly types: readonly ErasedType[]
  /** Events of types that may name anybody, of which the definition cannot say whom: nobody looked into them. */
  readonly unread: number
}

interface Ports {
  readonly app: App
  readonly log: EventLog
  readonly personal: ReadonlyMap<string, PersonalEvent>
}

/**
 * Finds the events from outside that name one of `people`. Events keyed by a person are found by the
 * index of keys; a stream with events that name others beside their key is read as a whole.
 */
export async function findEvents(ports: Ports, people: readonly string[]): Promise<Found> {
  const { log, personal } = ports
  const wanted = new Set(people)
  const retractions = new Map<string, RequestedCorrection>()
  const types = new Map<string, ErasedType>()
  let ofOthers = 0
  let unread = 0
  const take = (record: LogRecord): void => {
    const one = personal.get(record.type)
    if (one === undefined || record.generation !== OUTSIDE || record.isUnique) return
    const { id, stream, partition, offset, type, key, tenant } = record
    if (tenant !== DEFAULT_TENANT || retractions.has(id)) return
    const people = peopleIn(record, one)
    if (people === undefined) unread += Number(one.namesOthers)
    const own = people ?? [...(one.isKeyed ? [key] : []), record.sealed?.person ?? '']
    if (!own.some(person => wanted.has(person))) return
    retractions.set(id, { id, action: 'retract', place: { stream, partition, offset } })
    if (!one.isKeyed || !wanted.has(key)) ofOthers += 1
    types.set(type, counted(types.get(type) ?? emptyType(ports, one, type), one, record))
  }
  for (const stream of new Set([...personal.values()].map(one => one.stream))) {
    const known = log.stats().streams.find(one => one.stream === stream)
    if (known === undefined) continue
    const own = [...personal.values()].filter(one => one.stream === stream)
    if (!own.some(({ namesOthers }) => namesOthers)) {
      for await (const record of log.history({ stream, keys: people })) take(record)
      continue
    }
    for (const [partition, { start }] of known.partitions.entries()) {
      const end = log.ends().get(partitionName(stream, partition)) ?? 0
      for (let from = start; from < end;) {
        const records = await log.read({ stream, partition, from })
        for (const record of records) take(record)
        from = (records.at(-1)?.offset ?? end) + 1
      }
    }
  }
  return { retractions: [...retractions.values()], ofOthers, types: [...types.values()], unread }
}

/** All people that an event names; undefined for one that the definition does not understand any more. */
function peopleIn(record: LogRecord, one: PersonalEvent): readonly string[] | undefined {
  try {
    return one.peopleOf(record.data)
  } catch (error) {
    if (isError(error, 'UPCAST_FAILED')) return undefined
    throw error
  }
}

function emptyType({ app }: Ports, one: PersonalEvent, type: string): ErasedType {
  const { stream } = one
  const event = app.events.get(type)
  const isPut = event?.isTableChange === true && type.endsWith('.put')
  const fields = isPut ? app.tables.get(stream)?.definition.fields : event?.definition.fields
  const readable = Object.entries(fields ?? {})
    .filter(([name, { ref }]) => ref === undefined && !one.fields.has(name))
    .map(([name]) => name)
  return { type, stream, events: 0, sealed: 0, clear: 0, readable }
}

function counted(counts: ErasedType, one: PersonalEvent, record: LogRecord): ErasedType {
  const isSealed = record.sealed !== undefined
  const isClear = !isSealed && peopleIn(record, one) !== undefined && one.split(record.data) !== undefined // prettier-ignore
  return {
    ...counts,
    events: counts.events + 1,
    sealed: counts.sealed + Number(isSealed),
    clear: counts.clear + Number(isClear),
  }
}
