/**
 * Weights of a blend, chosen on validation. Each person's candidates are the best of every model; their
 * standardised scores are added. Models join one after the other while that helps (Caruana et al. 2004),
 * and every weight is then tried larger and smaller.
 */
import type { Floats, Workspace } from '../kernels/workspace.ts'
import { estimate, measureLists, type Truth } from './measure.ts'
import type { Events } from './events.ts'
import type { Model } from './model.ts'
import { addScores, forBlocks, takeBest, type Lists } from './scoring.ts'
import type { Validation } from './validation.ts'

/** Scores of some candidates of each person by every model. */
interface Pool {
  readonly people: number
  readonly offsets: Int32Array
  readonly ids: Int32Array
  /** By model. */
  readonly scores: readonly Float32Array[]
}

/** A model joins when it improves by this share, or more than its own noise suggests. */
const GAIN_MIN = 0.002
const CANDIDATES = 100
const WEIGHTS = [0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5]

/** Weights of the models, 0 for those left out, and what they reach. */
export interface BlendChoice {
  readonly weights: readonly number[]
  readonly goal: number
}

/** What settings are chosen by: the mean of recall and NDCG over the lengths of lists. */
export function goalOf(lists: Lists, truth: Truth, ks: readonly number[]): number {
  return estimate(goalsOf(lists, truth, ks)).value
}

/** The goal of each person. */
export function goalsOf(lists: Lists, truth: Truth, ks: readonly number[]): Float64Array {
  const parts = ks.flatMap(k => {
    const { recall, ndcg } = measureLists(lists, truth, k)
    return [recall, ndcg]
  })
  return (parts[0] as Float64Array).map(
    (_, person) => parts.reduce((sum, part) => sum + part[person]!, 0) / parts.length,
  )
}

/** Chooses weights for models that were fitted on the split; the first model counts 1 at the start. */
export async function chooseBlend(
  workspace: Workspace,
  models: readonly Model[],
  { histories, truth }: Validation,
  ks: readonly number[],
): Promise<BlendChoice> {
  const pool = await poolOf(workspace, models, histories)
  const goal = (weights: readonly number[]): number => goalOfWeights(pool, weights, truth, ks)
  let best = pickBest(
    models.map((_, at) => models.map((_, other) => (other === at ? 1 : 0))),
    goal,
  )
  for (;;) {
    const trials = best.weights.flatMap((weight, at) =>
      weight > 0 ? [] : WEIGHTS.map(w => best.weights.with(at, w)),
    )
    const next = pickBest(trials, goal)
    if (!(next.goal > best.goal * (1 + GAIN_MIN))) break
    best = next
  }
  for (const factor of [1.5, 0.67, 1.25, 0.8]) {
    const trials = best.weights.flatMap((weight, at) =>
      weight > 0 ? [best.weights.with(at, weight * factor)] : [],
    )
    const next = pickBest(trials, goal)
    if (next.goal > best.goal) best = next
  }
  return best
}

function pickBest(
  trials: readonly (readonly number[])[],
  goal: (weights: readonly number[]) => number,
): BlendChoice {
  let best: BlendChoice = { weights: [], goal: -Infinity }
  for (const weights of trials) {
    const reached = goal(weights)
    if (reached > best.goal) best = { weights, goal: reached }
  }
  return best
}

function goalOfWeights(
  pool: Pool,
  weights: readonly number[],
  truth: Truth,
  ks: readonly number[],
): number {
  const k = Math.max(...ks)
  const ids = new Int32Array(pool.people * k).fill(-1)
  const top = new Float64Array(k)
  const used = weights.flatMap((weight, at) => (weight > 0 ? [at] : []))
  for (let person = 0; person < pool.people; person++) {
    top.fill(-Infinity)
    const base = person * k
    for (let at = pool.offsets[person]!; at < pool.offsets[person + 1]!; at++) {
      let score = 0
      for (const model of used) score += weights[model]! * pool.scores[model]![at]!
      if (!(score > top[k - 1]!)) continue
      let place = k - 1
      for (; place > 0 && top[place - 1]! < score; place--) {
        top[place] = top[place - 1]!
        ids[base + place] = ids[base + place - 1]!
      }
      top[place] = score
      ids[base + place] = pool.ids[at]!
    }
  }
  return goalOf({ k, ids, scores: new Float32Array(0) }, truth, ks)
}

/** The union of every model's best, with the standardised scores of all models. */
async function poolOf(
  workspace: Workspace,
  models: readonly Model[],
  histories: Events,
): Promise<Pool> {
  const { items } = histories
  const k = Math.min(CANDIDATES, items)
  const rows: { ids: number[]; scores: number[][] }[] = []
  await forBlocks(workspace, histories, async (_, block, scores) => {
    const totals: Floats[] = []
    const unions = Array.from({ length: block.people }, () => new Set<number>())
    for (const model of models) {
      const total = workspace.floats(block.people * items)
      await addScores(workspace, { model, weight: 1 }, block, { scores, total })
      const best = await takeBest(workspace, block, total, k)
      best.ids.forEach((id, at) => id >= 0 && unions[Math.floor(at / k)]!.add(id))
      workspace.free(best.ids, best.scores)
      totals.push(total)
    }
    unions.forEach((union, row) => {
      const ids = [...union].sort((a, b) => a - b)
      rows.push({ ids, scores: totals.map(total => ids.map(id => total[row * items + id]!)) })
    })
    workspace.free(...totals)
  })
  const offsets = new Int32Array(rows.length + 1)
  rows.forEach(({ ids }, row) => (offsets[row + 1] = offsets[row]! + ids.length))
  const fill = <T extends Int32Array | Float32Array>(
    out: T,
    of: (row: number) => readonly number[],
  ): T => {
    rows.forEach((_, row) => out.set(of(row), offsets[row]))
    return out
  }
  const total = offsets[rows.length]!
  return {
    people: rows.length,
    offsets,
    ids: fill(new Int32Array(total), row => rows[row]!.ids),
    scores: models.map((_, at) => fill(new Float32Array(total), row => rows[row]!.scores[at]!)),
  }
}
