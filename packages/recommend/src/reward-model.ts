/**
 * A model of what people do in the slots of lists, for doubly robust estimates: a chance for each place,
 * apart for what a policy ranks best there and for the others, times how much more than that each item
 * draws where it is the best. The factors are scaled in turn until they fit the sums (iterative
 * proportional fitting), each shrunk to 1 by a few imagined acts.
 *
 * The model knows of an item only whether it is the best of the target, and which: so its mean under the
 * target needs the best of each slot and its chance, not the whole pool, and is exact.
 *
 * The people are in two halves, and each half is judged by the model of the other: nobody's own act is
 * a part of what was expected of them, and the intervals of `estimateOffPolicy` hold (cross-fitting;
 * Chernozhukov and others 2018).
 */
import { checkArgument } from './errors.ts'
import type { LoggedChoices } from './off-policy.ts'

/** Slots of lists as they were shown, in columns of one length. */
export interface ListedChoices {
  readonly rewards: Float64Array
  /** Whose list it was, from 0. */
  readonly clusters: Int32Array
  /** Slots from 0. */
  readonly slots: Int32Array
  /** Number of the item that was shown. */
  readonly shown: Int32Array
  /** Number of the item that the target ranks best there, after those above as they were shown; -1 where it shows none. */
  readonly best: Int32Array
  /** The chance that the target gives to that; the others share the rest. */
  readonly bestChances: Float64Array
}

const ROUNDS = 10
/** Acts that every factor is thought to have had beside those that were logged, as many as expected. */
const IMAGINED = 3

/** Fits the model and says what it expects of what was shown, and of the target in the same slot. Throws RECOMMEND_ARGUMENT_INVALID. */
export function expectRewards(
  choices: ListedChoices,
): Pick<Required<LoggedChoices>, 'predicted' | 'expected'> {
  const { rewards, clusters, slots, shown, best, bestChances } = choices
  const count = rewards.length
  for (const [name, column] of Object.entries({ clusters, slots, shown, best, bestChances })) {
    checkArgument(column.length === count, name, column.length, `the columns have ${count} entries`)
  }
  const models = [0, 1].map(half => new RewardModel(choices, half))
  const predicted = new Float64Array(count)
  const expected = new Float64Array(count)
  for (let at = 0; at < count; at++) {
    const model = models[1 - ((clusters[at] as number) & 1)] as RewardModel
    const slot = slots[at] as number
    const item = best[at] as number
    predicted[at] = model.expect(slot, item === shown[at] ? item : OTHER)
    if (item === OTHER) continue
    const chance = bestChances[at] as number
    expected[at] = chance * model.expect(slot, item) + (1 - chance) * model.expect(slot, OTHER)
  }
  return { predicted, expected }
}

/** In place of an item that is not the best of the target. */
const OTHER = -1

/** A factor for each of some small numbers. */
class Factors {
  readonly #values: Float64Array
  readonly #acts: Float64Array
  readonly #expected: Float64Array

  constructor(count: number) {
    this.#values = new Float64Array(count).fill(1)
    this.#acts = new Float64Array(count)
    this.#expected = new Float64Array(count)
  }

  of(at: number): number {
    return this.#values[at] as number
  }

  note(at: number, act: number, expected: number): void {
    this.#acts[at] = (this.#acts[at] as number) + act
    this.#expected[at] = (this.#expected[at] as number) + expected
  }

  /** Scales each so that what is expected is what was done. */
  scale(): void {
    for (const [at, value] of this.#values.entries()) {
      const [acts, expected] = [this.#acts[at] as number, this.#expected[at] as number]
      this.#values[at] = (value * (acts + IMAGINED)) / (expected + IMAGINED)
    }
    this.#acts.fill(0)
    this.#expected.fill(0)
  }
}

/** The model of one half of the people. */
class RewardModel {
  readonly #mean: number
  readonly #places: Factors
  readonly #items: Factors

  constructor({ rewards, clusters, slots, shown, best }: ListedChoices, half: number) {
    this.#places = new Factors(2 * greatest(slots) + 2)
    this.#items = new Factors(greatest(best) + 1)
    const own: number[] = []
    let acts = 0
    for (let at = 0; at < rewards.length; at++) {
      if (((clusters[at] as number) & 1) !== half) continue
      own.push(at)
      acts += rewards[at] as number
    }
    this.#mean = own.length === 0 ? 0 : acts / own.length
    for (let round = 0; round < ROUNDS; round++) {
      for (const factors of [this.#places, this.#items]) {
        for (const at of own) {
          const slot = slots[at] as number
          const item = best[at] === shown[at] ? (best[at] as number) : OTHER
          const place = factors === this.#places ? placeOf(slot, item) : item
          if (place >= 0) factors.note(place, rewards[at] as number, this.#product(slot, item))
        }
        factors.scale()
      }
    }
  }

  /** The chance of an act in a slot: on an item that is the best there, or on one of the others. */
  expect(slot: number, item: number): number {
    return Math.min(1, this.#product(slot, item))
  }

  #product(slot: number, item: number): number {
    const place = this.#mean * this.#places.of(placeOf(slot, item))
    return item === OTHER ? place : place * this.#items.of(item)
  }
}

function placeOf(slot: number, item: number): number {
  return 2 * slot + (item === OTHER ? 1 : 0)
}

function greatest(column: Int32Array): number {
  return column.reduce((most, each) => Math.max(most, each), 0)
}
