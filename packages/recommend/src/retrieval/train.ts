/**
 * Training: every family that suits the data is fitted on a split of it, its settings and the weights of
 * the blend are chosen by what that split held out, and what was chosen is fitted again on everything.
 * The same data, seed and options give the same models, whatever the number of threads.
 */
import type { Clock } from '@millrace/core'
import type { Workspace } from '../kernels/workspace.ts'
import { chooseBlend, goalsOf } from './blend.ts'
import { estimate } from './measure.ts'
import { freeEvents, placesOf, type Events, type Places } from './events.ts'
import type { Family, Model, Settings } from './model.ts'
import { listsOf, type Weighted } from './scoring.ts'
import { fitterOf, plansFor, type Kept, type Plan } from './search.ts'
import { fitBasis } from './spectral.ts'
import { splitForValidation, type Validation } from './validation.ts'
import { scaleWeights, type WeightScale } from './weights.ts'
import { fitNeighbours } from './lists.ts'
import { fitPopularity } from './popularity.ts'

/** What a training needs to know besides the events. */
export interface TrainOptions {
  /** The rows are in the order in which things happened. */
  readonly isOrdered: boolean
  /** A smaller search, for a tenth of the time. */
  readonly isFast?: boolean
  /** Lengths of lists that it is chosen for. */
  readonly ks: readonly number[]
  readonly seed: number
  readonly clock: Clock
  readonly onProgress?: (what: string) => void
}

/** One fit on the split. */
export interface TrialReport {
  readonly family: Family
  readonly settings: Settings
  /** Mean of recall and NDCG on what was held out. */
  readonly goal: number
  readonly seconds: number
}

/** What was chosen, and how. */
export interface TrainReport {
  readonly blend: readonly {
    readonly family: Family
    readonly settings: Settings
    readonly weight: number
  }[]
  /** What the blend reaches on validation; absent when there was nothing to validate on. */
  readonly goal?: number
  readonly validation: { readonly people: number; readonly heldOut: number; readonly split: 'last' | 'random' | 'none' } // prettier-ignore
  /** What became of the weights of events. */
  readonly weights: WeightScale
  readonly trials: readonly TrialReport[]
  readonly chooseSeconds: number
  readonly fitSeconds: number
}

/** Models that are scored together. */
export interface Trained {
  readonly blend: readonly Weighted[]
  readonly report: TrainReport
  release(): void
}

/** The best model of a family on the split. */
interface Finalist {
  readonly plan: Plan
  readonly model: Model
  readonly kept: Kept
  /** Of each person. */
  readonly goals: Float64Array
}

/** A setting must improve by this share to replace another. */
const SETTING_GAIN_MIN = 0.01

/** What is fitted to everything in the end. */
interface Chosen {
  readonly plan: Plan
  readonly settings: Settings
  readonly weight: number
  readonly kept: Kept
}

/** Popularity decides between items that nothing else tells apart, and for people without a history. */
const POPULARITY_WEIGHT_MIN = 0.001

/** Trains on events, whose values are replaced by the scale of them that was chosen. */
export async function trainRetrieval(
  workspace: Workspace,
  events: Events,
  options: TrainOptions,
): Promise<Trained> {
  const { clock, isOrdered, isFast = false, seed } = options
  const started = clock.monotonicMs()
  const weights = await scaleWeights(workspace, events, options)
  const validation = splitForValidation(workspace, events, {
    isOrdered,
    seed,
    ...(isFast ? { peopleMax: 600 } : {}),
  })
  const trials: TrialReport[] = []
  const plans = plansFor({
    people: events.people,
    items: events.items,
    events: events.ids.length,
    isOrdered,
    isFast,
    seed,
  })
  const { goal, chosen } =
    validation === undefined
      ? { chosen: [] }
      : await choose(workspace, validation, plans, options, trials)
  if (!chosen.some(({ plan }) => plan.family === 'popularity')) {
    const plan: Plan = { family: 'popularity', start: { halfLife: Infinity }, ladders: [] }
    const weight = chosen.length === 0 ? 1 : POPULARITY_WEIGHT_MIN
    chosen.push({ plan, settings: plan.start, weight, kept: {} })
  }
  const fitted = clock.monotonicMs()
  const places = placesOf(workspace, events)
  const blend: Weighted[] = []
  for (const { plan, settings, weight, kept } of chosen) {
    options.onProgress?.(`${plan.family} on everything`)
    const model = await refit(workspace, { events, places, plan, settings, kept })
    if (model !== undefined) blend.push({ model, weight })
  }
  workspace.free(places.offsets, places.places, places.owners)
  return {
    blend,
    report: {
      blend: blend.map(({ model, weight }) => ({ family: model.family, settings: model.settings, weight })), // prettier-ignore
      ...(goal === undefined ? {} : { goal }),
      validation: {
        people: validation?.histories.people ?? 0,
        heldOut: validation?.truth.ids.length ?? 0,
        split: validation === undefined ? 'none' : isOrdered ? 'last' : 'random',
      },
      weights,
      trials,
      chooseSeconds: (fitted - started) / 1000,
      fitSeconds: (clock.monotonicMs() - fitted) / 1000,
    },
    release() {
      for (const { model } of blend) model.release()
      for (const { kept } of chosen) workspace.free(kept.basis?.vectors)
    },
  }
}

/** What is in the blend, and what it reached on the split, whose events are given back. */
async function choose(
  workspace: Workspace,
  validation: Validation,
  plans: readonly Plan[],
  options: TrainOptions,
  trials: TrialReport[],
): Promise<{ readonly goal?: number; readonly chosen: Chosen[] }> {
  const finalists = await findFinalists(workspace, validation, plans, options, trials)
  options.onProgress?.('weights of the blend')
  const models = finalists.map(({ model }) => model)
  const { weights, goal } = await chooseBlend(workspace, models, validation, options.ks)
  const chosen: Chosen[] = []
  finalists.forEach(({ plan, model, kept }, at) => {
    const weight = weights[at] as number
    if (weight > 0) chosen.push({ plan, settings: model.settings, weight, kept })
    else workspace.free(kept.basis?.vectors)
    model.release()
  })
  freeEvents(workspace, validation.events)
  freeEvents(workspace, validation.histories)
  return { goal, chosen }
}

/** Climbs the ladders of each plan; the models that are returned are still fitted to the split. */
async function findFinalists(
  workspace: Workspace,
  validation: Validation,
  plans: readonly Plan[],
  { clock, ks, onProgress }: TrainOptions,
  trials: TrialReport[],
): Promise<Finalist[]> {
  const places = placesOf(workspace, validation.events)
  const finalists: Finalist[] = []
  for (const plan of plans) {
    const fit = fitterOf(workspace, plan.family, validation.events, places)
    const kept: Kept = {}
    const found: Finalist[] = []
    const attempt = async (settings: Settings): Promise<void> => {
      onProgress?.(`${plan.family} ${JSON.stringify(settings)}`)
      const started = clock.monotonicMs()
      const model = await fit(settings, kept)
      if (model === undefined) return
      const { histories, truth } = validation
      const lists = await listsOf(workspace, [{ model, weight: 1 }], histories, Math.max(...ks))
      const goals = goalsOf(lists, truth, ks)
      const goal = estimate(goals).value
      const seconds = (clock.monotonicMs() - started) / 1000
      trials.push({ family: plan.family, settings: model.settings, goal, seconds })
      if (found[0] !== undefined && !isBetter(goals, found[0].goals)) model.release()
      else found.splice(0, 1, { plan, model, kept, goals })[0]?.model.release()
    }
    await attempt(plan.start)
    for (const [setting, values] of plan.ladders) {
      const from = found[0]?.model.settings ?? plan.start
      for (const value of values) await attempt({ ...from, [setting]: value })
    }
    finalists.push(...found)
  }
  workspace.free(places.offsets, places.places, places.owners)
  return finalists
}

/**
 * Settings are left only for clearly better ones: by 1 %, and by the standard error of the difference. What
 * a plan starts with has proved itself elsewhere, and the best of many trials is partly luck.
 */
function isBetter(goals: Float64Array, than: Float64Array): boolean {
  const { value, high } = estimate(goals.map((goal, person) => goal - than[person]!))
  return value > Math.max(SETTING_GAIN_MIN * estimate(than).value, (high - value) / 1.96)
}

/** Fits what was chosen to all events; a basis starts from the one of the split. */
async function refit(
  workspace: Workspace,
  {
    events,
    places,
    plan,
    settings,
    kept,
  }: {
    readonly events: Events
    readonly places: Places
    readonly plan: Plan
    readonly settings: Settings
    readonly kept: Kept
  },
): Promise<Model | undefined> {
  const { basis } = kept
  if (basis !== undefined) {
    const { rank = basis.settings.rank } = settings
    kept.basis = await fitBasis(workspace, events, places, { ...basis.settings, rank, rounds: 1 }, basis) // prettier-ignore
    workspace.free(basis.vectors)
  }
  return await fitterOf(workspace, plan.family, events, places)(settings, kept)
}

/** What every evaluation stands beside: popularity, and cosine neighbours. */
export async function trainBaselines(
  workspace: Workspace,
  events: Events,
): Promise<readonly { readonly name: string; readonly models: readonly Weighted[] }[]> {
  const places = placesOf(workspace, events)
  const popularity = (): Model => fitPopularity(workspace, events, { halfLife: Infinity })
  const width = Math.min(100, events.items)
  const cosine = await fitNeighbours(workspace, events, places, { personExponent: 0, rowExponent: 0.5, columnExponent: 0.5, width, halfLife: Infinity }) // prettier-ignore
  workspace.free(places.offsets, places.places, places.owners)
  const common = { model: popularity(), weight: POPULARITY_WEIGHT_MIN }
  return [
    { name: 'popularity', models: [{ model: popularity(), weight: 1 }] },
    { name: 'item-to-item', models: [{ model: cosine, weight: 1 }, common] },
  ]
}
