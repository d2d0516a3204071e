/**
 * When sums of floating-point numbers are exact. As long as all numbers are whole and their
 * magnitudes together stay below 2^53, every partial sum is exact in any order, so an event can be
 * taken out or put in at any place. The sum of the magnitudes tells; it is infinite from the first
 * number that is not whole on.
 */

const EXACT_MAX = Number.MAX_SAFE_INTEGER

/** The magnitude that a number adds. */
export function magnitudeOf(value: number): number {
  return Number.isInteger(value) ? Math.abs(value) : Infinity
}

/** True when all sums so far were exact. */
export function isExact(magnitude: number): boolean {
  return magnitude <= EXACT_MAX
}
