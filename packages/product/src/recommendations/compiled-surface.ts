/** Surfaces, checked and prepared for answering. */
import type { App, StageReference, SurfaceDefinition } from '@millrace/core'
import type { ServicePlan } from '@millrace/features'
import { SCORING_DEFAULTS } from '@millrace/recommend'
import type { ItemIndex, ItemKind } from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import type { CompiledRanker } from './feature-terms.ts'
import type { RankedFeatures } from './ranked-features.ts'
import type { EffectStage, FilterStage, RerankerStage, ScorerStage, SourceStage } from './stages.ts'

/** Names of the built-in sources. */
export type BuiltInSource = keyof typeof SCORING_DEFAULTS.sourceWeights

/** A source of a surface. */
export interface CompiledSource {
  readonly name: string
  readonly weight: number
  /** The built-in source, or the team's stage. */
  readonly builtIn: BuiltInSource | undefined
  readonly stage: SourceStage | undefined
}

/** A limit with the groups of its field. */
export interface CompiledLimit {
  readonly field: string
  readonly max: number
}

/** A surface, prepared. */
export interface CompiledSurface {
  readonly name: string
  readonly definition: SurfaceDefinition
  readonly kinds: readonly ItemKind[]
  readonly sources: readonly CompiledSource[]
  /** The names of the sources as a JSON array. */
  readonly sourcesText: string
  readonly hasSeenFilter: boolean
  readonly hasDislikedFilter: boolean
  readonly filters: readonly FilterStage[]
  readonly scorers: readonly ScorerStage[]
  /** Scores the candidates in place of the sources. */
  readonly ranker: CompiledRanker | undefined
  readonly rerankers: readonly RerankerStage[]
  readonly effects: readonly EffectStage[]
  readonly limits: readonly CompiledLimit[]
  /** Index of the source of new items among `sources`, -1 without one. */
  readonly freshSource: number
  /** By item code (see `ItemIndex.codes`): 1 where items of that code may be shown. */
  readonly allowed: Uint8Array
}

const BUILT_IN_FILTERS = new Set(['seen', 'disliked'])
/** Sources of one surface. */
export const SOURCES_MAX = 16

/** Checks and prepares the surfaces of an app; throws STAGE_INVALID. `ranked` is what they rank by. */
export function compileSurfaces(
  app: App,
  index: ItemIndex,
  ranked: RankedFeatures | undefined,
): ReadonlyMap<string, CompiledSurface> {
  const surfaces = new Map<string, CompiledSurface>()
  for (const [name, definition] of Object.entries(app.options.surfaces ?? {})) {
    surfaces.set(name, compileSurface(name, definition, { index, ranked }))
  }
  return surfaces
}

function compileRanker(
  { ranker, items }: SurfaceDefinition,
  ranked: RankedFeatures | undefined,
): CompiledRanker | undefined {
  if (ranker === undefined) return undefined
  const { service, candidates, terms } = ranker
  const plans = [...(ranked?.compiled.services.values() ?? [])]
  const plan = plans.find(planned => planned.service === service) as ServicePlan
  return { plan, candidates, terms: Object.entries(terms), kind: items[0]?.name as string }
}

function compileSurface(
  name: string,
  definition: SurfaceDefinition,
  { index, ranked }: { readonly index: ItemIndex; readonly ranked: RankedFeatures | undefined },
): CompiledSurface {
  const refuse = (stage: string, reason: string): never => {
    throw productErrors.create('STAGE_INVALID', { surface: name, stage, reason })
  }
  const sources = definition.sources.map((source): CompiledSource => {
    if (typeof source === 'string') {
      const weight = SCORING_DEFAULTS.sourceWeights[source]
      if (weight === undefined) refuse(source, 'there is no built-in source of this name')
      return { name: source, weight, builtIn: source, stage: undefined }
    }
    const stage = checkStage<SourceStage>(source, 'source', 'candidates', refuse)
    return { name: stage.name, weight: stage.weight, builtIn: undefined, stage }
  })
  if (new Set(sources.map(source => source.name)).size < sources.length) {
    refuse('sources', 'a source is named twice')
  }
  if (sources.length > SOURCES_MAX) refuse('sources', `there are more than ${SOURCES_MAX}`)
  const own = definition.filters.filter(filter => typeof filter !== 'string')
  for (const filter of definition.filters) {
    if (typeof filter === 'string' && !BUILT_IN_FILTERS.has(filter)) {
      refuse(filter, 'there is no built-in filter of this name')
    }
  }
  return {
    name,
    definition,
    kinds: definition.items.map(item => index.kind(item.name) as ItemKind),
    sources,
    sourcesText: JSON.stringify(sources.map(source => source.name)),
    hasSeenFilter: definition.filters.includes('seen'),
    hasDislikedFilter: definition.filters.includes('disliked'),
    filters: own.map(stage => checkStage<FilterStage>(stage, 'filter', 'keep', refuse)),
    scorers: definition.scorers.map(stage =>
      checkStage<ScorerStage>(stage, 'scorer', 'score', refuse),
    ),
    ranker: compileRanker(definition, ranked),
    rerankers: definition.rerankers.map(stage =>
      checkStage<RerankerStage>(stage, 'reranker', 'rerank', refuse),
    ),
    effects: definition.effects.map(stage =>
      checkStage<EffectStage>(stage, 'effect', 'run', refuse),
    ),
    limits: definition.limits,
    freshSource: sources.findIndex(source => source.builtIn === 'fresh'),
    allowed: new Uint8Array(0x10000),
  }
}

function checkStage<Stage extends StageReference>(
  reference: StageReference,
  kind: Stage['stage'],
  method: string,
  refuse: (stage: string, reason: string) => never,
): Stage {
  if (reference.stage !== kind) refuse(reference.name, `it is a ${reference.stage}, not a ${kind}`)
  if (typeof (reference as unknown as Record<string, unknown>)[method] !== 'function') {
    refuse(reference.name, `it has no ${method}`)
  }
  return reference as Stage
}

/**
 * Marks which items may be shown: listed ones of the surface's kinds; of a kind that has no listed
 * item at all (a team that sends events and no items), those known from events.
 */
export function refreshAllowed(surface: CompiledSurface, index: ItemIndex): void {
  for (const { code, name } of surface.kinds) {
    surface.allowed[code * 2 + 1] = 1
    surface.allowed[code * 2] = index.countOf(name) === 0 ? 1 : 0
  }
}
