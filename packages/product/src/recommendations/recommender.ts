/** Answers of surfaces, and lists of related, trending and popular items. In process and synchronous. */
import { partitionOf, quietText, type Position } from '@millrace/core'
import { SparseScores, TopSelector } from '@millrace/recommend'
import { createFeatureReader } from '@millrace/features'
import type { FoldHandle } from '@millrace/streams'
import {
  itemKey,
  offsetsOf,
  partsOfKey,
  type Attributes,
  type Catalogue,
  type ItemIndex,
} from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import type { Features } from '../features/index.ts'
import type { ModuleContext } from '../module.ts'
import { AnswerBuilder, titleOf, verbOf } from './answer-builder.ts'
import { AnswerWriter, type AnswerBytes, type AnswerHead } from './answer-bytes.ts'
import type { Answer } from './answer.ts'
import { compileSurfaces, type CompiledSurface } from './compiled-surface.ts'
import { ExposureWriter } from './exposure-writer.ts'
import { FeatureStates } from './feature-states.ts'
import { entitiesOf, FeatureTerms } from './feature-terms.ts'
import { ITEM_STATS_FOLD } from './item-stats-fold.ts'
import type { ItemStatsShard } from './item-stats-shard.ts'
import { ListCache } from './lists.ts'
import { PROFILE_FOLD } from './profile-fold.ts'
import type { ProfileShard } from './profile-shard.ts'
import { foldsOf, rankedFeatures } from './ranked-features.ts'
import { Ranker } from './ranker.ts'
import { ReflectedPosition } from './reflected.ts'
import { addRelated, createShardOf, type ShardOf } from './related.ts'
import { Requests, type PreparedRequest, type RecommendOptions } from './requests.ts'
import type { StageContext } from './stages.ts'
import { createTokenSigner, type TokenSigner } from './token.ts'

/** Version of the scoring, written into exposures. */
export const SCORING_VERSION = 'r1'
/** The rows of one answer in so many are kept. */
const SERVED_EVERY = 32
const LIST_SIZE_DEFAULT = 20
const LIST_SIZE_MAX = 100
const ID_LENGTH_MAX = 256

/** An item of a list. */
export interface ListItem {
  readonly kind: string
  readonly id: string
  /** In [0, 1], relative to the first. */
  readonly score: number
  readonly attributes?: Attributes
}

/** A list that is the same for everybody. */
export interface ListAnswer {
  readonly items: readonly ListItem[]
  readonly position: Position
}

/** What a person did, for their page. */
export interface ProfileView {
  readonly signals: number
  readonly interests: readonly {
    readonly kind: string
    readonly id: string
    readonly title: string
    readonly weight: number
    readonly atMs: number
  }[]
}

/** Counters for the metrics. */
export interface RecommenderCounters {
  answers: number
  /** By features. */
  ranked: number
  coldStarts: number
  slots: number
  exploredSlots: number
  effectFailures: number
}

/** See the head of the file. */
export class Recommender {
  readonly counters: RecommenderCounters = {
    answers: 0,
    ranked: 0,
    coldStarts: 0,
    slots: 0,
    exploredSlots: 0,
    effectFailures: 0,
  }
  readonly exposures: ExposureWriter
  /** Scores the candidates of surfaces that rank by features. */
  readonly terms: FeatureTerms | undefined
  readonly signer: TokenSigner
  readonly #context: ModuleContext
  readonly #catalogue: Catalogue
  readonly #index: ItemIndex
  readonly #profiles: FoldHandle<ProfileShard>
  readonly #stats: FoldHandle<ItemStatsShard>
  #signals = '[]'
  #signalsRevision = -1
  readonly #requests: Requests
  readonly #shardOf: ShardOf
  readonly #lists: ListCache
  readonly #ranker: Ranker
  readonly #builder: AnswerBuilder
  readonly #writer: AnswerWriter
  readonly #surfaces: ReadonlyMap<string, CompiledSurface>
  readonly #reflected: ReflectedPosition
  readonly #states: FeatureStates
  readonly #parity: Pick<Features['parity'], 'keep'> | undefined
  readonly #related = new SparseScores()
  readonly #selector = new TopSelector()

  constructor(context: ModuleContext, catalogue: Catalogue) {
    const { app, streams, clock, log, logger } = context
    this.#context = context
    this.#catalogue = catalogue
    const index = catalogue.index()
    this.#index = index
    this.#profiles = streams.fold<ProfileShard>(PROFILE_FOLD)
    const personOf = (id: string): string => streams.identities.canonical(id)
    this.#requests = new Requests({ index, profiles: this.#profiles, personOf })
    const stats = streams.fold<ItemStatsShard>(ITEM_STATS_FOLD)
    this.#stats = stats
    this.#shardOf = createShardOf(stats, index)
    this.#lists = new ListCache({ index, stats, clock })
    const ranked = rankedFeatures(app)
    // Absent where the module is opened by itself.
    const features = context.modules.get('features')?.api as Features | undefined
    this.#parity = features?.parity
    const rankedFolds = foldsOf(ranked)
    this.#states = new FeatureStates(ranked, name => streams.fold(name))
    this.terms =
      ranked === undefined
        ? undefined
        : new FeatureTerms({
            index,
            reader: features ?? createFeatureReader(streams, ranked.compiled),
          })
    const ports = { index, lists: this.#lists, shardOf: this.#shardOf, terms: this.terms }
    this.#ranker = new Ranker(ports)
    this.#builder = new AnswerBuilder({ index, shardOf: this.#shardOf, verb: verbOf(app) })
    this.#writer = new AnswerWriter({
      index,
      ranker: this.#ranker,
      definition: app.fingerprint,
      scoring: SCORING_VERSION,
    })
    this.#surfaces = compileSurfaces(app, index, ranked)
    this.#reflected = new ReflectedPosition({
      streams,
      clock,
      folds: [PROFILE_FOLD, ITEM_STATS_FOLD, ...rankedFolds.map(({ name }) => name)],
    })
    this.exposures = new ExposureWriter({ log, clock, logger })
    this.signer = createTokenSigner(context.secret)
  }

  /** Names of the surfaces. */
  get surfaceNames(): readonly string[] {
    return [...this.#surfaces.keys()]
  }

  /** Answers a surface, and logs what was served. Throws SURFACE_UNKNOWN, REQUEST_INVALID. */
  recommend(surfaceName: string, options: RecommendOptions = {}): Answer {
    const surface = this.#surface(surfaceName)
    const request = this.#prepare(surface, options)
    const ranker = this.#ranker
    ranker.rank(request)
    try {
      const items = this.#builder.items(ranker, request)
      const explanation = request.isExplained
        ? this.#builder.explanation(ranker, request, items)
        : undefined
      const head = this.#expose(request)
      const answer = this.#answer(request, head, items, explanation)
      this.#count(head, ranker)
      if (surface.effects.length > 0) this.#runEffects(surface, answer, request.context)
      return answer
    } finally {
      ranker.release()
    }
  }

  /**
   * As `recommend`, with the answer as JSON in UTF-8 and scores with six digits: what serves HTTP.
   * Answers with an explanation or for effects are made as objects first.
   */
  recommendBytes(surfaceName: string, options: RecommendOptions = {}): AnswerBytes {
    const surface = this.#surface(surfaceName)
    if (options.explain === true || surface.effects.length > 0) {
      const { positionVector, token, ...rest } = this.recommend(surfaceName, options)
      const json = Buffer.from(JSON.stringify({ ...rest, token })).toString('latin1')
      return { json, position: positionVector }
    }
    const request = this.#prepare(surface, options)
    const ranker = this.#ranker
    ranker.rank(request)
    try {
      const head = this.#expose(request)
      this.#count(head, ranker)
      const json = this.#writer.answer(request, head, this.signer.sign(head.exposure))
      return { json, position: head.positionVector }
    } finally {
      ranker.release()
    }
  }

  #surface(name: string): CompiledSurface {
    const surface = this.#surfaces.get(name)
    if (surface === undefined) {
      const known = this.surfaceNames.join(', ')
      throw productErrors.create('SURFACE_UNKNOWN', { surface: name.slice(0, 64), known })
    }
    return surface
  }

  /** Everything that the answer depends on is settled here. */
  #prepare(surface: CompiledSurface, options: RecommendOptions): PreparedRequest {
    this.#catalogue.index()
    this.#reflected.refresh()
    this.#lists.refresh()
    const { newId, clock } = this.#context
    const moment = { answerId: newId(), atMs: clock.nowMs() }
    return this.#requests.prepare(surface, options, moment)
  }

  /** Logs what is served, and gives what the answer says beside its items. */
  #expose(request: PreparedRequest): AnswerHead {
    const { person, profile, row, answerId, atMs, surface } = request
    const { app } = this.#context
    const position = this.#reflected.token
    const exposure = this.#writer.exposure(request, { position, state: this.#stateOf(request) })
    if (surface.ranker !== undefined) this.#keepServed(request)
    this.exposures.write({
      key: person ?? answerId,
      answerId,
      atMs,
      definition: app.fingerprint,
      payload: exposure,
    })
    return {
      answerId,
      exposure,
      position,
      positionVector: this.#reflected.position,
      isColdStart: row < 0 || profile === undefined || profile.recent.length(row) === 0,
      isIncomplete: person !== undefined && this.#profiles.isParked(person),
    }
  }

  /** Rows of explained answers, and of one in so many, are kept for a check of what was served. */
  #keepServed({ answerId, isExplained }: PreparedRequest): void {
    this.counters.ranked += 1
    const isSampled = isExplained || this.counters.ranked % SERVED_EVERY === 1
    if (!isSampled || this.terms?.last === undefined || !this.#states.isSettled()) return
    const { last } = this.terms
    const { rows, told } = last
    const entities = last.ids.map((_, row) => entitiesOf(last, row))
    const context = told === undefined ? {} : { context: told }
    this.#parity?.keep(answerId, { rows: entities, ...context }, rows)
  }

  /** `ExposedState` of an answer, as JSON, with the corrections that it reflects, and what its features do. */
  #stateOf({ person, surface }: PreparedRequest): string {
    const stats = this.#stats
    if (this.#signalsRevision !== stats.revision()) {
      this.#signalsRevision = stats.revision()
      this.#signals = offsetsOf(stats)
    }
    const at = person === undefined ? 0 : this.#consumedFor(person)
    const items = this.#index.offsets
    const { madeFrom } = this.#lists
    const lists = madeFrom.items === items ? '' : `,${madeFrom.items}`
    const features = this.#states.textOf(surface, person)
    return `[${at},${this.#signals},${madeFrom.signals},${items}${lists}]${this.#corrections()}${features}`
  }

  /** `k` of an exposure, as the JSON behind the state. */
  #corrections(): string {
    const folds = Math.min(this.#profiles.corrected(), this.#stats.corrected())
    const state = Math.min(folds, this.#states.corrected())
    const lists = this.#lists.madeFrom.corrected
    return state + lists === 0 ? '' : `,"k":[${state},${lists}]`
  }

  #consumedFor(person: string): number {
    const profiles = this.#profiles
    return profiles.consumed(partitionOf(person, profiles.shards().length))
  }

  #answer(
    { surface, person }: PreparedRequest,
    head: AnswerHead,
    items: Answer['items'],
    explanation: Answer['explanation'],
  ): Answer {
    const { signer } = this
    let token: string | undefined
    return {
      answerId: head.answerId,
      surface: surface.name,
      ...(person === undefined ? undefined : { person }),
      items,
      isColdStart: head.isColdStart,
      ...(head.isIncomplete ? { isIncomplete: true } : undefined),
      definition: this.#context.app.fingerprint,
      position: head.position,
      positionVector: head.positionVector,
      get token() {
        return (token ??= signer.sign(head.exposure))
      },
      ...(explanation === undefined ? undefined : { explanation }),
    }
  }

  #count({ isColdStart }: AnswerHead, { slate }: Ranker): void {
    const { counters } = this
    counters.answers += 1
    if (isColdStart) counters.coldStarts += 1
    counters.slots += slate.size
    for (let slot = 0; slot < slate.size; slot++) {
      counters.exploredSlots += slate.explored[slot] as number
    }
  }

  #runEffects(surface: CompiledSurface, answer: Answer, context: StageContext): void {
    const { clock, logger } = this.#context
    const failed = (name: string, error: unknown): void => {
      this.counters.effectFailures += 1
      logger.warn('an effect failed', {
        surface: surface.name,
        effect: name,
        error: quietText(error),
      })
    }
    clock.soon(() => {
      for (const effect of surface.effects) {
        Promise.try(() => effect.run(answer, context)).catch((error: unknown) =>
          failed(effect.name, error),
        )
      }
    })
  }

  /** Items related to an item, of its kind. Throws ITEM_UNKNOWN, KIND_UNKNOWN, REQUEST_INVALID. */
  similar(kind: string, id: string, options: { n?: number | undefined } = {}): ListAnswer {
    const size = listSize(options.n)
    this.#catalogue.index()
    this.#reflected.refresh()
    const seed = this.#index.space.find(itemKey(kind, id))
    const isKnown = this.#catalogue.get(kind, id) !== undefined
    const hasEvents = seed >= 0 && this.#shardOf(seed).countOf(seed) > 0
    if (!isKnown && (!hasEvents || this.#index.countOf(kind) > 0)) {
      throw productErrors.create('ITEM_UNKNOWN', { kind, id: id.slice(0, ID_LENGTH_MAX) })
    }
    const scores = this.#related
    scores.reserve(this.#index.space.size)
    addRelated({ index: this.#index, shardOf: this.#shardOf }, seed, scores)
    try {
      return this.#listAnswer(kind, scores, size)
    } finally {
      scores.clear()
    }
  }

  /** What people turn to now. Throws KIND_UNKNOWN, REQUEST_INVALID. */
  trending(kind: string, options: { n?: number | undefined } = {}): ListAnswer {
    return this.#everybody('trending', kind, options.n)
  }

  /** What people like. Throws KIND_UNKNOWN, REQUEST_INVALID. */
  popular(kind: string, options: { n?: number | undefined } = {}): ListAnswer {
    return this.#everybody('popular', kind, options.n)
  }

  #everybody(list: 'trending' | 'popular', kind: string, n: number | undefined): ListAnswer {
    const size = listSize(n)
    this.#catalogue.page(kind, { limit: 0 })
    this.#reflected.refresh()
    this.#lists.refresh()
    const { items, scores } = this.#lists.of(kind)[list]
    const shown: ListItem[] = []
    for (let place = 0; place < items.length && shown.length < size; place++) {
      const item = items[place] as number
      if (this.#isShown(kind, item)) shown.push(this.#listItem(item, scores[place] as number))
    }
    return { items: shown, position: this.#reflected.position }
  }

  #isShown(kind: string, item: number): boolean {
    if (!this.#index.space.keyOf(item).startsWith(`${kind}/`)) return false
    return this.#index.isListed(item) || this.#index.countOf(kind) === 0
  }

  #listAnswer(kind: string, scores: SparseScores, size: number): ListAnswer {
    let kept = 0
    const pool = new Int32Array(scores.size)
    for (let at = 0; at < scores.size; at++) {
      const item = scores.items[at] as number
      if (this.#isShown(kind, item)) pool[kept++] = item
    }
    const { space } = this.#index
    const isBefore = (a: number, b: number): boolean => space.keyOf(a) < space.keyOf(b)
    const count = this.#selector.select(pool, kept, scores.values, size, isBefore)
    const ranked = Array.from(this.#selector.items.subarray(0, count))
    const best = ranked.length === 0 ? 1 : (scores.values[ranked[0] as number] as number)
    return {
      items: ranked.map(item => this.#listItem(item, (scores.values[item] as number) / best)),
      position: this.#reflected.position,
    }
  }

  #listItem(item: number, score: number): ListItem {
    const attributes = this.#index.publicAttributesOf(item)
    return {
      ...partsOfKey(this.#index.space.keyOf(item)),
      score,
      ...(attributes === undefined ? {} : { attributes }),
    }
  }

  /** What a person did last, by title. */
  profile(person: string, limit: number): ProfileView {
    return this.profileIn(this.#profiles.shardOf(person), person, limit)
  }

  profileIn(shard: ProfileShard, person: string, limit: number): ProfileView {
    this.#catalogue.index()
    return {
      signals: shard.signalsOf(person),
      interests: shard.interactions(person, limit).map(({ item, weight, atMs }) => ({
        ...partsOfKey(item),
        title: this.titleOf(item),
        weight,
        atMs,
      })),
    }
  }

  /** Name of an item for people. */
  titleOf(key: string): string {
    const number = this.#index.space.find(key)
    const attributes = number < 0 ? undefined : this.#index.publicAttributesOf(number)
    return titleOf(partsOfKey(key).id, attributes)
  }

  /** Public attributes of an item by key. */
  attributesOf(key: string): Attributes | undefined {
    const number = this.#index.space.find(key)
    return number < 0 ? undefined : this.#index.publicAttributesOf(number)
  }

  /** False for an item that its kind, which lists others, does not list. */
  isKnown(key: string): boolean {
    const index = this.#catalogue.index()
    const number = index.space.find(key)
    if (number >= 0 && index.isListed(number)) return true
    return index.countOf(partsOfKey(key).kind) === 0
  }

  /** Bytes held by the statistics and the profiles. */
  get bytes(): { readonly statistics: number; readonly profiles: number } {
    const { streams } = this.#context
    const stats = streams.fold<ItemStatsShard>(ITEM_STATS_FOLD).shards()
    return {
      statistics: stats.reduce((sum, shard) => sum + shard.bytes, 0),
      profiles: this.#profiles.shards().reduce((sum, shard) => sum + shard.bytes, 0),
    }
  }
}

function listSize(n: number | undefined): number {
  const size = n ?? LIST_SIZE_DEFAULT
  if (!Number.isInteger(size) || size < 1 || size > LIST_SIZE_MAX) {
    throw productErrors.create('REQUEST_INVALID', {
      name: 'n',
      reason: `it is a whole number from 1 to ${LIST_SIZE_MAX}`,
    })
  }
  return size
}
