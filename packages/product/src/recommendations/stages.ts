/**
 * The stages of a surface, as a team writes its own. An answer is made in this order
 * (docs/adr/0005-recommendation-stages.md):
 *
 *   sources -> filters -> scorers -> ranking -> re-rankers -> slots (limits, exploration) -> effects
 *
 * Stages are synchronous, except effects: they run in the request, over state that is there. A stage
 * that throws makes the request fail, apart from an effect, whose failure is counted and logged.
 */
import type { StageReference } from '@millrace/core'
import { invariant } from '@millrace/core'
import type { Attributes } from '../catalogue/index.ts'
import type { Answer } from './answer.ts'
import type { Interaction } from './profile-shard.ts'

/** An item by name. */
export interface ItemRef {
  readonly kind: string
  readonly id: string
}

/** An item that may be shown. */
export interface Candidate extends ItemRef {
  /** Public and personal attributes; undefined for an item that was never put. */
  readonly attributes: Attributes | undefined
  /** Score so far. */
  readonly score: number
}

/** What a stage may look at. */
export interface StageContext {
  readonly surface: string
  /** Undefined for a request without a person. */
  readonly person: string | undefined
  /** The item that the request is about, when it names one. */
  readonly item: ItemRef | undefined
  /** Slots to fill. */
  readonly size: number
  /** The clock's time, milliseconds since the epoch. */
  readonly nowMs: number
  /** The person's newest interactions with distinct items, newest first; at most 50. */
  history(): readonly Interaction[]
  /** Current attributes of any item. */
  attributes(item: ItemRef): Attributes | undefined
}

/** Proposes candidates. Scores are above 0; they are divided by the greatest of the answer, then multiplied with `weight`. */
export interface SourceStage extends StageReference {
  readonly stage: 'source'
  readonly weight: number
  /** Why an item is shown, for `explain`. */
  readonly reason: string
  candidates(context: StageContext): Iterable<ItemRef & { readonly score: number }>
}

/** Leaves candidates out. */
export interface FilterStage extends StageReference {
  readonly stage: 'filter'
  /** False removes the candidate. */
  keep(candidate: Candidate, context: StageContext): boolean
}

/** Adds a term to the score of every candidate. */
export interface ScorerStage extends StageReference {
  readonly stage: 'scorer'
  /** A finite number, added to the score; NaN and infinities count as 0. */
  score(candidate: Candidate, context: StageContext): number
}

/** Puts the ranked candidates into another order. */
export interface RerankerStage extends StageReference {
  readonly stage: 'reranker'
  /** Some or all of the candidates, in the order wanted. Those left out keep a chance by exploration only. */
  rerank(ranked: readonly Candidate[], context: StageContext): readonly Candidate[]
}

/** Does something after an answer was made; not waited for. */
export interface EffectStage extends StageReference {
  readonly stage: 'effect'
  run(answer: Answer, context: StageContext): void | Promise<void>
}

/** Declares a source. Default weight 1. */
export function defineSource(
  stage: Pick<SourceStage, 'name' | 'candidates'> & { weight?: number; reason?: string },
): SourceStage {
  invariant(
    stage.weight === undefined || stage.weight > 0,
    `the weight of source ${stage.name} is above 0`,
  )
  return {
    stage: 'source',
    name: stage.name,
    weight: stage.weight ?? 1,
    reason: stage.reason ?? `from ${stage.name}`,
    candidates: context => stage.candidates(context),
    code: String(stage.candidates),
  }
}

/** Declares a filter. */
export function defineFilter(stage: Pick<FilterStage, 'name' | 'keep'>): FilterStage {
  return {
    stage: 'filter',
    name: stage.name,
    keep: (item, context) => stage.keep(item, context),
    code: String(stage.keep),
  }
}

/** Declares a scorer. */
export function defineScorer(stage: Pick<ScorerStage, 'name' | 'score'>): ScorerStage {
  return {
    stage: 'scorer',
    name: stage.name,
    score: (item, context) => stage.score(item, context),
    code: String(stage.score),
  }
}

/** Declares a re-ranker. */
export function defineReranker(stage: Pick<RerankerStage, 'name' | 'rerank'>): RerankerStage {
  return {
    stage: 'reranker',
    name: stage.name,
    rerank: (ranked, context) => stage.rerank(ranked, context),
    code: String(stage.rerank),
  }
}

/** Declares an effect. */
export function defineEffect(stage: Pick<EffectStage, 'name' | 'run'>): EffectStage {
  return {
    stage: 'effect',
    name: stage.name,
    run: (answer, context) => stage.run(answer, context),
    code: String(stage.run),
  }
}
