export { createRecommendations, type Recommendations } from './module.ts'
export {
  defineEffect,
  defineFilter,
  defineReranker,
  defineScorer,
  defineSource,
  type Candidate,
  type EffectStage,
  type FilterStage,
  type ItemRef,
  type RerankerStage,
  type ScorerStage,
  type SourceStage,
  type StageContext,
} from './stages.ts'
export type { BranchAnswer, BranchQuestion } from './branch-answers.ts'
export type { Answer, AnswerItem, Explanation, ScoreTerm } from './answer.ts'
export {
  EXPOSED,
  EXPOSURES,
  ITEM_SIGNAL,
  ITEM_SIGNALS,
  type ExposedSlot,
  type Exposure,
  type ItemSignal,
} from './events.ts'
export { ITEM_STATS_FOLD, itemStatsFold } from './item-stats-fold.ts'
export { ItemStatsShard } from './item-stats-shard.ts'
export type { EventsBehind } from './trace/behind.ts'
export type { TracedAnswer } from './trace/traces.ts'
export type { PastAnswer } from './past-answers.ts'
export { PROFILE_FOLD, profileFold } from './profile-fold.ts'
export { ProfileShard, type Interaction } from './profile-shard.ts'
export type { ListAnswer, ListItem, ProfileView } from './recommender.ts'
export type { RecommendOptions } from './requests.ts'
export { backtest, type BacktestOptions, type BacktestReport } from './backtest/backtest.ts'
export type { AnswerDifference } from './backtest/differences.ts'
