/**
 * Filling the slots of a slate from ranked candidates, with a declared share of exploration.
 *
 * At each slot, given what was placed before: `best` is the best candidate that may stand there;
 * the others that may stand there are the slot's alternatives. With probability `explore` the slot
 * is given to one of the alternatives, each with equal chance; otherwise, and when there is no
 * alternative, to `best`. So the propensity of what was placed, given the slots before it, is exact:
 *
 *   alternatives = 0          1
 *   the best                  1 - explore
 *   an alternative            explore / number of alternatives
 *
 * Candidates are all that a source proposed and no filter removed, not only the ranked ones: every
 * one of them has a chance above 0 at each slot where the limits admit it. Slots after a hole
 * (nothing may stand there) stay empty: the slate is shorter.
 *
 * What is drawn depends on the seed, the slot and the keys of the items, not on the order of the
 * pool: an explored slot goes to the alternative whose hash with seed and slot is the least. So the
 * same seed makes the same slate in any process, and where a changed pipeline takes candidates away,
 * the slots that those had not won are drawn as before.
 */
import { SlotDraw, type DrawSeed } from './draw.ts'

/** A slate to fill. */
export interface SlateRequest {
  /** All candidates, each once: the first `poolSize`. */
  readonly pool: Int32Array
  readonly poolSize: number
  /** Score by item: decides among candidates that are not ranked, when no ranked one may stand in a slot. */
  readonly scores: Float64Array
  /** Candidates by rank, best first: the first `rankedSize`. All of them are in the pool. */
  readonly ranked: Int32Array
  readonly rankedSize: number
  /** Candidates, all of them in the pool, that have a claim to the reserved slots, best first; those already placed are passed over. */
  readonly reserved: Int32Array
  readonly reservedSize: number
  /** Slot `reservedFirst`, and every `reservedEvery`-th after it, has its best taken from `reserved`. 0 reserves none. */
  readonly reservedEvery: number
  readonly reservedFirst: number
  readonly slots: number
  readonly explore: number
  readonly seed: DrawSeed
  /** Two hashes of each item's key, one behind the other, by item: what makes draws independent of numbers. */
  readonly hashes: Int32Array
  /** True when the limits forbid the item in the next slot, given what was placed. Absent without limits: alternatives need not be counted then. */
  readonly isBlocked?: ((item: number) => boolean) | undefined
  /**
   * What another policy placed, slot by slot: it is placed in place of what would be drawn, and
   * `propensities` are the chances that this one gives it, 0 where it could not stand there.
   */
  readonly shown?: Int32Array | undefined
  /** Called for each placed item, in order. */
  readonly onPlaced: (item: number) => void
}

/** Fills slates; keeps its arrays between calls. */
export class SlateFiller {
  /** What was placed: the first `size`. */
  items = new Int32Array(64)
  propensities = new Float64Array(64)
  /** 1 where the slot was explored. */
  explored = new Uint8Array(64)
  /** How many candidates could have stood in an explored slot; 0 where that was not counted. */
  alternatives = new Int32Array(64)
  /** Where slots are judged: the best candidate of each, -1 for none, and the chance that it would be placed. */
  bests = new Int32Array(64)
  bestChances = new Float64Array(64)
  size = 0
  /** Placed in the current slate: the value is its number. */
  #placed = new Int32Array(256)
  #slate = 0
  readonly #draw = new SlotDraw()
  #drawn = -1

  /** Fills one slate; the result is in the fields until the next call. Returns the number placed. */
  fill(request: SlateRequest): number {
    this.#begin(request)
    const { explore, reservedEvery, reservedFirst } = request
    let nextRanked = 0
    let nextReserved = 0
    for (let slot = 0; slot < request.slots; slot++) {
      let best = -1
      if (reservedEvery > 0 && slot % reservedEvery === reservedFirst) {
        nextReserved = this.#skipPlaced(request.reserved, nextReserved, request.reservedSize)
        best = this.#firstAllowed(request, request.reserved, nextReserved, request.reservedSize)
      }
      if (best < 0) {
        nextRanked = this.#skipPlaced(request.ranked, nextRanked, request.rankedSize)
        best = this.#firstAllowed(request, request.ranked, nextRanked, request.rankedSize)
      }
      if (best < 0) best = this.#bestOfPool(request)
      if (request.shown !== undefined) this.#judgeSlot(request, slot, best)
      else if (best < 0) break
      else this.#fillSlot(request, slot, best, explore)
    }
    return this.size
  }

  #fillSlot(request: SlateRequest, slot: number, best: number, explore: number): void {
    let item = best
    let propensity = 1
    let isExplored = false
    let alternatives = 0
    if (explore > 0) {
      this.#draw.begin(request.seed, slot)
      if (this.#draw.coin < explore) {
        alternatives = this.#drawOther(request, best)
        if (alternatives > 0) {
          item = this.#drawn
          propensity = explore / alternatives
          isExplored = true
        }
      } else if (this.#countOthers(request, best, 1) > 0) propensity = 1 - explore
    }
    this.explored[slot] = isExplored ? 1 : 0
    this.alternatives[slot] = alternatives
    this.#place(request, slot, item, propensity)
  }

  #place(request: SlateRequest, slot: number, item: number, propensity: number): void {
    this.items[slot] = item
    this.propensities[slot] = propensity
    this.size = slot + 1
    this.#placed[item] = this.#slate
    request.onPlaced(item)
  }

  #judgeSlot(request: SlateRequest, slot: number, best: number): void {
    const { pool, poolSize, explore, shown = pool } = request
    const item = shown[slot] as number
    let chance = item === best ? 1 : 0
    let bestChance = best >= 0 ? 1 : 0
    if (explore > 0 && best >= 0) {
      let others = 0
      let isOther = false
      for (let at = 0; at < poolSize; at++) {
        const other = pool[at] as number
        if (other === best || !this.#isOpen(request, other)) continue
        others += 1
        isOther ||= other === item
        if (item === best) break
      }
      if (others > 0) bestChance = 1 - explore
      if (others > 0 && item === best) chance = 1 - explore
      else if (isOther) chance = explore / others
    }
    this.bests[slot] = best
    this.bestChances[slot] = bestChance
    this.#place(request, slot, item, chance)
  }

  #begin(request: SlateRequest): void {
    if (request.slots > this.items.length) {
      const length = request.slots * 2
      this.items = new Int32Array(length)
      this.propensities = new Float64Array(length)
      this.explored = new Uint8Array(length)
      this.alternatives = new Int32Array(length)
      this.bests = new Int32Array(length)
      this.bestChances = new Float64Array(length)
    }
    if (request.scores.length > this.#placed.length || this.#slate === 0x7fffffff) {
      this.#placed = new Int32Array(Math.max(request.scores.length, 256))
      this.#slate = 0
    }
    this.#slate += 1
    this.size = 0
  }

  #skipPlaced(list: Int32Array, from: number, size: number): number {
    let at = from
    while (at < size && this.#placed[list[at] as number] === this.#slate) at += 1
    return at
  }

  #firstAllowed(request: SlateRequest, list: Int32Array, from: number, size: number): number {
    for (let at = from; at < size; at++) {
      const item = list[at] as number
      if (this.#isOpen(request, item)) return item
    }
    return -1
  }

  #bestOfPool(request: SlateRequest): number {
    let best = -1
    for (let at = 0; at < request.poolSize; at++) {
      const item = request.pool[at] as number
      if ((best < 0 || isBetter(request, item, best)) && this.#isOpen(request, item)) best = item
    }
    return best
  }

  #isOpen(request: SlateRequest, item: number): boolean {
    return this.#placed[item] !== this.#slate && request.isBlocked?.(item) !== true
  }

  /** How many candidates beside `best` may stand in the next slot; stops at `enough`. */
  #countOthers(request: SlateRequest, best: number, enough: number): number {
    // All that was placed, and `best`, came from the pool.
    if (request.isBlocked === undefined) return request.poolSize - this.size - 1
    let count = 0
    for (let at = 0; at < request.poolSize && count < enough; at++) {
      const item = request.pool[at] as number
      if (item !== best && this.#isOpen(request, item)) count += 1
    }
    return count
  }

  /** Draws one of the candidates beside `best` that may stand in the next slot into `#drawn`; gives how many there are. */
  #drawOther(request: SlateRequest, best: number): number {
    const { pool, poolSize, hashes } = request
    const draw = this.#draw
    let count = 0
    let least = Infinity
    for (let at = 0; at < poolSize; at++) {
      const item = pool[at] as number
      if (item === best || !this.#isOpen(request, item)) continue
      count += 1
      const drawn = draw.of(hashes[item * 2] as number, hashes[item * 2 + 1] as number)
      if (drawn < least) {
        least = drawn
        this.#drawn = item
      }
    }
    return count
  }
}

/** By score; of equals the one with the lesser hash, which is the same in every process. */
function isBetter({ scores, hashes }: SlateRequest, item: number, best: number): boolean {
  const more = (scores[item] as number) - (scores[best] as number)
  return more > 0 || (more === 0 && (hashes[item * 2] as number) < (hashes[best * 2] as number))
}
