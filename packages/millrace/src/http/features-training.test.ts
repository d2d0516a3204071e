/**
 * A training set gives what requests were served at the same moments, cell by cell: features of all
 * kinds, of numbers alone too (whose events wait until they are read), attributes, what a request
 * told, what is derived and what is crossed.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import {
  attributeOf,
  bool,
  contextOf,
  createSeededRandom,
  crossed,
  defineApp,
  derive,
  event,
  featureService,
  featureView,
  id,
  int,
  item,
  preparedService,
  systemClock,
  text,
  trainingSet,
  type App,
} from '@millrace/core'
import {
  CELL_STATUSES,
  compileFeatures,
  featureFoldName,
  type FeatureShard,
} from '@millrace/features'
import { answerObservations, extract, makeCells, makeTrainingSet, type Manifest, type TrainingJob } from '@millrace/features/training' // prettier-ignore
import { tableFold, type FoldDefinition } from '@millrace/streams'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import type { Millrace } from '../millrace.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'
import { planHouse } from '../wiring/house.ts'
import { modulesOf, orderModules } from '../wiring/modules.ts'

const Clip = item('clip', { topics: text().many(), isLong: bool() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int(), share: int() },
  { key: 'viewer' },
)
const shown = event(
  'shown',
  { viewer: id('person'), clip: id('clip'), device: text(), isEvening: bool() },
  { key: 'viewer' },
)
const numbers = featureView({
  from: [watched],
  key: 'viewer',
  features: f => ({
    plays: f.count({ window: '6h' }),
    ms: f.sum({ window: '1d', of: 'ms' }),
    rate: f.ratio({ window: '1d', of: e => e.data.ms > 5, default: -1 }),
    faulty: f.sum({ window: 'lifetime', of: e => (e.data.ms === 7 && e.data.share === 3 ? fault() : e.data.ms) }), // prettier-ignore
    faded: f.decayedCount({ halfLife: '6h' }),
  }),
})
const kinds = featureView({
  from: [watched],
  key: 'viewer',
  freshness: '45m',
  ttl: '2h',
  features: f => ({
    first: f.firstText({ window: '1d', of: 'clip' }),
    last: f.lastText({ window: '6h', of: 'clip', default: 'none' }),
    clips: f.lastTexts({ window: '1d', of: 'clip', n: 3 }),
    lengths: f.lastNumbers({ window: 'lifetime', of: 'ms', n: 3 }),
    different: f.distinct({ window: '7d', of: 'clip' }),
    median: f.quantile({ window: '7d', of: 'ms', q: 0.5, default: -1 }),
    quartiles: f.quantiles({ window: '7d', of: 'ms', q: [0.25, 0.75] }),
    top: f.topTexts({ window: '7d', of: 'clip', k: 2 }),
    spread: f.histogram({ window: '1d', of: 'ms', bounds: [3, 6] }),
    length: f.span({ window: { session: '30m', max: '6h' } }),
    visits: f.sessions({ window: '7d', gap: '30m' }),
    own: f.custom({
      window: '1d',
      of: e => e.data.ms,
      default: -1,
      init: () => ({ last: 0 }),
      add: ({ last }, ms) => ({ last: ms - last }),
      merge: (a, b) => ({ last: b.last - a.last }),
      read: ({ last }) => last,
    }),
  }),
})
const taste = featureView({
  from: [watched],
  key: 'viewer',
  join: { clip: Clip },
  pair: { name: 'topic', of: ({ data }, { clip }) => clip(data.clip)?.topics, max: 3 },
  freshness: '3h',
  features: f => ({
    finished: f.ratio({ window: '1d', of: e => e.data.ms > 4, default: -1 }),
    faulty: f.sum({ window: '1d', of: e => (e.data.ms === 8 && e.data.share === 2 ? fault() : 1) }),
  }),
})
const device = contextOf('device', text(), { default: 'unknown' })
const topics = attributeOf(Clip, 'topics')
const ranking = featureService({
  entities: ['person', 'clip'],
  features: {
    ...numbers.features,
    ...kinds.features,
    topics,
    device,
    isEvening: contextOf('isEvening', bool()),
    mean: crossed(taste.features.finished, topics, 'mean'),
    most: crossed(taste.features.finished, topics, 'max'),
    broken: crossed(taste.features.faulty, topics, 'sum'),
    onTv: derive({ device, ms: numbers.features.ms }, ({ device: on, ms }, { atMs }) => on === 'tv' ? ms + (atMs % 1_000) : -1, { default: 0 }), // prettier-ignore
    // Of what is no column, of what is made, and of what may have failed.
    rest: derive(
      { isLong: attributeOf(Clip, 'isLong'), mean: crossed(taste.features.finished, topics, 'sum'), faulty: numbers.features.faulty }, // prettier-ignore
      ({ isLong, mean, faulty }) => (mean > 1 ? NaN : isLong + mean + faulty),
      { default: -9 },
    ),
    joined: derive({ topics, device }, ({ topics: all, device: on }) => [...all, on], { default: [], list: 'texts' }), // prettier-ignore
  },
})
const clicks = trainingSet({
  service: ranking,
  observe: shown,
  entities: { person: 'viewer', clip: 'clip' },
  context: { device: 'device', isEvening: 'isEvening' },
})
/** Of what a view, a request, a table, and what is made of them give. */
const ready = preparedService({
  from: ranking,
  features: c => ({
    isNew: c.plays.isMissing(),
    ms: c.ms.impute('mean', { by: c.device }),
    device: c.device.oneHot({ max: 1 }),
    onTv: c.onTv.minMax(),
    mean: c.mean.impute('mean'),
    rest: c.rest.imputeConstant(-5),
    topics: c.topics,
  }),
})
const prepared = trainingSet({
  service: ready,
  observe: shown,
  entities: { person: 'viewer', clip: 'clip' },
  context: { device: 'device' },
})
const app = defineApp({
  name: 'trained',
  items: [Clip],
  events: [watched, shown],
  features: { numbers, kinds, taste, ranking, ready },
  trainingSets: { clicks, prepared },
})

function fault(): never {
  throw new Error('a faulty play')
}

/** Takes the steps of a training set here, as a thread does. */
function stepsOf(millrace: Millrace<typeof app>, isPrepared = false) {
  const { log } = millrace
  const { folds } = planHouse(app, orderModules(modulesOf(app)))
  return async ({ kind, job }: TrainingJob) => {
    const definition = isPrepared ? prepared : clicks
    if (kind === 'extract') return await extract(log, definition, job)
    if (kind === 'make') return await makeCells(definition.service, compileFeatures(app).services, job) // prettier-ignore
    const view = folds.find(({ name }) => name === featureFoldName(job.of))
    const fold = job.isTable ? tableFold(job.of) : (view as FoldDefinition<FeatureShard>)
    return await answerObservations({ log, folds, fold }, job)
  }
}

/** All rows of a Parquet file. */
async function rowsOf(path: string): Promise<Record<string, unknown>[]> {
  const compressors = { ZSTD: (input: Uint8Array): Uint8Array => zstdDecompressSync(input) }
  return await parquetReadObjects({ file: await asyncBufferFromFile(path), compressors })
}

test('a training set has what requests were served', async t => {
  const clock = { ...systemClock, timeMs: Date.UTC(2026, 4, 20, 12), nowMs: () => clock.timeMs }
  const millrace = await openForTest({ app, clock })
  t.after(() => millrace.close())
  const { url } = await millrace.listen()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-training-'))
  t.after(() => rm(folder, { recursive: true }))
  const random = createSeededRandom(11)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)] as T
  const clips = ['c0', 'c1', 'c2', 'none']
  for (const [at, tags] of [['art', 'bees'], ['art'], []].entries()) {
    await send(url, `/v1/items/clip/c${at}`, { method: 'PUT', body: { topics: tags, isLong: at === 1 } }) // prettier-ignore
  }
  const served: { cells: Record<string, unknown>; statuses: Record<string, unknown> }[] = []
  const asked: string[] = []
  for (let step = 0; step < 48; step++) {
    clock.timeMs += 1 + Math.floor(random.next() * 5_400_000)
    const late = step % 4 === 0 ? Math.floor(random.next() * 7_200_000) : 0
    const data = { viewer: pick(['ana', 'ben']), clip: pick(clips), ms: Math.floor(random.next() * 10), share: Math.floor(random.next() * 8) } // prettier-ignore
    const { position } = await millrace.trackMany([{ type: 'watched', at: clock.timeMs - late, data }]) // prettier-ignore
    await millrace.reached(position)
    clock.timeMs += 10
    const person = pick(['ana', 'ben', 'nobody'])
    const clip = pick(clips)
    const context = { device: pick(['tv', 'phone']), isEvening: pick([true, false]) }
    const body = { service: 'ranking', rows: [{ person, clip }], context }
    const { json, text: told } = await send(url, '/v1/features/read', { body })
    const { columns, values, statuses } = json as { columns: string[]; values: unknown[][]; statuses: unknown[][] } // prettier-ignore
    assert.equal(json['atMs'] ?? clock.timeMs, clock.timeMs, told)
    const of = (row: readonly unknown[] | undefined): Record<string, unknown> =>
      Object.fromEntries(columns.map((name, column) => [name, row?.[column]]))
    served.push({ cells: of(values[0]), statuses: of(statuses[0]) })
    asked.push([person, clip, clock.timeMs, context.device, context.isEvening].join(','))
    const event = {
      type: 'shown' as const,
      at: clock.timeMs,
      data: { viewer: person, clip, ...context },
    }
    await millrace.trackMany([event])
  }
  const file = join(folder, 'asked.csv')
  await writeFile(file, ['person,clip,time,device,isEvening', ...asked, ''].join('\n'))
  const make = async (
    to: string,
    observations?: string,
    name: 'clicks' | 'prepared' = 'clicks',
  ): Promise<[Record<string, unknown>[], Manifest]> => {
    const path = join(folder, to)
    const run = stepsOf(millrace, name === 'prepared')
    const ports = { run, threads: 2, ends: millrace.log.ends(), features: compileFeatures(app) } // prettier-ignore
    const request = { app: app as App, trainingSet: name, file: path, nowMs: clock.timeMs }
    await makeTrainingSet(ports, observations === undefined ? request : { ...request, observations }) // prettier-ignore
    const rows = await rowsOf(path)
    return [rows, JSON.parse(await readFile(`${path}.json`, 'utf8')) as Manifest]
  }
  for (const [rows, manifest] of [await make('file.parquet', file), await make('events.parquet')]) {
    assert.equal(rows.length, served.length)
    const counted: Record<string, Record<string, number>> = {}
    for (const [at, { cells, statuses }] of served.entries()) {
      for (const [name, value] of Object.entries(cells)) {
        assert.deepEqual(rows[at]?.[name], value, `${name} of row ${at}`)
        const counts = (counted[name] ??= {})
        const status = CELL_STATUSES[statuses[name] as number] as string
        counts[status] = (counts[status] ?? 0) + 1
      }
    }
    for (const [name, { served: counts }] of Object.entries(manifest.features)) {
      // A request says of entities that have no row in a table that they are missing.
      if (counts['missing'] === undefined) assert.deepEqual(counts, counted[name], name)
    }
    const seen = new Set(Object.values(manifest.features).flatMap(feature => Object.keys(feature.served))) // prettier-ignore
    assert.deepEqual([...seen].sort(), [...CELL_STATUSES].sort())
  }
  for (const observations of [file, undefined]) {
    const [rows, { features }] = await make('prepared.parquet', observations, 'prepared')
    for (const [at, expected] of preparedOf(served).entries()) {
      for (const [name, value] of Object.entries(expected)) {
        const found = rows[at]?.[name]
        const isNear = typeof value === 'number' && Math.abs((found as number) - value) < 1e-9
        if (!isNear) assert.deepEqual(found, value, `${name} of row ${at}`)
      }
    }
    const { isNew } = features
    assert.equal(isNew?.served['default'], rows.filter(row => row['isNew'] === 1).length)
  }
})

interface Served {
  readonly cells: Record<string, unknown>
  readonly statuses: Record<string, unknown>
}

/** What the steps make of served rows, by looking at all of them. */
function preparedOf(served: readonly Served[]): readonly Record<string, unknown>[] {
  const isThere = ({ statuses }: Served, name: string): boolean =>
    ['value', 'stale'].includes(CELL_STATUSES[statuses[name] as number] as string)
  const meanOf = (name: string, rows: readonly Served[]): number => {
    const there = rows.filter(row => isThere(row, name)).map(({ cells }) => cells[name] as number)
    return there.reduce((sum, value) => sum + value, 0) / there.length
  }
  const tv = served.filter(({ cells }) => cells['device'] === 'tv')
  const others = served.filter(({ cells }) => cells['device'] !== 'tv')
  const [frequent] = tv.length > others.length ? ['tv'] : ['phone']
  const onTv = served.map(({ cells }) => cells['onTv'] as number)
  const [least, most] = [Math.min(...onTv), Math.max(...onTv)]
  return served.map(row => {
    const { cells } = row
    const device = cells['device']
    return {
      isNew: isThere(row, 'plays') ? 0 : 1,
      ms: isThere(row, 'ms') ? cells['ms'] : meanOf('ms', device === 'tv' ? tv : others),
      device: device === frequent ? [1, 0] : [0, 1],
      onTv: ((cells['onTv'] as number) - least) / (most - least),
      mean: isThere(row, 'mean') ? cells['mean'] : meanOf('mean', served),
      rest: isThere(row, 'rest') ? cells['rest'] : -5,
      topics: cells['topics'],
    }
  })
}
