/**
 * Past answers of a data directory given again: requests a second of one sweep, folding included.
 * Prints one JSON object.
 *
 *   node bench/backtest.ts [--requests 20000] [--items 3500] [--people 2000] [--explore 0.05]
 *                          [--data directory] [--only same,changed] [--features]
 *
 * With `--data` the log is kept there, and one that is there is filled up to `--requests`: a million
 * takes some minutes, which may be cut off and gone on with. As many events as requests, in turn, by people of eight tastes. `same` is the
 * definition that answered: nothing may differ. `changed` has one filter more, and is judged and
 * compared slot by slot. With `--features` the list is ranked by a feature service: four columns, a hundred rows a request. Processor time, garbage collection included.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSeededRandom, silentLogger, surface, systemClock, type App } from '@millrace/core'
import { compileFeatures } from '@millrace/features'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLogView } from '@millrace/log/file'
import {
  backtest,
  createCatalogue,
  createRecommendations,
  defineFilter,
  type Catalogue,
  type Recommendations,
} from '@millrace/product'
import { compileViews } from '@millrace/streams'
import { openMillrace } from 'millrace'
import { measuredApp } from './recommend/direct.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    items: { type: 'string', default: '3500' },
    people: { type: 'string', default: '2000' },
    explore: { type: 'string', default: '0.05' },
    data: { type: 'string' },
    features: { type: 'boolean', default: false },
    only: { type: 'string', default: 'same,changed' },
  },
})
const requests = Number(values.requests)
const items = Number(values.items)
const people = Number(values.people)
const explore = Number(values.explore)
const CHUNK = 500
const START_MS = 1_750_000_000_000

const only = values.only.split(',')
const directory = values.data ?? mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const filledFile = join(directory, 'filled')
try {
  await fill()
  const log = await openFileLogView({ disk: openNodeDisk(directory), directory: 'log' })
  const filter = defineFilter({ name: 'odd', keep: ({ id }) => Number(id.slice(1)) % 25 !== 0 })
  const changed = measuredApp(
    explore,
    ({ item: Film, size }) =>
      surface({ items: Film, explore, size, filters: ['seen', 'disliked', filter] }),
    values.features,
  )
  console.log(
    JSON.stringify({
      ...{ requests, items, people, explore },
      ...(only.includes('same') ? { same: await run(appOf()) } : {}),
      ...(only.includes('changed') ? { changed: await run(changed) } : {}),
    }),
  )
  await log.close()

  async function run(app: App): Promise<object> {
    const { folds: views, rekeyed } = compileFeatures(app)
    const { partitions, latenessMs } = app
    const rekeying = compileViews({ views: {}, partitions, latenessMs, tableKinds: [], rekeyed })
    const modules = [createCatalogue(), createRecommendations()]
    const own = modules.flatMap(module => module.folds?.(app) ?? [])
    const folds = [...rekeying.folds, ...views, ...own]
    const cpu = process.cpuUsage()
    const startMs = performance.now()
    const report = await backtest({ app, folds, log, clock: systemClock }, { surface: 'home' })
    const seconds = (performance.now() - startMs) / 1000
    const { user, system } = process.cpuUsage(cpu)
    return {
      ...report.requests,
      requestsPerSecond: Math.round(report.requests.answered / seconds),
      requestsPerSecondOfProcessor: Math.round(
        report.requests.answered / ((user + system) / 1_000_000),
      ),
      residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
      stages: report.stages,
    }
  }
} finally {
  if (values.data === undefined) rmSync(directory, { recursive: true })
}

function appOf(): App {
  return measuredApp(explore, undefined, values.features)
}

/** People act and ask in turn, in chunks. */
async function fill(): Promise<void> {
  const filled = existsSync(filledFile) ? Number(readFileSync(filledFile, 'utf8')) : 0
  if (filled >= requests) return
  const app = appOf()
  const millrace = await openMillrace({ app, data: directory, logger: silentLogger })
  // One that was cut off left more than its last snapshot knows: answers go on where it was.
  await millrace.reached(new Map(millrace.log.ends()))
  const catalogue = millrace.module<Catalogue>('catalogue')
  const recommendations = millrace.module<Recommendations>('recommendations')
  for (let from = 0; filled === 0 && from < items; from += CHUNK) {
    const chunk = Array.from({ length: Math.min(CHUNK, items - from) }, (_, at) => from + at)
    const rows = chunk.map(item => ({
      id: `f${item}`,
      attributes: { title: `Film ${item}`, genres: [`g${item % 20}`, `h${item % 7}`] },
    }))
    await catalogue.put('film', rows)
  }
  for (let from = filled; from < requests; from += CHUNK) {
    const random = createSeededRandom(from)
    const events = Array.from({ length: CHUNK }, (_, at) => {
      const person = Math.floor(random.next() * people)
      const part = random.next() < 0.8 ? person % 8 : Math.floor(random.next() * 8)
      const rank = Math.floor(Math.exp(random.next() * Math.log(items / 8)))
      const film = `f${(rank * 8 + part) % items}`
      return {
        type: 'watched',
        at: START_MS + (from + at) * 100,
        data: { viewer: `p${person}`, film },
      }
    })
    const lines = events.map(event => JSON.stringify(event)).join('\n')
    await millrace.trackLines(Buffer.from(lines))
    for (let at = 0; at < Math.min(CHUNK, requests - from); at++) {
      recommendations.recommend('home', { person: `p${Math.floor(random.next() * people)}` })
    }
    await recommendations.flush()
    writeFileSync(filledFile, String(from + CHUNK))
  }
  await millrace.close()
}
