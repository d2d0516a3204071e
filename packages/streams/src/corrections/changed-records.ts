/**
 * What corrections change, by the partition that has the records: found once for all folds of a
 * stream, since a change of many events concerns many lanes of which each has a part.
 */
import type { LogRecord } from '@millrace/log'
import type { Slices } from '../slices.ts'
import type { CorrectionChange } from './book.ts'
import {
  changesOfEvent,
  emittersOf,
  namesMerged,
  type Emitter,
  type FoldGraph,
} from '../identity/counted.ts'
import type { Correction, Corrections } from './contract.ts'
import {
  asCorrected,
  recordOf,
  rekey,
  standInEventsOf,
  type Originals,
  type RecordChange,
} from './originals.ts'

type ByPartition = ReadonlyMap<number, readonly RecordChange[]>

const NOTHING: ByPartition = new Map()

/** What it stands on. */
export interface ChangedRecordsPorts {
  /** Has the records of the events. */
  readonly originals: Originals
  readonly graph: FoldGraph
  /** Who people are where the changes begin, and where they end. */
  readonly people: Record<'before' | 'after', Pick<Corrections, 'canonical'>>
  readonly createSlices: () => Slices
}

/** See the head of the file. */
export class ChangedRecords {
  readonly #ports: ChangedRecordsPorts
  /** By the stream of the event. */
  readonly #changes = new Map<string, CorrectionChange[]>()
  /** What was asked for, by the stream of the records. */
  readonly #found = new Map<string, Promise<ByPartition>>()

  constructor(changes: readonly CorrectionChange[], ports: ChangedRecordsPorts) {
    this.#ports = ports
    for (const change of changes) {
      const { stream } = change.entry
      const known = this.#changes.get(stream)
      if (known === undefined) this.#changes.set(stream, [change])
      else known.push(change)
    }
  }

  /** Those of one partition, in the order of the events that were corrected. */
  async in(stream: string, partition: number): Promise<readonly RecordChange[]> {
    let found = this.#found.get(stream)
    if (found === undefined) {
      this.#found.set(stream, (found = this.#find(stream)))
      // Whoever comes after a failure looks again.
      found.catch(() => this.#found.delete(stream))
    }
    return (await found).get(partition) ?? []
  }

  async #find(stream: string): Promise<ByPartition> {
    const { graph, originals, createSlices } = this.#ports
    const rekeying = [...this.#changes.keys()].flatMap(source =>
      emittersOf(graph, source).filter(({ definition }) => definition.targets?.includes(stream)),
    )
    if (rekeying.length === 0 && !this.#changes.has(stream)) return NOTHING
    const byPartition = new Map<number, RecordChange[]>()
    const put = ({ stream: own, partition }: LogRecord, change: RecordChange): void => {
      if (own !== stream) return
      const known = byPartition.get(partition)
      if (known === undefined) byPartition.set(partition, [change])
      else known.push(change)
    }
    const slices = createSlices()
    for (const { entry, before, after } of this.#changes.get(stream) ?? []) {
      const origin = originals.of(entry)
      const merged = origin && this.#changesOfMerged(entry, origin, before, after)
      for (const { at, change } of merged ?? []) put(at, change)
      if (origin !== undefined && merged === undefined) {
        put(origin, { ...sidesOf(origin, before, after), ...whenceOf(entry, origin) })
      }
      await slices.pause()
    }
    for (const emitter of rekeying) {
      for (const { entry, before, after } of this.#changes.get(emitter.definition.source) ?? []) {
        const origin = originals.of(entry)
        if (origin === undefined) continue
        const merged = this.#changesOfMerged(entry, origin, before, after)
        for (const { at, change } of merged ?? []) put(at, change)
        if (merged !== undefined) continue
        const whence = whenceOf(entry, origin)
        for (const record of rekey(emitter, origin)) {
          put(record, { ...sidesOf(record, before, after), ...whence })
        }
        for (const standIn of standInsOf(emitter, origin, before)) {
          put(standIn, { ...sidesOf(standIn, before, RETRACTED), ...whence })
        }
        for (const standIn of standInsOf(emitter, origin, after)) {
          put(standIn, { ...sidesOf(standIn, RETRACTED, after), ...whence })
        }
        await slices.pause()
      }
    }
    return byPartition
  }

  /** Undefined for an event of which nobody is another person. */
  #changesOfMerged(
    entry: CorrectionChange['entry'],
    origin: LogRecord,
    before: Correction | undefined,
    after: Correction | undefined,
  ): ReturnType<typeof changesOfEvent> | undefined {
    const { graph, people } = this.#ports
    const was = { of: () => before, canonical: people.before.canonical }
    const is = { of: () => after, canonical: people.after.canonical }
    if (!namesMerged(graph, origin, was, is)) return undefined
    const { arrivedMs } = whenceOf(entry, origin)
    return changesOfEvent(graph, origin, was, is).map(({ at, change }) => ({
      at,
      change: { ...change, arrivedMs },
    }))
  }
}

/** Where nothing else matters but that it does not count. */
const RETRACTED: Correction = { action: 'retract', source: '' }

/** The records that stand in for an event under a correction, among people who are themselves. */
function standInsOf(
  emitter: Emitter,
  origin: LogRecord,
  correction: Correction | undefined,
): readonly LogRecord[] {
  if (correction?.action !== 'correct') return []
  const events = standInEventsOf(emitter, origin, { of: () => correction })
  return events.map(event => recordOf(event, origin))
}

function sidesOf(
  record: LogRecord,
  before: Correction | undefined,
  after: Correction | undefined,
): Pick<RecordChange, 'before' | 'after'> {
  return { before: asCorrected(record, before), after: asCorrected(record, after) }
}

/** Nothing is emitted before its cause has arrived. */
function whenceOf(
  { emitted }: CorrectionChange['entry'],
  origin: LogRecord,
): Pick<RecordChange, 'origin' | 'arrivedMs'> {
  return { origin, arrivedMs: emitted === undefined ? origin.ingestTimeMs : emitted.arrivedMs }
}
