/** From a filled slate to an answer, with reasons and explanation where wanted. */
import type { App } from '@millrace/core'
import type { SparseScores } from '@millrace/recommend'
import { partsOfKey, type Attributes, type ItemIndex } from '../catalogue/index.ts'
import type { AnswerItem, Explanation, ScoreTerm } from './answer.ts'
import type { CompiledSurface } from './compiled-surface.ts'
import type { RankRequest, Ranker } from './ranker.ts'
import { strongestTransition } from './reasons.ts'
import type { ShardOf } from './related.ts'
import { newestOf } from './sources.ts'

const HISTORY_SHOWN = 10
/** Terms of a ranker that a reason names, those that add or take most. */
const TERMS_SHOWN = 3
/** What would be told as nothing. */
const TERM_SHOWN_MIN = 0.005
const TITLE_FIELDS = ['title', 'name', 'headline', 'label'] as const

/** What the builder reads. */
export interface BuilderPorts {
  readonly index: ItemIndex
  readonly shardOf: ShardOf
  /** What people did, when the app has one signal: "watched". */
  readonly verb: string | undefined
}

/** What people do in an app with one signal, by the name of its event. */
export function verbOf(app: App): string | undefined {
  const names = new Set((app.options.signals ?? []).map(signal => signal.event.name))
  return names.size === 1 ? [...names][0] : undefined
}

/** A name of an item for people: a title-like attribute, or the id. */
export function titleOf(id: string, attributes: Attributes | undefined): string {
  for (const field of TITLE_FIELDS) {
    const value = attributes?.[field]
    if (typeof value === 'string' && value !== '') return value
  }
  return id
}

/** Builds answers from what a ranker found; call before `release`. */
export class AnswerBuilder {
  readonly #ports: BuilderPorts

  constructor(ports: BuilderPorts) {
    this.#ports = ports
  }

  /** The items of the slate. */
  items(ranker: Ranker, request: RankRequest): AnswerItem[] {
    const { index } = this.#ports
    const { slate } = ranker
    const items: AnswerItem[] = []
    for (let slot = 0; slot < slate.size; slot++) {
      const item = slate.items[slot] as number
      const { kind, id } = partsOfKey(index.space.keyOf(item))
      const attributes = index.publicAttributesOf(item)
      const shown = {
        kind,
        id,
        slot: slot + 1,
        score: ranker.totalOf(item),
        source: request.surface.sources[mainSource(request.surface, ranker, item)]?.name ?? '',
        propensity: slate.propensities[slot] as number,
        isExplored: slate.explored[slot] === 1,
        ...(attributes === undefined ? undefined : { attributes }),
      }
      items.push(
        request.isExplained ? { ...shown, ...this.#why(ranker, request, item, slot) } : shown,
      )
    }
    return items
  }

  #why(
    ranker: Ranker,
    request: RankRequest,
    item: number,
    slot: number,
  ): Pick<AnswerItem, 'reasons' | 'terms'> {
    const { surface } = request
    const terms: ScoreTerm[] = []
    const proposed: string[] = []
    for (let place = 0; place < surface.sources.length; place++) {
      const source = surface.sources[place] as CompiledSurface['sources'][number]
      const score = (ranker.sourceScores[place] as SparseScores).values[item] as number
      if (!(score > 0)) continue
      if (surface.ranker === undefined) terms.push({ stage: source.name, weight: source.weight, score }) // prettier-ignore
      const reason = source.stage?.reason ?? this.#reason(source.name, request, item)
      if (reason !== undefined && !proposed.includes(reason)) proposed.push(reason)
    }
    const named = [...(surface.ranker?.terms ?? []).map(([name]) => name), ...surface.scorers.map(({ name }) => name)] // prettier-ignore
    for (const [place, stage] of named.entries()) {
      const score = (ranker.scorerTerms[place] as Float64Array)[item] as number
      terms.push({ stage, weight: 1, score })
    }
    const reasons = surface.ranker === undefined ? proposed : ranked(terms, proposed)
    return { reasons: ranker.slate.explored[slot] === 1 ? ['exploration', ...reasons] : reasons, terms } // prettier-ignore
  }

  #reason(source: string, request: RankRequest, item: number): string | undefined {
    if (source === 'trending') return 'trending now'
    if (source === 'popular') return 'popular'
    if (source === 'fresh') return 'new'
    const { shardOf, verb } = this.#ports
    const { profile, row } = request
    const about = request.item >= 0 ? request.item : newestOf(profile, row)
    if (source === 'because') return about < 0 ? undefined : `similar to ${this.#title(about)}`
    const cause = strongestTransition({ profile, row, item, shardOf })
    if (cause < 0) return undefined
    const title = this.#title(cause)
    return verb === undefined ? `because of ${title}` : `because you ${verb} ${title}`
  }

  #title(item: number): string {
    const { index } = this.#ports
    return titleOf(partsOfKey(index.space.keyOf(item)).id, index.publicAttributesOf(item))
  }

  /** How the slate came about. */
  explanation(ranker: Ranker, request: RankRequest, items: readonly AnswerItem[]): Explanation {
    const { surface } = request
    const { accounting, slate } = ranker
    const { space } = this.#ports.index
    const explored = Array.from({ length: slate.size }, (_, slot) => slot)
      .filter(slot => slate.explored[slot] === 1)
      .map(slot => ({ slot: slot + 1, alternatives: slate.alternatives[slot] as number }))
    const shownItems = Array.from(slate.items.subarray(0, slate.size))
    return {
      history: request.context
        .history()
        .slice(0, HISTORY_SHOWN)
        .map(({ item }) => ({ ...partsOfKey(item), title: this.#title(space.find(item)) })),
      sources: surface.sources.map((source, place) => ({
        name: source.name,
        weight: source.weight,
        proposed: accounting.proposals[place] ?? 0,
        shown: items.filter(item => item.source === source.name).length,
      })),
      filters: accounting.filters(),
      candidates: ranker.poolSize,
      ...(surface.ranker === undefined ? undefined : { service: surface.ranker.plan.name }),
      scorers: surface.scorers.map(({ name }) => name),
      rerankers: accounting.rerankers.map(({ name, moves }) => ({
        name,
        moved: shownItems.flatMap(item => {
          const move = moves.get(item)
          const { id } = partsOfKey(space.keyOf(item))
          return move === undefined ? [] : [{ id, from: move[0], to: move[1] }]
        }),
      })),
      limits: surface.limits.map(({ field, max }, place) => ({
        field,
        max,
        passed: accounting.passed[place] ?? 0,
      })),
      exploration: { share: surface.definition.explore, slots: explored },
    }
  }
}

/** The reasons of a surface that ranks by features: the terms that made its place, and why it was a candidate at all. */
function ranked(terms: readonly ScoreTerm[], proposed: readonly string[]): string[] {
  const most = terms
    .filter(({ score }) => Math.abs(score) >= TERM_SHOWN_MIN)
    .sort((a, b) => Math.abs(b.score) - Math.abs(a.score))
    .slice(0, TERMS_SHOWN)
    .map(({ stage, score }) => `${stage} ${score < 0 ? '−' : '+'}${Math.abs(score).toFixed(2)}`)
  return [
    ...(most.length === 0 ? [] : [`ranked by ${most.join(', ')}`]),
    ...(proposed.length === 0 ? [] : [`proposed: ${proposed.join(', ')}`]),
  ]
}

/** Place of the source that added most to an item's score; the first of equals, -1 for none. */
export function mainSource(surface: CompiledSurface, ranker: Ranker, item: number): number {
  let best = -1
  let most = -1
  for (let place = 0; place < surface.sources.length; place++) {
    const { weight } = surface.sources[place] as CompiledSurface['sources'][number]
    const score = (ranker.sourceScores[place] as SparseScores).values[item] as number
    const amount = weight * score
    if (score > 0 && amount > most) {
      best = place
      most = amount
    }
  }
  return best
}
