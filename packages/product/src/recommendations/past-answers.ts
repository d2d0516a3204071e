/**
 * Past answers, explained from their exposures: what was served, from which source, with which
 * score and chance, and what the person had done by then.
 *
 * An exposure is found by its id: the id begins with the time of the answer, and the exposure was
 * appended within moments of it. With the person's id it is found in their own history, however late
 * it was appended.
 */
import { decodePosition, partitionName, partitionOf, timeOfId } from '@millrace/core'
import type { App } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { Attributes } from '../catalogue/index.ts'
import { itemKey, partsOfKey } from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import { EXPOSURES, type Exposure } from './events.ts'

/** An exposure is looked for this long after the time in its id... */
const APPENDED_WITHIN_MS = 60_000
/** ...and this long before, for a clock that was set back. */
const CLOCK_BACK_MS = 5_000
/** Records read in one partition before the search is given up. */
const READ_MAX = 1_000_000
const READ_BATCH = 5_000
const HISTORY_SHOWN = 20

/** An answer as it was served. */
export interface PastAnswer {
  readonly answerId: string
  readonly surface: string
  readonly person?: string
  readonly atMs: number
  readonly definition: string
  readonly scoring: string
  /** Declared exploration share. */
  readonly explore: number
  /** Position that the answer reflected. */
  readonly position: string
  /** Candidates left after the filters. */
  readonly candidates: number
  readonly items: readonly {
    readonly kind: string
    readonly id: string
    readonly title: string
    readonly slot: number
    readonly source: string
    readonly score: number
    readonly propensity: number
    readonly isExplored: boolean
    /** Attributes as they are now. */
    readonly attributes?: Attributes
  }[]
  /** The person's newest signals at that position, newest first. */
  readonly history: readonly {
    readonly eventId: string
    readonly type: string
    readonly kind: string
    readonly id: string
    readonly title: string
    readonly atMs: number
  }[]
}

/** What the explanation reads. */
export interface PastAnswerPorts {
  readonly app: App
  readonly log: EventLog
  titleOf(key: string): string
  attributesOf(key: string): Attributes | undefined
}

/** The record of an answer's exposure; throws ANSWER_UNKNOWN, ANSWER_ERASED. `person` makes the search shorter. */
export async function findExposure(
  ports: Pick<PastAnswerPorts, 'app' | 'log'>,
  answerId: string,
  person?: string,
): Promise<LogRecord> {
  const record =
    person === undefined
      ? await findByTime(ports, answerId)
      : await findByPerson(ports.log, answerId, person)
  const answer = answerId.slice(0, 64)
  if (record === undefined) throw productErrors.create('ANSWER_UNKNOWN', { answer })
  if (record.isErased === true) throw productErrors.create('ANSWER_ERASED', { answer })
  return record
}

/** What an exposure says of its answer. */
export async function explainAnswer(
  ports: PastAnswerPorts,
  record: LogRecord,
): Promise<PastAnswer> {
  const exposure = record.data as Exposure
  return {
    answerId: exposure.a,
    surface: exposure.s,
    ...(exposure.p === undefined ? {} : { person: exposure.p }),
    atMs: record.eventTimeMs,
    definition: exposure.d,
    scoring: exposure.v,
    explore: exposure.e,
    position: exposure.r,
    candidates: exposure.n,
    items: exposure.i.map(([key, source, score, propensity, explored], place) => {
      const attributes = ports.attributesOf(key)
      return {
        ...partsOfKey(key),
        title: ports.titleOf(key),
        slot: place + 1,
        source: exposure.c[source] ?? '',
        score,
        propensity,
        isExplored: explored === 1,
        ...(attributes === undefined ? {} : { attributes }),
      }
    }),
    history: exposure.p === undefined ? [] : await historyAt(ports, exposure.p, exposure.r),
  }
}

async function findByPerson(
  log: EventLog,
  answerId: string,
  person: string,
): Promise<LogRecord | undefined> {
  for await (const record of log.history({ stream: EXPOSURES, keys: [person] })) {
    if (record.id === answerId) return record
  }
  return undefined
}

async function findByTime(
  { app, log }: Pick<PastAnswerPorts, 'app' | 'log'>,
  answerId: string,
): Promise<LogRecord | undefined> {
  const atMs = timeOfId(answerId)
  if (atMs === undefined) return undefined
  for (let partition = 0; partition < app.partitions; partition++) {
    const timeMs = Math.max(0, atMs - CLOCK_BACK_MS)
    let from = await log.seek({ stream: EXPOSURES, partition, timeMs })
    for (let read = 0; read < READ_MAX;) {
      const batch = await log.read({ stream: EXPOSURES, partition, from, recordsMax: READ_BATCH })
      const found = batch.find(record => record.id === answerId)
      if (found !== undefined) return found
      const last = batch.at(-1)
      if (last === undefined || last.ingestTimeMs > atMs + APPENDED_WITHIN_MS) break
      from = last.offset + 1
      read += batch.length
    }
  }
  return undefined
}

async function historyAt(
  { app, log, titleOf }: PastAnswerPorts,
  person: string,
  position: string,
): Promise<PastAnswer['history']> {
  const partition = partitionName('person', partitionOf(person, app.partitions))
  const to = decodePosition(position).get(partition) ?? 0
  const signals = app.options.signals ?? []
  const found: PastAnswer['history'][number][] = []
  for await (const record of log.history({ stream: 'person', keys: [person], to })) {
    for (const signal of signals) {
      if (signal.event.name !== record.type) continue
      const id = (record.data as Record<string, unknown>)[signal.item] as string
      found.push({
        eventId: record.id,
        type: record.type,
        kind: signal.itemKind,
        id,
        title: titleOf(itemKey(signal.itemKind, id)),
        atMs: record.eventTimeMs,
      })
      if (found.length > HISTORY_SHOWN) found.shift()
    }
  }
  return found.reverse()
}
