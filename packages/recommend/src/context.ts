/** How strongly an event relates to what the person did before it. */
import { STATISTICS_DEFAULTS } from './defaults.ts'
import { decayFactor } from './decay.ts'

/** Weight of the transition from the item `rank` places before (1 for the one just before), `gapMs` earlier. */
export function transitionWeight(rank: number, gapMs: number): number {
  const { contextExponent, gapHalfLifeMs, gapShareMin } = STATISTICS_DEFAULTS
  const share = gapMs <= 0 ? 1 : gapShareMin + (1 - gapShareMin) * decayFactor(gapMs, gapHalfLifeMs)
  return Math.exp(-contextExponent * Math.log(rank)) * share
}
