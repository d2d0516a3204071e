/**
 * The recommendations module over folds that are driven directly, record by record, without log and
 * runtime: what the maths costs and how good it is, and nothing else.
 */
import {
  attributeOf,
  createIdSource,
  crossed,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  id,
  item,
  partitionOf,
  ranker,
  signal,
  silentLogger,
  surface,
  systemClock,
  text,
  type App,
  type Random,
} from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import {
  createCatalogue,
  createRecommendations,
  type ModuleContext,
  type ModuleInstance,
  type Recommendations,
  type RouteAnswer,
  type RouteDefinition,
} from '@millrace/product'
import {
  tableFoldName,
  type Emission,
  type FoldDefinition,
  type FoldHandle,
  type FoldShard,
  type Streams,
} from '@millrace/streams'

/** A module that answers from folds driven by `act` and `put`. */
export interface DirectProduct {
  readonly app: App
  readonly recommendations: Recommendations
  put(id: string, attributes: Readonly<Record<string, unknown>>): void
  act(person: string, item: string, atMs: number): void
  /** What HTTP sends: the answer as JSON, its token included, a character for each byte. */
  answerBytes(surface: string, query: Readonly<Record<string, unknown>>): string
  shards(fold: string): readonly FoldShard[]
}

/** What the home surface is made of. */
interface HomeParts {
  readonly item: ReturnType<typeof item>
  readonly size: { readonly default: number; readonly max: number }
}

/** The app of the measurements: films, one signal, one surface per question. */
export function measuredApp(
  explore: number,
  homeOf: (parts: HomeParts) => ReturnType<typeof surface> = ({ item, size }) =>
    surface({ items: item, explore, size }),
  isRanked = false,
): App {
  const Film = item('film', { title: text(), genres: text().many() })
  const watched = event('watched', { viewer: id('person'), film: id('film') }, { key: 'viewer' })
  const size = { default: 20, max: 100 }
  const stats = featureView({
    from: [watched],
    key: 'film',
    features: f => ({ plays: f.count({ window: 'lifetime' }), plays1d: f.count({ window: '1d' }) }),
  })
  const taste = featureView({
    from: [watched],
    key: 'viewer',
    join: { film: Film },
    pair: { name: 'genre', of: (e, { film }) => film(e.data.film)?.genres },
    features: f => ({ plays: f.count({ window: 'lifetime' }) }),
  })
  const ranking = featureService({
    entities: ['person', 'film'],
    features: {
      plays: stats.features.plays,
      plays1d: stats.features.plays1d,
      taste: crossed(taste.features.plays, attributeOf(Film, 'genres'), 'sum'),
      rise: derive(
        { plays: stats.features.plays, day: stats.features.plays1d },
        ({ plays, day }) => day / (plays + 1),
        { default: 0 },
      ),
    },
  })
  const terms = ranker({
    service: ranking,
    terms: {
      taste: row => Math.log1p(row.taste),
      plays: row => 0.2 * Math.log1p(row.plays),
      rise: row => row.rise,
    },
  })
  const home = homeOf({ item: Film, size })
  return defineApp({
    name: 'measured',
    items: [Film],
    events: [watched],
    signals: [signal(watched, { item: 'film' })],
    ...(isRanked ? { features: { stats, taste, ranking } } : {}),
    surfaces: {
      home: isRanked ? { ...home, ranker: terms } : home,
      forYou: surface({ items: Film, sources: ['forYou', 'popular'], size }),
      popular: surface({ items: Film, sources: ['popular'], size }),
    },
  })
}

/** Opens the modules over folds of one partition. */
export async function openDirect(app: App, random: Random): Promise<DirectProduct> {
  const modules = [createCatalogue(), createRecommendations()]
  const handles = new Map<string, FoldHandle>()
  let revision = 0
  for (const definition of modules.flatMap(module => module.folds?.(app) ?? [])) {
    handles.set(
      definition.name,
      handleOf(definition, () => revision),
    )
  }
  const streams = {
    fold: (name: string) => handles.get(name) as FoldHandle,
    reflected: () => new Map([['person/0', revision]]),
  } as unknown as Streams
  const opened = new Map<string, ModuleInstance>()
  const context: ModuleContext = {
    app,
    log: { commit: async () => ({ results: [], position: new Map() }) } as unknown as EventLog,
    streams,
    clock: systemClock,
    random,
    logger: silentLogger,
    newId: createIdSource({ clock: systemClock, random }),
    secret: new Uint8Array(32),
    modules: opened,
  }
  for (const module of modules) opened.set(module.name, await module.open(context))
  const shardsOf = (name: string): readonly FoldShard[] =>
    (handles.get(name) as FoldHandle).shards()
  const profile = shardsOf('profile')[0] as FoldShard
  const stats = shardsOf('item-stats')[0] as FoldShard
  const table = shardsOf(tableFoldName('film'))[0] as FoldShard
  const output = {
    emit: (emission: Emission) =>
      stats.fold(
        recordOf(
          emission.type,
          emission.key,
          emission.eventTimeMs ?? 0,
          emission.data,
          emission.keys,
        ),
        ignored,
      ),
    fail: () => undefined,
  }
  const ignored = { emit: () => undefined, fail: () => undefined }
  const route = (opened.get('recommendations')?.routes ?? []).find(
    ({ operation }) => operation === 'recommend',
  ) as RouteDefinition
  return {
    app,
    recommendations: opened.get('recommendations')?.api as Recommendations,
    put(id, attributes) {
      revision += 1
      table.fold(recordOf('film.put', id, 0, { id, attributes }), ignored)
    },
    act(person, film, atMs) {
      revision += 1
      profile.fold(recordOf('watched', person, atMs, { viewer: person, film }), output)
    },
    answerBytes(surfaceName, query) {
      const answer = route.handle({ params: { surface: surfaceName }, query, body: undefined })
      return (answer as RouteAnswer).bytes as string
    },
    shards: shardsOf,
  }
}

function handleOf(definition: FoldDefinition, revision: () => number): FoldHandle {
  const tables = { asOf: () => undefined }
  const shards = [definition.createShard({ partition: 0, partitions: 1, tables })]
  return {
    definition,
    shards: () => shards,
    shardOf: (key: string) => shards[partitionOf(key, 1)] as FoldShard,
    position: () => new Map(),
    consumed: () => 0,
    corrected: () => 0,
    isSettled: () => true,
    revision,
    parked: () => [],
    isParked: () => false,
    watermarkOf: () => 0,
  }
}

function recordOf(
  type: string,
  key: string,
  atMs: number,
  data: unknown,
  keys: readonly string[] = [key],
): LogRecord {
  return {
    type,
    key,
    keys,
    eventTimeMs: atMs,
    ingestTimeMs: atMs,
    data,
  } as unknown as LogRecord
}
