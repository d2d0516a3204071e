/**
 * What corrections change, by the partition that has the records: found once for all folds, since a
 * change of many events concerns many lanes of which each has a part.
 */
import { partitionName } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { FoldRunner } from '../runner.ts'
import type { Slices } from '../slices.ts'
import type { CorrectionChange } from './book.ts'
import { asCorrected, rekey, standInsOf, type Originals, type RecordChange } from './originals.ts'

/** See the head of the file. */
export class ChangedRecords {
  readonly #byPlace = new Map<string, RecordChange[]>()

  private constructor() {}

  /** Of events whose records `originals` has; `emitters` are the folds that re-key. */
  static async of(
    changes: readonly CorrectionChange[],
    originals: Originals,
    emitters: readonly FoldRunner[],
    slices: Slices,
  ): Promise<ChangedRecords> {
    const changed = new ChangedRecords()
    for (const { entry, before, after } of changes) {
      const origin = originals.of(entry)
      if (origin === undefined) continue
      const isAndWas = (record: LogRecord): RecordChange => ({
        before: asCorrected(record, before),
        after: asCorrected(record, after),
        origin,
      })
      changed.#put(origin, isAndWas(origin))
      for (const emitter of emitters) {
        if (emitter.definition.source !== origin.stream) continue
        for (const record of rekey(emitter, origin)) changed.#put(record, isAndWas(record))
        for (const standIn of standInsOf(emitter, origin, before))
          changed.#put(standIn, { before: standIn, after: undefined, origin })
        for (const standIn of standInsOf(emitter, origin, after))
          changed.#put(standIn, { before: undefined, after: standIn, origin })
      }
      await slices.pause()
    }
    return changed
  }

  /** Those of one partition, in the order of the events that were corrected. */
  in(stream: string, partition: number): readonly RecordChange[] {
    return this.#byPlace.get(partitionName(stream, partition)) ?? []
  }

  #put({ stream, partition }: LogRecord, change: RecordChange): void {
    const name = partitionName(stream, partition)
    const known = this.#byPlace.get(name)
    if (known === undefined) this.#byPlace.set(name, [change])
    else known.push(change)
  }
}
