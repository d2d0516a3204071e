/** Looking at the records that wait for a parked key, and deciding on one of them. */
import { deriveId, type Clock } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { amendmentEvent, eventIdOf, type Amendment } from './amendments.ts'
import { streamsErrors } from './errors.ts'
import type { Lane, Parked } from './lane.ts'
import { historyOf } from './refold.ts'

/** The records that wait for a key, in log order, from `from` on; at most `recordsMax`. Throws KEY_NOT_PARKED. */
export async function waitingRecords(
  log: EventLog,
  lane: Lane,
  request: { readonly key: string; readonly from?: number; readonly recordsMax: number },
): Promise<readonly LogRecord[]> {
  const { key, from = 0, recordsMax } = request
  const first = Math.max(from, parkedOf(lane, key).offset)
  const records: LogRecord[] = []
  for await (const record of historyOf(log, lane, key, first, lane.consumed)) {
    if (records.length === recordsMax) break
    records.push(record)
  }
  return records
}

/**
 * Commits a decision on a record that waits for a parked key, by default on the one at which it
 * waits; it holds from the next time that the record is folded. Throws KEY_NOT_PARKED,
 * AMENDMENT_INVALID.
 */
export async function amend(
  ports: { readonly log: EventLog; readonly clock: Clock },
  lane: Lane,
  request: { readonly key: string; readonly offset?: number; readonly amendment: Amendment },
): Promise<void> {
  const { key, amendment } = request
  const parked = parkedOf(lane, key)
  const offset = request.offset ?? parked.offset
  const refuse = (reason: string): never => {
    throw streamsErrors.create('AMENDMENT_INVALID', { fold: lane.definition.name, key, reason })
  }
  if (offset >= lane.consumed) refuse('it waits for a timer, not for a record')
  const [record] = await waitingRecords(ports.log, lane, { key, from: offset, recordsMax: 1 })
  if (record?.offset !== offset) refuse(`no record of it waits at offset ${offset}`)
  const event = eventIdOf(record as LogRecord)
  const { type } = record as LogRecord
  const fold = lane.definition.name
  const nowMs = ports.clock.nowMs()
  const { amendments } = lane.options
  const id = deriveId(nowMs, `amendment\n${fold}\n${event}\n${JSON.stringify(amendment)}`)
  await ports.log.commit({
    events: [amendmentEvent(fold, { id: event, type }, amendment, { id, nowMs })],
  })
  amendments.set(event, amendment)
}

/** Keys that wait at a record on which somebody decided: the process ended between the decision and its effect. */
export async function decidedKeys(log: EventLog, lane: Lane): Promise<readonly string[]> {
  const { definition, partition, options } = lane
  const decided: string[] = []
  if (options.amendments.size === 0) return decided
  for (const { key, offset } of lane.parked.values()) {
    if (offset >= lane.consumed) continue
    const place = { stream: definition.source, partition, from: offset, recordsMax: 1 }
    const [record] = await log.read(place)
    if (record !== undefined && options.amendments.has(eventIdOf(record))) decided.push(key)
  }
  return decided
}

function parkedOf(lane: Lane, key: string): Parked {
  const parked = lane.parked.get(key)
  if (parked !== undefined) return parked
  throw streamsErrors.create('KEY_NOT_PARKED', { fold: lane.definition.name, key })
}
