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
export {
  chooseBuild,
  createKernelMemory,
  instantiate,
  type KernelBuild,
  type KernelName,
} from './kernels/instance.ts'
export { createSerialThreads, type KernelCall, type KernelThreads } from './kernels/threads.ts'
export { Workspace, type Floats, type Ints } from './kernels/workspace.ts'
export { packEvents, placesOf, selectRows, type Events, type Places } from './retrieval/events.ts'
export { fitAls, type AlsSettings } from './retrieval/als.ts'
export {
  fitNeighbours,
  fitTransitions,
  type NeighbourSettings,
  type TransitionSettings,
} from './retrieval/lists.ts'
export { fitPopularity } from './retrieval/popularity.ts'
export {
  fitEase,
  fitSequence,
  type EaseSettings,
  type SequenceSettings,
} from './retrieval/regression.ts'
export {
  createFilter,
  fitBasis,
  type Basis,
  type BasisSettings,
  type FilterSettings,
} from './retrieval/spectral.ts'
export type { Family, Model, Parts, Settings } from './retrieval/model.ts'
export { loadModels, saveModels, type LoadedModels, type SavedModels } from './retrieval/saved.ts'
export { listsOf, type Lists, type Weighted } from './retrieval/scoring.ts'
export {
  estimate,
  measureBeyond,
  measureLists,
  type Estimate,
  type PersonMeasures,
} from './retrieval/measure.ts'
export {
  trainBaselines,
  trainRetrieval,
  type TrainOptions,
  type TrainReport,
  type Trained,
} from './retrieval/train.ts'
