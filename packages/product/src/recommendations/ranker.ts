/**
 * From a request to a filled slate, over dense arrays that are kept between requests: no allocation
 * per candidate. One ranker serves one request at a time; what it found stays readable until
 * `release`, for the answer and its explanation.
 */
import { invariant } from '@millrace/core'
import { SlateFiller, SparseScores, TopSelector, type DrawSeed } from '@millrace/recommend'
import type { ItemIndex } from '../catalogue/index.ts'
import { partsOfKey } from '../catalogue/index.ts'
import { Accounting } from './accounting.ts'
import { refreshAllowed, type CompiledSurface } from './compiled-surface.ts'
import type { FeatureTerms } from './feature-terms.ts'
import { FieldGroups } from './groups.ts'
import { Sources, type BlockedItems, type SourcePorts, type SourceRequest } from './sources.ts'
import type { Candidate, RerankerStage, StageContext } from './stages.ts'

/** One slot in this many is reserved for a new item, where the surface has the source of new items... */
const FRESH_EVERY = 10
/** ...and it is the one with this number, from 0. */
const FRESH_SLOT = 4
const FRESH_CLAIMS = 32
/** Candidates ranked beyond the slots, for surfaces with limits or re-rankers. */
const RANK_SPARE = 50

/** Why an item is left out of the candidates. */
const BLOCK_SEEN = 1
const BLOCK_DISLIKED = 2
const BLOCK_EXCLUDED = 3

/** What to rank. */
export interface RankRequest extends SourceRequest {
  /** Numbers of items that must not appear. */
  readonly exclude: readonly number[]
  readonly context: StageContext
  /** What is drawn follows from it. */
  readonly seed: DrawSeed
  /** What the request tells features of the context. */
  readonly told: Readonly<Record<string, unknown>> | undefined
}

/** See the head of the file. */
export class Ranker {
  readonly slate = new SlateFiller()
  readonly accounting = new Accounting()
  /** Normalised scores by source of the surface, in its order. */
  readonly sourceScores: SparseScores[] = []
  /** Terms by those of the surface's ranker and then by its scorers, in their order. */
  readonly scorerTerms: Float64Array[] = []
  readonly #index: ItemIndex
  readonly #terms: FeatureTerms | undefined
  readonly #sources: Sources
  readonly #selector = new TopSelector()
  readonly #freshSelector = new TopSelector()
  readonly #groups = new Map<CompiledSurface, readonly FieldGroups[]>()
  readonly #isBefore: (a: number, b: number) => boolean
  #ranked: Int32Array = new Int32Array(0)
  #rankedSize = 0
  #totals = new Float64Array(0)
  #pool = new Int32Array(0)
  #poolSize = 0
  /** Marks by item: number of the request times 4, plus why it is left out. */
  #blocks = new Float64Array(0)
  #pooled = new Float64Array(0)
  readonly #blocked: BlockedItems = {
    marks: this.#blocks,
    mark: 0,
    items: new Int32Array(256),
    size: 0,
  }
  #request = 0

  /** `terms` scores the candidates of surfaces that rank by features. */
  constructor(ports: SourcePorts & { readonly terms?: FeatureTerms | undefined }) {
    this.#index = ports.index
    this.#terms = ports.terms
    this.#sources = new Sources(ports)
    const { space } = ports.index
    this.#isBefore = (a, b) => space.keyOf(a) < space.keyOf(b)
  }

  /** Score of an item of the slate. */
  totalOf(item: number): number {
    return this.#totals[item] as number
  }

  /** Candidates left after the filters. */
  get poolSize(): number {
    return this.#poolSize
  }

  /** Fills `slate`. */
  rank(request: RankRequest): void {
    const { surface } = request
    this.#begin(request)
    this.#block(request)
    for (let place = 0; place < surface.sources.length; place++) this.#propose(request, place)
    this.#filter(request)
    this.#rankByFeatures(request)
    this.#score(request)
    this.#order(request)
    this.#fill(request)
  }

  /** The chance that `rank` gave each of these to stand where it is, after those before it. Call it after `rank` for the same request; `slate` is another then. */
  chancesOf(request: RankRequest, shown: Int32Array): Float64Array {
    this.#fill({ ...request, size: shown.length }, shown)
    return this.slate.propensities.slice(0, shown.length)
  }

  /** The stage that kept an item out of the slate that `rank` filled: `sources` where none proposed it, a filter, a limit, or `ranking`. */
  fateOf({ surface, context }: RankRequest, item: number): string {
    const block = (this.#blocks[item] as number) - this.#request * 4
    if (block > 0) return `filter ${['seen', 'disliked', 'excluded'][block - 1] as string}`
    if (surface.allowed[this.#index.codes[item] as number] !== 1) return 'catalogue'
    if (Math.abs(this.#pooled[item] as number) !== this.#request) return 'sources'
    const filter = surface.filters.find(({ keep }) => !keep(this.candidate(item), context))
    if (filter !== undefined) return `filter ${filter.name}`
    if (this.#pooled[item] === -this.#request) return 'candidates'
    const groups = this.#groupsOf(surface)
    const limit = surface.limits.find(({ max }, at) => groups[at]?.isFull(item, max) === true)
    return limit === undefined ? 'ranking' : `limit on ${limit.field}`
  }

  /** Every item that a source proposed, in no order; of a request that is explained those left out are among them. */
  proposed({ sources }: CompiledSurface): ReadonlySet<number> {
    const found = new Set(this.accounting.leftOut())
    for (let place = 0; place < sources.length; place++) {
      const { items, size } = this.sourceScores[place] as SparseScores
      for (let at = 0; at < size; at++) found.add(items[at] as number)
    }
    return found
  }

  /** Forgets what was found. */
  release(): void {
    for (const scores of this.sourceScores) scores.clear()
  }

  #begin({ surface, isExplained }: RankRequest): void {
    refreshAllowed(surface, this.#index)
    this.accounting.begin(surface, isExplained)
    const { size } = this.#index.space
    while (this.sourceScores.length < surface.sources.length) {
      this.sourceScores.push(new SparseScores())
    }
    for (const scores of this.sourceScores) scores.reserve(size)
    if (size > this.#totals.length) {
      const length = Math.max(256, Math.ceil(size * 1.5))
      this.#totals = new Float64Array(length)
      this.#pool = new Int32Array(length)
      this.#blocks = new Float64Array(length)
      this.#pooled = new Float64Array(length)
      this.scorerTerms.length = 0
    }
    const terms = (surface.ranker?.terms.length ?? 0) + surface.scorers.length
    while (this.scorerTerms.length < terms) {
      this.scorerTerms.push(new Float64Array(this.#totals.length))
    }
    this.#request += 1
    this.#poolSize = 0
  }

  #block({ surface, profile, row, exclude, item }: RankRequest): void {
    this.#blocked.size = 0
    this.#blocked.marks = this.#blocks
    this.#blocked.mark = this.#request * 4
    if (profile !== undefined && row >= 0) {
      const { seen, disliked } = profile
      if (surface.hasSeenFilter) {
        this.#blockAll(seen.pool.ids, seen.begin(row), seen.length(row), BLOCK_SEEN)
      }
      if (surface.hasDislikedFilter) {
        this.#blockAll(disliked.pool.ids, disliked.begin(row), disliked.length(row), BLOCK_DISLIKED)
      }
    }
    this.#blockAll(exclude, 0, exclude.length, BLOCK_EXCLUDED)
    if (item >= 0) this.#blockAll([item], 0, 1, BLOCK_EXCLUDED)
  }

  #blockAll(ids: ArrayLike<number>, begin: number, length: number, reason: number): void {
    const blocks = this.#blocks
    const blocked = this.#blocked
    const mark = this.#request * 4 + reason
    if (blocked.size + length > blocked.items.length) {
      const wider = new Int32Array((blocked.size + length) * 2)
      wider.set(blocked.items)
      blocked.items = wider
    }
    const { items } = blocked
    for (let slot = begin; slot < begin + length; slot++) {
      const item = ids[slot] as number
      blocks[item] = mark
      items[blocked.size++] = item
    }
  }

  /** Lets a source propose, leaves out what may not be shown, adds the rest to the pool. */
  #propose(request: RankRequest, place: number): void {
    const source = request.surface.sources[place] as CompiledSurface['sources'][number]
    const scores = this.sourceScores[place] as SparseScores
    if (source.builtIn !== undefined) {
      this.#sources.propose(source.builtIn, request, scores, this.#blocked)
    } else this.#proposeOwn(request, place)
    if (this.accounting.isOn) this.#account(request.surface, place)
    const { allowed } = request.surface
    const { codes } = this.#index
    const { values, items, size } = scores
    const blocks = this.#blocks
    const mark = this.#request * 4
    let kept = 0
    let greatest = 0
    // Which are open cannot be predicted, so a branch would cost more than a write too many.
    for (let at = 0; at < size; at++) {
      const item = items[at] as number
      const isOpen =
        Number((blocks[item] as number) <= mark) & (allowed[codes[item] as number] as number)
      const value = (values[item] as number) * isOpen
      values[item] = value
      items[kept] = item
      kept += isOpen
      greatest = Math.max(greatest, value)
    }
    scores.size = kept
    this.#pour(scores, source.weight, greatest)
  }

  /** Tells the accounting what a source proposed, and what of that may not be shown. */
  #account({ allowed }: CompiledSurface, place: number): void {
    const { items, size } = this.sourceScores[place] as SparseScores
    const mark = this.#request * 4
    this.accounting.proposed(place, size)
    for (let at = 0; at < size; at++) {
      const item = items[at] as number
      const block = this.#blocks[item] as number
      const isAllowed = allowed[this.#index.codes[item] as number] === 1
      if (block > mark || !isAllowed) this.accounting.removed(item, block > mark ? block - mark : 0)
    }
  }

  #pour(scores: SparseScores, weight: number, greatest: number): void {
    const { values, items, size } = scores
    const totals = this.#totals
    const pooled = this.#pooled
    const pool = this.#pool
    const request = this.#request
    let poolSize = this.#poolSize
    for (let at = 0; at < size; at++) {
      const item = items[at] as number
      const value = (values[item] as number) / greatest
      values[item] = value
      if (pooled[item] !== request) {
        pooled[item] = request
        totals[item] = weight * value
        pool[poolSize++] = item
      } else totals[item] = (totals[item] as number) + weight * value
    }
    this.#poolSize = poolSize
  }

  #proposeOwn({ surface, context }: RankRequest, place: number): void {
    const { stage } = surface.sources[place] as CompiledSurface['sources'][number]
    const scores = this.sourceScores[place] as SparseScores
    const { space } = this.#index
    for (const { kind, id, score } of stage?.candidates(context) ?? []) {
      const item = space.find(`${kind}/${id}`)
      if (item < 0 || !(score > 0) || score === Infinity) continue
      scores.add(item, score)
    }
  }

  #filter({ surface, context }: RankRequest): void {
    for (const filter of surface.filters) {
      let kept = 0
      for (let at = 0; at < this.#poolSize; at++) {
        const item = this.#pool[at] as number
        if (filter.keep(this.candidate(item), context)) this.#pool[kept++] = item
      }
      this.accounting.removedBy(filter.name, this.#poolSize - kept)
      this.#poolSize = kept
    }
  }

  /**
   * Keeps the candidates that the sources propose most strongly, and the new items with the best
   * claim; their scores are the terms of the surface's ranker in place of what the sources say.
   */
  #rankByFeatures(request: RankRequest): void {
    const { surface, person, context, told } = request
    const { ranker } = surface
    if (ranker === undefined) return
    const totals = this.#totals
    const pooled = this.#pooled
    for (let at = 0; at < this.#poolSize; at++) pooled[this.#pool[at] as number] = -this.#request
    const claims = this.#claims(surface)
    const keep = (items: Int32Array, count: number): void => {
      for (let at = 0; at < count; at++) pooled[items[at] as number] = this.#request
    }
    keep(this.#freshSelector.items, claims)
    const { candidates } = ranker
    const count = this.#selector.select(this.#pool, this.#poolSize, totals, candidates, this.#isBefore) // prettier-ignore
    keep(this.#selector.items, count)
    let kept = 0
    for (let at = 0; at < this.#poolSize; at++) {
      const item = this.#pool[at] as number
      if (pooled[item] === this.#request) this.#pool[kept++] = item
    }
    this.#poolSize = kept
    const of = { person, atMs: context.nowMs, told, surface: surface.name }
    const found = { pool: this.#pool, size: kept }
    invariant(this.#terms !== undefined, 'a surface with a ranker is served with its features')
    this.#terms.score(ranker, of, found, { totals, terms: this.scorerTerms })
  }

  #score({ surface, context }: RankRequest): void {
    const first = surface.ranker?.terms.length ?? 0
    for (let place = 0; place < surface.scorers.length; place++) {
      const scorer = surface.scorers[place] as CompiledSurface['scorers'][number]
      const terms = this.scorerTerms[first + place] as Float64Array
      for (let at = 0; at < this.#poolSize; at++) {
        const item = this.#pool[at] as number
        const told = scorer.score(this.candidate(item), context)
        const term = Number.isFinite(told) ? told : 0
        terms[item] = term
        this.#totals[item] = (this.#totals[item] as number) + term
      }
    }
  }

  /** Puts the best candidates into `#ranked`. */
  #order(request: RankRequest): void {
    const { surface, size } = request
    const isSpared = surface.limits.length > 0 || surface.rerankers.length > 0
    const wanted = isSpared ? size * 2 + RANK_SPARE : size
    const count = this.#selector.select(
      this.#pool,
      this.#poolSize,
      this.#totals,
      wanted,
      this.#isBefore,
    )
    let ranked: Int32Array = this.#selector.items
    let rankedSize = count
    for (const reranker of surface.rerankers) {
      const moved = this.#rerank(reranker, ranked.subarray(0, rankedSize), request.context)
      this.accounting.reranked(reranker.name, ranked.subarray(0, rankedSize), moved)
      ranked = moved
      rankedSize = moved.length
    }
    this.#ranked = ranked
    this.#rankedSize = rankedSize
  }

  #fill(request: RankRequest, shown?: Int32Array): void {
    const { surface, size } = request
    const groups = this.#groupsOf(surface)
    for (const group of groups) group.begin()
    this.slate.fill({
      pool: this.#pool,
      poolSize: this.#poolSize,
      scores: this.#totals,
      ranked: this.#ranked,
      rankedSize: this.#rankedSize,
      shown,
      reserved: this.#freshSelector.items,
      reservedSize: this.#claims(surface),
      reservedEvery: surface.freshSource < 0 ? 0 : FRESH_EVERY,
      reservedFirst: FRESH_SLOT,
      slots: size,
      explore: surface.definition.explore,
      seed: request.seed,
      hashes: this.#index.space.draws,
      isBlocked: groups.length === 0 ? undefined : item => this.#isFull(surface, groups, item),
      onPlaced: item => {
        for (const group of groups) group.take(item)
      },
    })
  }

  /** New items that no filter removed, those with the best claim first. */
  #claims(surface: CompiledSurface): number {
    if (surface.freshSource < 0) return 0
    const fresh = this.sourceScores[surface.freshSource] as SparseScores
    let { size } = fresh
    let { items } = fresh
    if (surface.filters.length > 0) {
      const open = new Set(this.#pool.subarray(0, this.#poolSize))
      items = items.subarray(0, size).filter(item => open.has(item))
      size = items.length
    }
    return this.#freshSelector.select(items, size, fresh.values, FRESH_CLAIMS, this.#isBefore)
  }

  #isFull(surface: CompiledSurface, groups: readonly FieldGroups[], item: number): boolean {
    for (let place = 0; place < groups.length; place++) {
      const { max } = surface.limits[place] as { max: number }
      if ((groups[place] as FieldGroups).isFull(item, max)) {
        if (this.accounting.isOn) this.accounting.passedOver(place)
        return true
      }
    }
    return false
  }

  #groupsOf(surface: CompiledSurface): readonly FieldGroups[] {
    const known = this.#groups.get(surface)
    if (known !== undefined) return known
    const groups = surface.limits.map(({ field }) => new FieldGroups(field, this.#index))
    this.#groups.set(surface, groups)
    return groups
  }

  /** A stage's order, as numbers: unknown and repeated candidates are left out. */
  #rerank(reranker: RerankerStage, ranked: Int32Array, context: StageContext): Int32Array {
    const candidates = Array.from(ranked, item => this.candidate(item))
    const numbers = new Map(
      candidates.map((candidate, place) => [
        `${candidate.kind}/${candidate.id}`,
        ranked[place] as number,
      ]),
    )
    const order: number[] = []
    for (const { kind, id } of reranker.rerank(candidates, context)) {
      const item = numbers.get(`${kind}/${id}`)
      if (item === undefined) continue
      numbers.delete(`${kind}/${id}`)
      order.push(item)
    }
    return Int32Array.from(order)
  }

  /** An item as stages see it. */
  candidate(item: number): Candidate {
    const { kind, id } = partsOfKey(this.#index.space.keyOf(item))
    return {
      kind,
      id,
      attributes: this.#index.attributesOf(item),
      score: this.#totals[item] as number,
    }
  }
}
