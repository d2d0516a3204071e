/** Bases of folds in worlds of a branch: where keys can begin that are folded again (`bases.ts`). */
import { firstOffset } from '../corrections/lane-changes.ts'
import type { RecordChange } from '../corrections/originals.ts'
import type { Beside, Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import type { LaneImage } from '../snapshot-codec.ts'
import type { Ground } from './ground.ts'

/** A base that holds in a world. */
export interface BaseIn {
  readonly image: LaneImage
  /** The keys of a lane that begins there which had read a row that is another one by now. */
  staleIn(lane: Lane): Promise<ReadonlySet<string>>
}

/** What a world has otherwise than the ground, for some keys of a lane. */
export interface Otherwise {
  readonly changes: readonly RecordChange[]
  /** Rows of joined tables, by table. */
  readonly rows: ReadonlyMap<FoldRunner, ReadonlySet<string>>
}

/** The newest base of a lane from which keys can be folded in a world; undefined where they begin at their first record. */
export async function baseIn(
  ground: Ground,
  runner: FoldRunner,
  { lane, keys }: { readonly lane: Lane; readonly keys: ReadonlySet<string> },
  { changes, rows }: Otherwise,
): Promise<BaseIn | undefined> {
  if (runner.definition !== ground.definitionOf(runner)) return undefined
  const { log, bases, watch, corrector } = ground.ports
  const { known } = await ground.bound(runner, lane.partition)
  const own = await firstOffset(log, lane, changes)
  const image = await bases.find(runner, lane, keys, async ({ corrected = 0, ...header }) => {
    // It is of another past of the log, or of a time behind the branch.
    if (corrected > ground.corrected) return 0
    if (!(await corrector.rows.areSame(watch.tablesOf(runner), header, ground.corrected))) return 0
    const since = await corrector.touchedBetween(lane, corrected, ground.corrected)
    // Who somebody is is otherwise from the first record on.
    if (since.keys.length > 0) return 0
    return Math.min(own, known, await firstOffset(log, lane, since.records))
  })
  if (image === undefined || !(await isKnown(ground, runner, image))) return undefined
  return {
    image,
    async staleIn(copy) {
      const beside: Beside = { lane: copy, stale: new Set() }
      await watch.catchUpBeside({ log, rows: corrector.rows }, runner, beside, image.header)
      for (const [table, ids] of rows) {
        for (const kind of watch.kindsOf(table)) {
          for (const id of ids) {
            for (const key of copy.shard.readersOf?.(kind, id, -Infinity) ?? [])
              beside.stale.add(key)
          }
        }
      }
      return beside.stale
    },
  }
}

/** True when the tables had nothing at the base that was not known where the branch begins. */
async function isKnown(
  ground: Ground,
  runner: FoldRunner,
  { header: { tables } }: LaneImage,
): Promise<boolean> {
  for (const table of ground.ports.watch.tablesOf(runner)) {
    for (const { lane } of table.lanes) {
      const { known } = await ground.bound(table, lane.partition)
      if ((tables[`${table.name}/${lane.partition}`] ?? 0) > known) return false
    }
  }
  return true
}
