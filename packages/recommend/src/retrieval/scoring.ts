/** Scores and lists of many people, a block of rows at a time. */
import type { Floats, Ints, Workspace } from '../kernels/workspace.ts'
import type { Events } from './events.ts'
import type { Model } from './model.ts'

/** A model and how much its standardised scores count. */
export interface Weighted {
  readonly model: Model
  readonly weight: number
}

/** Lists of `k` items a person, best first, -1 where there are fewer; with their scores. */
export interface Lists {
  readonly k: number
  readonly ids: Int32Array
  readonly scores: Float32Array
}

/** Numbers in a block of scores. */
const BLOCK_SCORES = 8_000_000

/**
 * Calls `visit` with blocks of rows: `first`, the rows as events of their own, and space for their scores.
 * What it is given is taken back when it returns.
 */
export async function forBlocks(
  workspace: Workspace,
  histories: Events,
  visit: (first: number, block: Events, scores: Floats) => Promise<void>,
): Promise<void> {
  const { people, items, offsets, ids, values } = histories
  const size = Math.max(1, Math.min(people, 512, Math.floor(BLOCK_SCORES / items)))
  const scores = workspace.floats(size * items)
  for (let first = 0; first < people; first += size) {
    const count = Math.min(size, people - first)
    const [from, until] = [offsets[first] as number, offsets[first + count] as number]
    const block: Events = {
      people: count,
      items,
      offsets: workspace.intsOf(offsets.subarray(first, first + count + 1).map(at => at - from)),
      ids: workspace.intsOf(ids.subarray(from, until)),
      values: workspace.floatsOf(values.subarray(from, until)),
    }
    await visit(first, block, scores)
    workspace.free(block.offsets, block.ids, block.values)
  }
  workspace.free(scores)
}

/** Adds `weight` times the standardised scores of a model to `total`; `scores` is space. */
export async function addScores(
  workspace: Workspace,
  { model, weight }: Weighted,
  block: Events,
  space: { readonly scores: Floats; readonly total: Floats },
): Promise<void> {
  const { people, items, offsets, ids } = block
  await model.score(block, space.scores)
  await workspace.run('blend', { work: people * items }, people, items, space.scores, items * 4, model.itemScale, offsets, ids, weight, space.total, items * 4) // prettier-ignore
}

/** The best `k` unseen items of each row by a blend of models. */
export async function listsOf(
  workspace: Workspace,
  blend: readonly Weighted[],
  histories: Events,
  k: number,
): Promise<Lists> {
  const { items } = histories
  const lists = {
    k,
    ids: new Int32Array(histories.people * k),
    scores: new Float32Array(histories.people * k),
  }
  await forBlocks(workspace, histories, async (first, block, scores) => {
    const total = workspace.floats(block.people * items)
    for (const weighted of blend) await addScores(workspace, weighted, block, { scores, total })
    const best = await takeBest(workspace, block, total, k)
    lists.ids.set(best.ids, first * k)
    lists.scores.set(best.scores, first * k)
    workspace.free(total, best.ids, best.scores)
  })
  return lists
}

/** The best `k` of rows of scores, in the memory of the kernels; seen items lose their scores. */
export async function takeBest(
  workspace: Workspace,
  { people, items, offsets, ids }: Events,
  total: Floats,
  k: number,
): Promise<{ readonly ids: Ints; readonly scores: Floats }> {
  const best = { ids: workspace.ints(people * k), scores: workspace.floats(people * k) }
  await workspace.run('top', { work: people * items }, people, items, total, items * 4, offsets, ids, k, best.ids, best.scores) // prettier-ignore
  return best
}
