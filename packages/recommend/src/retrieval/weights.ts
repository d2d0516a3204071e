/** How much an event with a weight counts: chosen on validation, because it depends on what weights mean. */
import type { Workspace } from '../kernels/workspace.ts'
import { goalOf } from './blend.ts'
import { freeEvents, placesOf, type Events } from './events.ts'
import { fitNeighbours } from './lists.ts'
import { listsOf } from './scoring.ts'
import { splitForValidation } from './validation.ts'

/** What becomes of weights. */
export type WeightScale = 'alike' | 'logarithm' | 'linear'

const SCALES: Readonly<Record<WeightScale, (relative: number) => number>> = {
  alike: () => 1,
  logarithm: relative => Math.log1p(relative) / Math.LN2,
  linear: relative => Math.min(10, relative),
}

/** Another scale than "all alike" must be better by this share. */
const GAIN_MIN = 0.005

/**
 * Replaces the values of events by the scale of them that predicts best (by neighbours, which are cheap),
 * relative to their mean. Values that are all the same become 1.
 */
export async function scaleWeights(
  workspace: Workspace,
  events: Events,
  options: { readonly isOrdered: boolean; readonly ks: readonly number[]; readonly seed: number },
): Promise<WeightScale> {
  const raw = Float64Array.from(events.values)
  const mean = raw.reduce((sum, value) => sum + value, 0) / raw.length
  const apply = (scale: WeightScale): void =>
    raw.forEach((value, at) => (events.values[at] = SCALES[scale](value / mean)))
  let best: WeightScale = 'alike'
  let bestGoal = 0
  if (raw.some(value => value !== raw[0])) {
    for (const scale of Object.keys(SCALES) as WeightScale[]) {
      apply(scale)
      const goal = await goalOfEvents(workspace, events, options)
      if (goal <= bestGoal * (scale === 'alike' ? 1 : 1 + GAIN_MIN)) continue
      best = scale
      bestGoal = goal
    }
  }
  apply(best)
  return best
}

async function goalOfEvents(
  workspace: Workspace,
  events: Events,
  { isOrdered, ks, seed }: Parameters<typeof scaleWeights>[2],
): Promise<number> {
  const split = splitForValidation(workspace, events, { isOrdered, seed, peopleMax: 1000 })
  if (split === undefined) return 0
  const places = placesOf(workspace, split.events)
  const model = await fitNeighbours(workspace, split.events, places, { personExponent: 0.3, rowExponent: 0.5, columnExponent: 0.5, width: Math.min(64, events.items), halfLife: Infinity }) // prettier-ignore
  const lists = await listsOf(workspace, [{ model, weight: 1 }], split.histories, Math.max(...ks))
  model.release()
  workspace.free(places.offsets, places.places, places.owners)
  freeEvents(workspace, split.events)
  freeEvents(workspace, split.histories)
  return goalOf(lists, split.truth, ks)
}
