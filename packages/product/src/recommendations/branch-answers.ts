/**
 * Answers of surfaces as they would be in a branch, beside those of the world without its changes:
 * ranked by the code that serves, with the same draws. Profiles, statistics and items that differ are
 * the branch's own, everything else is read in the live state. Nothing is served, and nothing is logged.
 */
import type { App, Clock } from '@millrace/core'
import {
  tableFoldName,
  type Branch,
  type BranchFold,
  type BranchWorld,
  type FoldHandle,
  type FoldShard,
} from '@millrace/streams'
import { KeyedState } from '@millrace/features'
import { ItemIndex, type Catalogue } from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import { AnswerBuilder, verbOf } from './answer-builder.ts'
import type { AnswerItem, Explanation } from './answer.ts'
import { compileSurfaces } from './compiled-surface.ts'
import { FeatureTerms } from './feature-terms.ts'
import { ITEM_STATS_FOLD } from './item-stats-fold.ts'
import type { ItemStatsShard } from './item-stats-shard.ts'
import { ListCache, type ListedStats } from './lists.ts'
import { PROFILE_FOLD } from './profile-fold.ts'
import type { ProfileShard } from './profile-shard.ts'
import { rankedFeatures, rowReader, type RankedFeatures } from './ranked-features.ts'
import { Ranker } from './ranker.ts'
import type { ShardOf } from './related.ts'
import { Requests, type RecommendOptions } from './requests.ts'

/** What answers in a branch stand on. */
export interface BranchAnswerPorts {
  readonly app: App
  readonly catalogue: Pick<Catalogue, 'index'>
  readonly clock: Clock
  readonly newId: () => string
  /** The fold of that name as it runs. */
  foldOf(name: string): Pick<FoldHandle, 'definition'>
}

/** What is asked of a branch. */
export interface BranchQuestion extends RecommendOptions {
  readonly surface: string
  /** Answers in place of the one that is served; of the same items. Default: that of the branch. */
  readonly definition?: App | undefined
}

/** An item where the other world does not have it in this slot. */
export interface MovedItem extends Pick<AnswerItem, 'kind' | 'id' | 'slot'> {
  readonly attributes?: AnswerItem['attributes']
}

/** What a surface would answer. */
export interface BranchAnswer {
  readonly surface: string
  readonly person?: string
  /** Each with its slot without the changes; absent where it had none. */
  readonly items: readonly (AnswerItem & { readonly slotBefore?: number })[]
  /** Items that are there only without the changes, with the slots that they had. */
  readonly gone: readonly MovedItem[]
  /** Slots that hold another item than without the changes. */
  readonly different: number
  /** True when nothing would be known of the person. */
  readonly isColdStart: boolean
  /** True when events of the person would wait because their fold failed. */
  readonly isIncomplete: boolean
  readonly explanation?: Explanation
}

interface Slate extends Pick<BranchAnswer, 'isColdStart' | 'explanation'> {
  readonly items: readonly AnswerItem[]
}

/** Answers a surface in a branch. Rejects with SURFACE_UNKNOWN, REQUEST_INVALID, BRANCH_INVALID, BRANCH_TOO_LARGE, BRANCH_UNKNOWN. */
export async function answerInBranch(
  ports: BranchAnswerPorts,
  branch: Branch,
  question: BranchQuestion,
): Promise<BranchAnswer> {
  const { person, surface } = question
  const { app, clock, newId } = ports
  const kinds = (app.options.items ?? []).map(({ name }) => tableFoldName(name))
  const folds = [ITEM_STATS_FOLD, ...kinds]
  // The draws of both are those of one answer at one moment.
  const moment = { answerId: newId(), atMs: clock.nowMs() }
  const answer = async (world: BranchWorld): Promise<Slate & { readonly isParked: boolean }> => {
    const who = person === undefined ? undefined : branch.people(world).canonical(person)
    const state = { fold: PROFILE_FOLD, key: who as string, world }
    const profile = who === undefined ? undefined : await branch.state<ProfileShard>(state)
    const isWith = world === 'with'
    const definition = (isWith ? (question.definition ?? branch.changes.app) : undefined) ?? app
    const asked = {
      ...question,
      ...(who === undefined ? {} : { person: who }),
      explain: isWith && question.explain === true,
    }
    const ranked = rankedFeatures(definition)
    const features = ranked === undefined ? undefined : featuresIn(ranked, ports, branch, world)
    for (;;) {
      const parts = { profile: profile?.shard, moment, ranked, features }
      const slate = await branch.whole({ folds, world }, read => ({
        ...slateOf({ ...ports, definition }, { ...parts, read }, asked),
        isParked: profile?.isParked === true,
      }))
      if (features === undefined || !(await features.load())) return slate
    }
  }
  const before = await answer('without')
  const { items, isParked, isColdStart, explanation } = await answer('with')
  const had = new Map(before.items.map(({ kind, id, slot }) => [`${kind}/${id}`, slot]))
  const shown = items.map((item): BranchAnswer['items'][number] => {
    const slotBefore = had.get(`${item.kind}/${item.id}`)
    had.delete(`${item.kind}/${item.id}`)
    return slotBefore === undefined ? item : { ...item, slotBefore }
  })
  return {
    surface,
    ...(person === undefined ? {} : { person }),
    items: shown,
    gone: before.items.filter(({ kind, id }) => had.has(`${kind}/${id}`)).map(({ kind, id, slot, attributes }) => ({ kind, id, slot, ...(attributes === undefined ? {} : { attributes }) })), // prettier-ignore
    different: shown.filter(({ slot, slotBefore }) => slot !== slotBefore).length,
    isColdStart,
    isIncomplete: isParked,
    ...(explanation === undefined ? {} : { explanation }),
  }
}

/** The folds that features are read from, in a world of a branch. */
function featuresIn(
  { tables, folds }: RankedFeatures,
  { foldOf }: BranchAnswerPorts,
  branch: Branch,
  world: BranchWorld,
): KeyedState {
  return new KeyedState({
    folds: [...tables, ...[...folds.values()].flat().map(({ name }) => name)],
    definitionOf: name => foldOf(name).definition,
    stateOf: (fold, key) => branch.state({ fold, key, world }),
  })
}

/** What one world says. */
interface WorldParts {
  readonly ranked: RankedFeatures | undefined
  readonly features: KeyedState | undefined
  readonly read: ReadonlyMap<string, BranchFold>
  /** Holds the person asked for; undefined for nobody in particular. */
  readonly profile: ProfileShard | undefined
  readonly moment: { readonly answerId: string; readonly atMs: number }
}

/** The slate of one world, ranked in one turn. */
function slateOf(
  ports: BranchAnswerPorts & { readonly definition: App },
  { read, profile, moment, ranked, features }: WorldParts,
  question: BranchQuestion,
): Slate {
  const { app, clock, definition } = ports
  const index = indexOf(ports, read)
  try {
    const stats = read.get(ITEM_STATS_FOLD) as BranchFold<ItemStatsShard>
    const lists = new ListCache({ index, stats: listedOf(stats, index), clock })
    lists.make()
    const surface = compileSurfaces(definition, index, ranked).get(question.surface)
    if (surface === undefined) {
      const known = Object.keys(definition.options.surfaces ?? {}).join(', ')
      throw productErrors.create('SURFACE_UNKNOWN', { surface: question.surface.slice(0, 64), known }) // prettier-ignore
    }
    const shardOf: ShardOf = item => stats.shardOf(index.space.keyOf(item))
    const rows = features === undefined || ranked === undefined ? undefined : rowReader(ranked, name => features.fold(name)) // prettier-ignore
    const terms = rows === undefined ? undefined : new FeatureTerms({ index, reader: rows })
    const ranker = new Ranker({ index, lists, shardOf, terms })
    const profiles = { shardOf: () => profile as ProfileShard }
    const request = new Requests({ index, profiles }).prepare(surface, question, moment)
    ranker.rank(request)
    const builder = new AnswerBuilder({ index, shardOf, verb: verbOf(app) })
    const items = builder.items(ranker, request)
    const { row } = request
    return {
      items,
      isColdStart: row < 0 || profile?.recent.length(row) === 0,
      ...(request.isExplained ? { explanation: builder.explanation(ranker, request, items) } : {}),
    }
  } finally {
    if (index !== ports.catalogue.index()) index.close()
  }
}

/** The items of a world: the live index where no item differs. */
function indexOf(
  { app, catalogue, clock }: BranchAnswerPorts,
  read: ReadonlyMap<string, BranchFold>,
): ItemIndex {
  const tables = (app.options.items ?? []).map(({ name }) => tableFoldName(name))
  if (tables.every(name => read.get(name)?.keys.size === 0)) return catalogue.index()
  const fold = <Shard extends FoldShard>(name: string): FoldHandle<Shard> => {
    const { live, own, shardOf } = read.get(name) as BranchFold as unknown as BranchFold<Shard>
    return {
      ...live,
      definition: live.definition,
      consumed: () => 0,
      shards: () => [...live.shards(), ...own],
      shardOf,
    }
  }
  const index = new ItemIndex({ app, streams: { fold }, clock })
  index.refresh()
  return index
}

/** Statistics for the lists: the live ones without the items that differ, and those. */
function listedOf({ live, own, keys }: BranchFold<ItemStatsShard>, index: ItemIndex): ListedStats {
  const numbers = new Set(Array.from(keys, key => index.space.intern(key)))
  const others = live.shards().map(shard => ({
    items: () => [...shard.items()].filter(item => !numbers.has(item)),
    countOf: (item: number) => (numbers.has(item) ? 0 : shard.countOf(item)),
    newestMsOf: (item: number) => shard.newestMsOf(item),
    popularityRank: (item: number) => shard.popularityRank(item),
    trendRank: (item: number) => shard.trendRank(item),
  }))
  return {
    shards: () => [...others, ...own],
    revision: () => 0,
    consumed: () => 0,
    corrected: () => 0,
  }
}
