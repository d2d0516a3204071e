import type { Clock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { PERSON } from '../identity/contract.ts'
import type { Emitter } from '../identity/counted.ts'
import { keysOfMerged } from '../identity/touched.ts'
import type { Lane } from '../lane.ts'
import { refoldKeys } from '../rebuild.ts'
import type { RefoldPorts } from '../refold.ts'
import { Slices } from '../slices.ts'
import type { CorrectionBook } from './book.ts'
import { ChangedRecords } from './changed-records.ts'
import { isBehind, keysOf } from './lane-changes.ts'
import { Originals } from './originals.ts'

const SLICE_MS = 100

/** Which corrections come. `rekeying`: the folds by which the events reach the re-keyed streams among the lanes' sources. */
export interface SilentSpan {
  readonly from: number
  readonly to: number
  readonly rekeying: readonly Emitter[]
}

/**
 * Brings lanes that emit nothing, and that nobody reads meanwhile, from the first `from` records of
 * corrections to the first `to`: the keys that these touch are folded again. What re-keying and
 * emitting folds did because of them is in the log, and is read from there.
 */
export async function correctSilently(
  ports: { readonly log: Pick<EventLog, 'read' | 'history'>; readonly clock: Clock },
  book: CorrectionBook,
  lanes: Iterable<Lane>,
  { from, to, rekeying }: SilentSpan,
): Promise<void> {
  const changes = book.changes(from, to)
  const originals = new Originals(ports.log)
  await originals.load(changes.map(({ entry }) => entry))
  const createSlices = (): Slices => new Slices(ports.clock, SLICE_MS)
  const span = { before: book.at(from), after: book.at(to) }
  const ids = book.people.changed(from, to)
  const all = [...lanes]
  const people = new Map(all.flatMap(({ definition }) => [...(definition.people ?? [])]))
  const own = all.find(({ definition }) => definition.source === PERSON)
  const graph = { runners: rekeying, people, partitions: own?.options.partitions ?? 1 }
  const changed = new ChangedRecords(changes, { originals, graph, people: span, createSlices })
  const refold: RefoldPorts = { ...ports, sliceMs: SLICE_MS }
  for (const lane of all) {
    lane.corrections = book.at(to)
    const found = await changed.in(lane.definition.source, lane.partition)
    const keys = keysOf(
      lane,
      found.filter(change => !isBehind(lane, change)),
    )
    const merged = keysOfMerged(lane, ids, span)
    await refoldKeys(refold, { lane }, [...new Set([...keys, ...merged])])
  }
}
