/**
 * What a person makes of an item. The truth that an oracle knows and a recommender has to find.
 *
 * Affinity, in (0, 1), is the logistic function of a sum: interest in the item's topics (lasting
 * and passing), the product of hidden factors of person and item (what no attribute shows, as in
 * matrix factorisation), quality, freshness for clips, and fit of level for courses. Behaviour
 * follows the position-based click model (Craswell and others, "An Experimental Comparison of
 * Click Position-Bias Models", WSDM 2008): whether a position is examined depends on the position
 * alone, whether an examined item is started on its appeal alone. So the expected reward of a slate
 * is a sum over its positions, exactly.
 */
import { FACTORS, type Item } from './catalogue.ts'
import type { AudienceOptions } from './options.ts'
import type { Population } from './people.ts'

const HOUR_MS = 3_600_000
const FRESH_MS = 72 * HOUR_MS
/** How much of the appeal is left for an item met before. */
const APPEAL_AGAIN = 0.3
const INTEGRATION_STEPS = 1_000

/** Chance that an examined clip is started. */
export const startChance = (appeal: number): number => 0.05 + 0.85 * appeal
/** The mean of it over appeals by chance. */
const START_BY_CHANCE = startChance(0.5)
/** Chance that a started clip is watched to its end. */
export const finishChance = (appeal: number): number => 0.8 * appeal * appeal
/** Mean fraction watched of a clip that is not finished; the fraction is uniform from 0 to twice this. */
export const leaveFraction = (appeal: number): number => 0.08 + 0.4 * appeal
/** Chance that a person enrols in an examined course. */
export const enrolChance = (appeal: number): number => 0.01 + 0.3 * appeal * appeal

function clipReward(appeal: number): number {
  const finish = finishChance(appeal)
  return startChance(appeal) * (finish + (1 - finish) * leaveFraction(appeal))
}

/** Affinity, appeal and reward. */
export class Taste {
  readonly #people: Population
  readonly #noise: number
  readonly #positionBias: number
  readonly #examined: number[] = []
  readonly #noiseReward: { readonly clip: number; readonly course: number }

  constructor(options: AudienceOptions, people: Population) {
    this.#people = people
    this.#noise = options.noise
    this.#positionBias = options.positionBias
    this.#noiseReward = { clip: meanOf(clipReward), course: meanOf(enrolChance) }
  }

  /** How much the person would enjoy the item, met for the first time at that moment. */
  affinity(person: number, item: Item, atMs: number): number {
    const people = this.#people
    const row = people.interestsAt(person, atMs)
    let interest = 0
    for (let at = 0; at < item.topics.length; at++) {
      const topic = item.topics[at] as number
      interest += (people.interests[row + topic] as number) * (item.topicWeights[at] as number)
    }
    let match = 0
    const from = person * FACTORS
    for (let at = 0; at < FACTORS; at++) {
      match += (people.factors[from + at] as number) * (item.factors[at] as number)
    }
    const sum = interest + match + 1.2 * item.quality - 1.4
    return logistic(sum + (item.isClip ? freshness(item, atMs) : this.#levelFit(person, item)))
  }

  /** Affinity, less what the person remembers of the item. */
  appeal(person: number, item: Item, atMs: number): number {
    if (!item.isClip && this.#people.isEnrolled(person, item.index)) return 0
    const affinity = this.affinity(person, item, atMs)
    return this.#people.isRemembered(person, item.index) ? affinity * APPEAL_AGAIN : affinity
  }

  /** Chance that the item at this position, from 0, is examined. */
  examineChance(position: number): number {
    return (this.#examined[position] ??= (1 + position) ** -this.#positionBias)
  }

  /** Expected reward of an examined item: fraction of a clip watched, or courses enrolled in. */
  reward(person: number, item: Item, atMs: number): number {
    const appeal = this.appeal(person, item, atMs)
    const byTaste = item.isClip ? clipReward(appeal) : enrolChance(appeal)
    const byChance = item.isClip ? this.#noiseReward.clip : this.#noiseReward.course
    return (1 - this.#noise) * byTaste + this.#noise * byChance
  }

  /** Chance that the person starts a clip that they examine at that moment; `isMet` when they remember it. */
  startChance(
    person: number,
    item: Item,
    { atMs, isMet }: { atMs: number; isMet: boolean },
  ): number {
    const affinity = this.affinity(person, item, atMs)
    const byTaste = startChance(isMet ? affinity * APPEAL_AGAIN : affinity)
    return (1 - this.#noise) * byTaste + this.#noise * START_BY_CHANCE
  }

  /** Too hard repels more than too easy. */
  #levelFit(person: number, item: Item): number {
    const skill = this.#people.skill(person, item.topics[0] as number)
    const gap = item.level - skill
    return gap > 0 ? 0.5 - 1.2 * gap : 0.5 + 0.6 * gap
  }
}

/** The items among the best for a person, best first, without sorting all. */
export function bestOf(
  items: readonly Item[],
  n: number,
  score: (item: Item) => number,
): { item: Item; score: number }[] {
  const best: { item: Item; score: number }[] = []
  let least = -Infinity
  for (const item of items) {
    const value = score(item)
    if (best.length === n && value <= least) continue
    let at = best.length
    while (at > 0 && (best[at - 1] as { score: number }).score < value) at -= 1
    best.splice(at, 0, { item, score: value })
    if (best.length > n) best.pop()
    least = (best.at(-1) as { score: number }).score
  }
  return best
}

function freshness(item: Item, atMs: number): number {
  const ageMs = atMs - item.publishedMs
  return ageMs <= 0 ? 0.9 : 0.9 * Math.exp(-ageMs / FRESH_MS)
}

function logistic(value: number): number {
  return 1 / (1 + Math.exp(-value))
}

function meanOf(curve: (appeal: number) => number): number {
  let sum = 0
  for (let step = 0; step < INTEGRATION_STEPS; step++)
    sum += curve((step + 0.5) / INTEGRATION_STEPS)
  return sum / INTEGRATION_STEPS
}
