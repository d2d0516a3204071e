/** Answers given again by the code that gives them, over state of the past that a sweep holds. */
import type { App } from '@millrace/core'
import type { CompiledFeatures } from '@millrace/features'
import type { Sweep } from '@millrace/streams'
import { ItemIndex } from '../../catalogue/index.ts'
import { AnswerBuilder, verbOf } from '../answer-builder.ts'
import type { Answer } from '../answer.ts'
import { compileSurfaces, type CompiledSurface } from '../compiled-surface.ts'
import type { Exposure } from '../events.ts'
import { ITEM_STATS_FOLD } from '../item-stats-fold.ts'
import type { ItemStatsShard } from '../item-stats-shard.ts'
import { FeatureTerms } from '../feature-terms.ts'
import { ListCache } from '../lists.ts'
import { PROFILE_FOLD } from '../profile-fold.ts'
import type { ProfileShard } from '../profile-shard.ts'
import { rankedFeatures, rowReader } from '../ranked-features.ts'
import { Ranker } from '../ranker.ts'
import { createShardOf, type ShardOf } from '../related.ts'
import { Requests, type PreparedRequest } from '../requests.ts'

/** Time does not pass while the past is folded: who answers says when it was. */
const STILL = {
  nowMs: () => 0,
  monotonicMs: () => 0,
  after: () => ({ cancel: () => undefined }),
  soon: () => undefined,
}

/** See the head of the file. Its state is that of the sweep, and lists are made when they were made. */
export class AnswersAgain {
  readonly index: ItemIndex
  readonly ranker: Ranker
  /** Scores by features, where a surface ranks by them. */
  readonly terms: FeatureTerms | undefined
  /** What the surfaces rank by; undefined where none ranks by features. */
  readonly compiled: CompiledFeatures | undefined
  /** What the features behind scores are read from. */
  readonly features: { readonly index: ItemIndex; readonly shardOf: ShardOf }
  readonly #builder: AnswerBuilder
  readonly #lists: ListCache
  readonly #requests: Requests
  #fresh: ReadonlySet<number> | undefined
  readonly #surfaces: ReadonlyMap<string, CompiledSurface>

  constructor(app: App, sweep: Sweep) {
    const index = new ItemIndex({ app, streams: sweep, clock: STILL })
    const stats = sweep.fold<ItemStatsShard>(ITEM_STATS_FOLD)
    this.index = index
    this.#lists = new ListCache({ index, stats, clock: STILL })
    const shardOf = createShardOf(stats, index)
    this.features = { index, shardOf }
    const ranked = rankedFeatures(app)
    this.compiled = ranked?.compiled
    this.terms = ranked === undefined ? undefined : new FeatureTerms({ index, reader: rowReader(ranked, name => sweep.fold(name)) }) // prettier-ignore
    this.ranker = new Ranker({ index, lists: this.#lists, shardOf, terms: this.terms })
    this.#builder = new AnswerBuilder({ index, shardOf, verb: verbOf(app) })
    this.#requests = new Requests({ index, profiles: sweep.fold<ProfileShard>(PROFILE_FOLD) })
    this.#surfaces = compileSurfaces(app, index, ranked)
  }

  /** The surface of that name; undefined when the definition has none. */
  surface(name: string): CompiledSurface | undefined {
    return this.#surfaces.get(name)
  }

  /** Makes the lists that everybody shares, from the state as it is. */
  makeLists(): void {
    this.index.refresh()
    this.#lists.make()
    this.#fresh = undefined
  }

  /** The items that the lists of the surface's kinds have as new. */
  newItems(surface: CompiledSurface): ReadonlySet<number> {
    this.#fresh ??= new Set(
      surface.kinds.flatMap(({ name }) => [...this.#lists.of(name).fresh.items]),
    )
    return this.#fresh
  }

  /** Fills the slate of the ranker; release it before the next. Throws REQUEST_INVALID. */
  rank(
    surface: CompiledSurface,
    exposure: Exposure,
    { atMs, isExplained = false }: { readonly atMs: number; readonly isExplained?: boolean },
  ): PreparedRequest {
    this.index.refresh()
    const { a: answerId, p: person, q: { n, x: exclude, i: item, c: context } = {} } = exposure
    // Known then, whether or not it was met here.
    if (item !== undefined) this.index.space.intern(item)
    const request = this.#requests.prepare(
      surface,
      { person, n, exclude, item, context, explain: isExplained },
      { answerId, atMs },
    )
    this.ranker.rank(request)
    return request
  }

  /** The slate that was ranked, with reasons and terms where it was to be explained. */
  explained(request: PreparedRequest): Pick<Answer, 'items' | 'explanation'> {
    const items = this.#builder.items(this.ranker, request)
    return { items, explanation: this.#builder.explanation(this.ranker, request, items) }
  }

  close(): void {
    this.index.close()
  }
}
