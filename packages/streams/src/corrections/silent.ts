import type { Clock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { Lane } from '../lane.ts'
import { refoldKeys } from '../rebuild.ts'
import type { RefoldPorts } from '../refold.ts'
import { Slices } from '../slices.ts'
import type { CorrectionBook } from './book.ts'
import { ChangedRecords } from './changed-records.ts'
import { isBehind, keysOf } from './lane-changes.ts'
import { Originals } from './originals.ts'

const SLICE_MS = 100

/**
 * Brings lanes that emit nothing, and that nobody reads meanwhile, from the first `from` records of
 * corrections to the first `to`: the keys that these touch are folded again. What re-keying and
 * emitting folds did because of them is in the log, and is read from there.
 */
export async function correctSilently(
  ports: { readonly log: Pick<EventLog, 'read' | 'history'>; readonly clock: Clock },
  book: CorrectionBook,
  lanes: Iterable<Lane>,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const changes = book.changes(from, to)
  const originals = new Originals(ports.log)
  await originals.load(changes.map(({ entry }) => entry))
  const createSlices = (): Slices => new Slices(ports.clock, SLICE_MS)
  const changed = new ChangedRecords(changes, { originals, emitters: [], createSlices })
  const refold: RefoldPorts = { ...ports, sliceMs: SLICE_MS }
  for (const lane of lanes) {
    lane.corrections = book.at(to)
    const found = await changed.in(lane.definition.source, lane.partition)
    const keys = keysOf(
      lane,
      found.filter(change => !isBehind(lane, change)),
    )
    await refoldKeys(refold, { lane }, [...keys])
  }
}
