/**
 * Features: how fast events are folded, how fast rows are read, and what it costs in memory. Prints
 * one JSON object.
 *
 *   node --expose-gc bench/features.ts [--events 1000000] [--entities 100000] [--memory 1000000]
 *     [--reads 5000] [--only stream|rows|memory]
 *
 * `stream`: events a second of processor time into 20 features of one view on one core, its states
 * encoded at the end as a snapshot does it. `memory`: bytes for each million entities with these 20
 * features, two events each. `rows`: rows of a service of 50 columns (two views of 20 features, one of
 * pairs, attributes, derived ones) for 200 items, read in process from a running stack, while nothing
 * else runs.
 */
import { PerformanceObserver, performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import {
  attributeOf,
  createSeededRandom,
  crossed,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  float,
  id,
  int,
  item,
  silentLogger,
  systemClock,
  text,
  type EventDefinition,
  type FeatureBuilder,
} from '@millrace/core'
import { compileFeatures, createFeatureReader, FeatureShard, planView } from '@millrace/features'
import type { LogRecord } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { compileViews, openStreams } from '@millrace/streams'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    entities: { type: 'string', default: '100000' },
    memory: { type: 'string', default: '1000000' },
    reads: { type: 'string', default: '5000' },
    only: { type: 'string' },
  },
})

const Clip = item('clip', { topics: text().many(), durationMs: int(), vector: float().many() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int(), share: float() },
  { key: 'viewer' },
)

type Build = FeatureBuilder<typeof watched, {}>
const twenty = (f: Build) =>
  ({
    plays1h: f.count({ window: '1h' }),
    plays1d: f.count({ window: '1d' }),
    plays7d: f.count({ window: '7d' }),
    plays30d: f.count({ window: { sliding: '30d', step: '1d' } }),
    plays: f.count({ window: 'lifetime' }),
    playsToday: f.count({ window: { tumbling: '1d' } }),
    long1d: f.count({ window: '1d', where: ({ data }) => data.watchedMs > 30_000 }),
    ms1h: f.sum({ window: '1h', of: 'watchedMs' }),
    ms1d: f.sum({ window: '1d', of: 'watchedMs' }),
    ms7d: f.sum({ window: '7d', of: 'watchedMs' }),
    ms: f.sum({ window: 'lifetime', of: 'watchedMs' }),
    finished1d: f.ratio({ window: '1d', of: ({ data }) => data.watchedMs > 50_000 }),
    finished7d: f.ratio({ window: '7d', of: ({ data }) => data.watchedMs > 50_000 }),
    finished: f.ratio({ window: 'lifetime', of: ({ data }) => data.watchedMs > 50_000 }),
    share: f.mean({ window: '7d', of: 'share' }),
    shareVariance: f.variance({ window: 'lifetime', of: 'share' }),
    longest: f.max({ window: '7d', of: 'watchedMs' }),
    shortest: f.min({ window: '7d', of: 'watchedMs' }),
    lastMs: f.last({ window: 'lifetime', of: 'watchedMs' }),
    trend: f.decayedCount({ halfLife: '6h' }),
  }) as const

const clipStats = featureView({ from: [watched], key: 'clip', features: twenty })
const viewerStats = featureView({ from: [watched], key: 'viewer', features: twenty })
const topicStats = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: ({ data }, { clip }) => clip(data.clip)?.topics },
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    ms7d: f.sum({ window: '7d', of: 'watchedMs' }),
  }),
})
const topics = attributeOf(Clip, 'topics')
const ratioOf = (a: 'plays1h' | 'plays1d', b: 'plays7d' | 'plays') =>
  derive(
    { a: clipStats.features[a], b: clipStats.features[b] },
    ({ a: part, b: whole }) => part / (whole + 1),
    { default: 0 },
  )
const prefixed = <T>(prefix: string, columns: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(columns).map(([name, column]) => [`${prefix}-${name}`, column]))
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    ...prefixed('clip', clipStats.features),
    ...prefixed('viewer', viewerStats.features),
    affinity: crossed(topicStats.features.plays, topics, 'max'),
    affinitySum: crossed(topicStats.features.plays, topics, 'sum'),
    affinityMs: crossed(topicStats.features.ms7d, topics, 'mean'),
    durationMs: attributeOf(Clip, 'durationMs'),
    vector: attributeOf(Clip, 'vector'),
    rise1h: ratioOf('plays1h', 'plays7d'),
    rise1d: ratioOf('plays1d', 'plays7d'),
    rise1hEver: ratioOf('plays1h', 'plays'),
    rise1dEver: ratioOf('plays1d', 'plays'),
    gap: derive(
      { a: clipStats.features.ms7d, b: viewerStats.features.ms7d },
      ({ a, b }) => Math.log1p(a) - Math.log1p(b),
      { default: 0 },
    ),
  },
})
const app = defineApp({
  name: 'measured',
  items: [Clip],
  events: [watched],
  features: { clipStats, viewerStats, topicStats, ranking },
})

const DAY_MS = 86_400_000
const START_MS = 1_780_000_000_000
const random = createSeededRandom(11)
const below = (n: number): number => Math.floor(random.next() * n)

function dataOf(viewer: string, clip: string): object {
  return { viewer, clip, watchedMs: below(60_000), share: below(100) / 100 }
}

function recordOf(key: string, offset: number, atMs: number): LogRecord {
  return {
    tenant: 'default',
    stream: 'person',
    partition: 0,
    offset,
    type: 'watched',
    key,
    keys: [key],
    id: '',
    eventTimeMs: atMs,
    ingestTimeMs: atMs,
    watermarkMs: atMs - 60_000,
    definition: '',
    generation: 0,
    isHistory: false,
    isUnique: false,
    headers: {},
    sealed: undefined,
    payload: new Uint8Array(),
    data: dataOf(key, 'c1'),
    memo: undefined,
  }
}

const BATCH = 20_000
/** Reads before the measured ones. */
const WARM_UP = 500

/** Folds events of random keys that are spread over `spanMs`; gives the processor time of it alone. */
function foldMany(
  shard: FeatureShard,
  options: { events: number; spanMs: number; keyOf: (n: number) => string },
): number {
  let cpuMs = 0
  for (let done = 0; done < options.events; done += BATCH) {
    const count = Math.min(BATCH, options.events - done)
    const records = Array.from({ length: count }, (_, index) => {
      const number = done + index
      const atMs = START_MS + Math.floor((options.spanMs * number) / options.events)
      return recordOf(options.keyOf(number), number, atMs - below(600_000))
    })
    const before = process.cpuUsage()
    for (const record of records) {
      shard.advance(record.watermarkMs)
      shard.fold(record)
    }
    cpuMs += spentMs(before)
  }
  return cpuMs
}

function spentMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

interface Took {
  readonly fromMs: number
  readonly ms: number
  /** Processor time of this thread: what other processes of the machine disturb less. */
  readonly cpuMs: number
}

const tables = { asOf: () => undefined }

function measureStream(): object {
  const [events, entities] = [Number(values.events), Number(values.entities)]
  const keys = Array.from({ length: entities }, (_, n) => `p${n}`)
  const shard = new FeatureShard(planView('viewerStats', viewerStats), { tables })
  // Some keys are far more active than others.
  const keyOf = (): string => keys[Math.floor(entities * random.next() ** 3)] as string
  const foldMs = foldMany(shard, { events, spanMs: 7 * DAY_MS, keyOf })
  const before = process.cpuUsage()
  let bytes = 0
  for (const key of shard.keys()) bytes += shard.encodeKey(key)?.length ?? 0
  const encodeMs = spentMs(before)
  return {
    events,
    entities: shard.keyCount(),
    eventsPerSecond: Math.round(events / ((foldMs + encodeMs) / 1000)),
    foldMicroseconds: (foldMs * 1000) / events,
    encodeMicrosecondsPerEntity: (encodeMs * 1000) / shard.keyCount(),
    encodedBytesPerEntity: bytes / shard.keyCount(),
  }
}

function measureMemory(): object {
  const entities = Number(values.memory)
  globalThis.gc?.()
  const before = process.memoryUsage()
  const shard = new FeatureShard(planView('viewerStats', viewerStats), { tables })
  foldMany(shard, { events: 2 * entities, spanMs: 2 * DAY_MS, keyOf: n => `p${n % entities}` })
  globalThis.gc?.()
  const after = process.memoryUsage()
  const used = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  return {
    entities: shard.keyCount(),
    bytesPerEntity: Math.round(used / entities),
    tileBytes: shard.bytes,
  }
}

async function measureRows(): Promise<object> {
  const log = openMemoryLog({ clock: systemClock })
  const compiled = compileFeatures(app)
  const { partitions, latenessMs } = app
  const views = compileViews({ views: {}, partitions, latenessMs, tableKinds: ['clip'], rekeyed: compiled.rekeyed }) // prettier-ignore
  await log.declare([...app.streams, { name: 'clip', partitions }, ...views.streams])
  const streams = await openStreams({
    log,
    snapshots: createMemorySnapshotStore(),
    clock: systemClock,
    logger: silentLogger,
    folds: [...views.folds, ...compiled.folds],
    tables: views.tables,
  })
  const nowMs = systemClock.nowMs()
  const commit = async (
    definition: Pick<EventDefinition, 'name' | 'stream'>,
    rows: readonly { key: string; id: string; data: object; atMs: number }[],
  ): Promise<void> => {
    // prettier-ignore
    const { name: type, stream } = definition
    const events = rows.map(({ key, id: own, data, atMs: eventTimeMs }) => ({ stream, type, key, id: own, eventTimeMs, data, definition: app.fingerprint })) // prettier-ignore
    await log.commit({ events })
  }
  const clips = Array.from({ length: 2_000 }, (_, n) => `c${n}`)
  await commit(
    { name: 'clip.put', stream: 'clip' },
    clips.map(key => ({
      key,
      id: `put-${key}`,
      atMs: nowMs - 8 * DAY_MS,
      data: {
        id: key,
        attributes: { topics: [`t${below(50)}`, `t${below(50)}`], durationMs: 60_000, vector: Array.from({ length: 32 }, () => random.next()) }, // prettier-ignore
      },
    })),
  )
  for (let done = 0; done < 100_000; done += 1_000) {
    await commit(
      watched,
      Array.from({ length: 1_000 }, (_, index) => {
        const viewer = `p${below(500)}`
        const atMs = nowMs - Math.floor((7 * DAY_MS * (100_000 - done - index)) / 100_000)
        return { key: viewer, id: `e${done + index}`, atMs, data: dataOf(viewer, clips[below(2_000)] as string) } // prettier-ignore
      }),
    )
  }
  await streams.reached({ position: new Map(log.ends()), timeoutMs: 60_000 })
  const reader = createFeatureReader(streams, compiled)
  const pauses: { readonly fromMs: number; readonly untilMs: number }[] = []
  const observer = new PerformanceObserver(list => {
    for (const { startTime: fromMs, duration } of list.getEntries()) {
      pauses.push({ fromMs, untilMs: fromMs + duration })
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  const took: Took[] = []
  let sum = 0
  const reads = Number(values.reads)
  for (let read = -WARM_UP; read < reads; read++) {
    const person = `p${below(500)}`
    const rows = Array.from({ length: 200 }, () => ({
      person,
      clip: clips[below(2_000)] as string,
    }))
    const fromMs = performance.now()
    const before = process.threadCpuUsage()
    const { values: cells, columns } = reader.read({ service: 'ranking', rows, atMs: nowMs + read })
    const { user, system } = process.threadCpuUsage(before)
    const ms = performance.now() - fromMs
    if (read >= 0) took.push({ fromMs, ms, cpuMs: (user + system) / 1000 })
    sum += (cells[0] as number) + columns.length
  }
  await new Promise(resolve => setTimeout(resolve, 100))
  observer.disconnect()
  await streams.close()
  await log.close()
  const at = (of: 'ms' | 'cpuMs', share: number): number =>
    took.map(each => each[of]).sort((a, b) => a - b)[Math.floor(share * reads)] as number
  const slowest = took.toSorted((a, b) => a.cpuMs - b.cpuMs).slice(Math.floor(0.99 * reads))
  const inPause = slowest.filter(({ fromMs, ms }) =>
    pauses.some(pause => pause.fromMs < fromMs + ms && fromMs < pause.untilMs),
  )
  return {
    reads,
    rows: 200,
    columns: compiled.services.get('ranking')?.columns.length,
    p50Ms: at('ms', 0.5),
    p99Ms: at('ms', 0.99),
    cpuP50Ms: at('cpuMs', 0.5),
    cpuP99Ms: at('cpuMs', 0.99),
    cpuMaxMs: at('cpuMs', 0.9999),
    slowestInCollection: inPause.length / slowest.length,
    checksum: sum,
  }
}

const { only } = values
const wanted = (part: string): boolean => only === undefined || only === part
console.log(
  JSON.stringify({
    ...(wanted('stream') ? { stream: measureStream() } : {}),
    ...(wanted('rows') ? { rows: await measureRows() } : {}),
    ...(wanted('memory') ? { memory: measureMemory() } : {}),
  }),
)
