/** The truth about an audience, for measuring: regret, lift, estimates from logged data. */
import { simErrors } from '../errors.ts'
import type { Item } from './catalogue.ts'
import { bestOf } from './taste.ts'
import type { Slate, World } from './world.ts'

/** An item with its truth. */
export interface TrueItem {
  readonly id: string
  /** Appeal to the person at that moment, in [0, 1]. */
  readonly appeal: number
}

/**
 * What nobody outside a simulation can know. Times are virtual (`audience.nowMs`). Interests and
 * freshness can be asked for any time; what a person has met, enrolled in or learnt is as of now.
 * Unknown people and items are refused (SIM_OPTION_INVALID).
 */
export interface Oracle {
  /** How much the person would enjoy the item, met for the first time at that moment; in (0, 1). */
  affinity(person: string, item: string, atMs: number): number
  /** The published items with the greatest appeal, best first; items met before count for less. No slate has a greater expected reward. */
  bestItems(
    person: string,
    n: number,
    atMs: number,
    options?: { kind?: 'clip' | 'course' },
  ): readonly TrueItem[]
  /** The mean of what the slate will bring: fractions of clips watched, or enrolments, summed over its positions. */
  expectedReward(slate: Slate, person: string, atMs: number): number
  /** Chance that the item at this position, from 0, is examined. */
  examineChance(position: number): number
  /** Chance that the person starts a clip that they examine at that moment; `isMet` when they remember it. */
  startChance(
    person: string,
    clip: string,
    when: { readonly atMs: number; readonly isMet: boolean },
  ): number
  /** Interest by topic at that moment: about -1 (none) to 4. */
  interests(person: string, atMs: number): ReadonlyMap<string, number>
}

/** Creates the oracle of a world. */
export function createOracle(world: World): Oracle {
  const { catalogue, people, taste } = world
  const personOf = (id: string): number => people.find(id) ?? refuse('person', id)
  const itemOf = (id: string): Item => catalogue.find(id) ?? refuse('item', id)
  return {
    affinity: (person, item, atMs) => taste.affinity(personOf(person), itemOf(item), atMs),
    bestItems(person, n, atMs, options = {}) {
      const index = personOf(person)
      const items = options.kind === 'course' ? catalogue.courses : catalogue.clips
      return bestOf(items, n, item =>
        item.publishedMs > atMs ? -1 : taste.appeal(index, item, atMs),
      )
        .filter(best => best.score >= 0)
        .map(best => ({ id: best.item.id, appeal: best.score }))
    },
    expectedReward(slate, person, atMs) {
      const index = personOf(person)
      const items = new Set(slate.map(each => itemOf(each.id)))
      let sum = 0
      let position = 0
      for (const item of items) {
        sum += taste.examineChance(position++) * taste.reward(index, item, atMs)
      }
      return sum
    },
    examineChance: position => taste.examineChance(position),
    startChance: (person, clip, when) => taste.startChance(personOf(person), itemOf(clip), when),
    interests(person, atMs) {
      const row = people.interestsAt(personOf(person), atMs)
      return new Map(
        catalogue.topics.map((topic, at) => [topic, people.interests[row + at] as number]),
      )
    },
  }
}

function refuse(option: string, id: string): never {
  throw simErrors.create('SIM_OPTION_INVALID', { option, reason: `there is no ${id}` })
}
