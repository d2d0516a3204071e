export { recommendErrors } from './errors.ts'
export { SCORING_DEFAULTS, STATISTICS_DEFAULTS } from './defaults.ts'
export { addDecayed, decayFactor, decayedAt, decayedRank, type DecayedSum } from './decay.ts'
export { SlabPool } from './slab-pool.ts'
export { NeighbourTable, type NeighbourRow } from './neighbour-table.ts'
export { SparseScores } from './sparse-scores.ts'
export { TopSelector } from './top.ts'
export { transitionWeight } from './context.ts'
export { historyShare, popularityShare, RowSum, rowShare, weightOf } from './interest.ts'
export { contentAffinity, similarity, traitSum } from './similar.ts'
export { drawSeedOf, type DrawSeed } from './draw.ts'
export { SlateFiller, type SlateRequest } from './slate.ts'
export { coverageAt, exposureGini, ndcgAt, precisionAt, recallAt } from './evaluation.ts'
export {
  estimateOffPolicy,
  type Interval,
  type LoggedChoices,
  type OffPolicyEstimate,
  type OffPolicyEstimator,
  type WeightFigures,
} from './off-policy.ts'
export { expectRewards, type ListedChoices } from './reward-model.ts'
export type { Forest } from './trees/forest.ts'
export { readLightGbm } from './trees/light-gbm.ts'
export { readXgboost } from './trees/xgboost.ts'
