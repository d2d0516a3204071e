/**
 * What corrections change, by the partition that has the records: found once for all folds of a
 * stream, since a change of many events concerns many lanes of which each has a part.
 */
import type { LogRecord } from '@millrace/log'
import type { FoldRunner } from '../runner.ts'
import type { Slices } from '../slices.ts'
import type { CorrectionChange } from './book.ts'
import type { Correction } from './contract.ts'
import { asCorrected, rekey, standInsOf, type Originals, type RecordChange } from './originals.ts'

type ByPartition = ReadonlyMap<number, readonly RecordChange[]>

const NOTHING: ByPartition = new Map()

/** What it stands on. */
export interface ChangedRecordsPorts {
  /** Has the records of the events. */
  readonly originals: Originals
  /** The folds that re-key. */
  readonly emitters: readonly FoldRunner[]
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
    const { emitters, originals, createSlices } = this.#ports
    const rekeying = emitters.filter(
      ({ definition: { source, targets } }) =>
        this.#changes.has(source) && targets?.includes(stream) === true,
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
      if (origin !== undefined) put(origin, { ...sidesOf(origin, before, after), ...whenceOf(entry, origin) }) // prettier-ignore
      await slices.pause()
    }
    for (const emitter of rekeying) {
      for (const { entry, before, after } of this.#changes.get(emitter.definition.source) ?? []) {
        const origin = originals.of(entry)
        if (origin === undefined) continue
        const whence = whenceOf(entry, origin)
        for (const record of rekey(emitter, origin)) {
          put(record, { ...sidesOf(record, before, after), ...whence })
        }
        for (const standIn of standInsOf(emitter, origin, before)) {
          put(standIn, { before: standIn, after: undefined, ...whence })
        }
        for (const standIn of standInsOf(emitter, origin, after)) {
          put(standIn, { before: undefined, after: standIn, ...whence })
        }
        await slices.pause()
      }
    }
    return byPartition
  }
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
