/**
 * Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: Forward Decay, ICDE 2009): the weight of an
 * event is fixed when it happens, as a growing function of its time; only ratios count. So nothing
 * ages by the wall clock, an event in the past can still be added, and two sums are compared at any
 * common moment. Everything here is a pure function of event times.
 *
 * `Math.exp` and `Math.log` of V8 are software (fdlibm) and give equal bits on every machine;
 * `**` does not promise that, and is avoided where a result becomes state.
 */

/** The factor by which a weight shrinks in `elapsedMs` (1 for none, 0.5 after one half-life). */
export function decayFactor(elapsedMs: number, halfLifeMs: number): number {
  return Math.exp((-Math.LN2 * elapsedMs) / halfLifeMs)
}

/** A decayed sum as it stands at `timeMs`, the newest of its events. */
export interface DecayedSum {
  readonly value: number
  readonly timeMs: number
}

/**
 * Adds an event of weight `weight` at `timeMs` to a sum. An event older than the newest one is
 * discounted instead of the sum. In any order the result is equal up to rounding.
 */
export function addDecayed(
  value: number,
  valueTimeMs: number,
  weight: number,
  timeMs: number,
  halfLifeMs: number,
): number {
  return timeMs >= valueTimeMs
    ? value * decayFactor(timeMs - valueTimeMs, halfLifeMs) + weight
    : value + weight * decayFactor(valueTimeMs - timeMs, halfLifeMs)
}

/** A number that orders decayed sums as they would stand at any common moment; -Infinity for nothing. */
export function decayedRank(value: number, valueTimeMs: number, halfLifeMs: number): number {
  return Math.log(value) + (Math.LN2 * valueTimeMs) / halfLifeMs
}

/** The sum as it stands at `timeMs`. */
export function decayedAt(
  value: number,
  valueTimeMs: number,
  timeMs: number,
  halfLifeMs: number,
): number {
  return value * decayFactor(timeMs - valueTimeMs, halfLifeMs)
}
