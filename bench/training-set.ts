/**
 * A point-in-time training set: 10 million events of the log, 1 million observations with labels, 20
 * windowed features, made by the command; beside it DuckDB's own SQL over the same events in a Parquet
 * file (running sums and an ASOF join for each border of a window), which must give equal values.
 * Prints one JSON object.
 *
 *   node bench/training-set.ts [--events 10000000] [--labels 1000000] [--people 100000]
 *     [--directory /tmp/train10m] [--only ours|duckdb] [--generate]
 *
 * What is generated is kept in the directory, and used again.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { createSeededRandom, silentLogger, systemClock, systemRandom, tiledWindow } from '@millrace/core' // prettier-ignore
import type { NewEvent } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { openFileLog } from '@millrace/log/file'
import { ParquetWriter, fileWriter, schemaFromColumnData } from 'hyparquet-writer'
import { app, WINDOWS } from './training-set/app.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '10000000' },
    labels: { type: 'string', default: '1000000' },
    people: { type: 'string', default: '100000' },
    directory: { type: 'string', default: join(tmpdir(), 'train10m') },
    only: { type: 'string' },
    generate: { type: 'boolean', default: false },
  },
})
const EVENTS = Number(values.events)
const LABELS = Number(values.labels)
const PEOPLE = Number(values.people)
const START_MS = Date.UTC(2026, 0, 1)
const SPAN_MS = 90 * 86_400_000
const BATCH = 10_000
const FILE_ROWS = 1_000_000
const THREADS = 2
const MEMORY_MIB = 2_048

const place = join(values.directory, `${EVENTS}-${LABELS}-${PEOPLE}`)
const data = join(place, 'data')
const eventsFiles = join(place, 'events-*.parquet')
const labelsFile = join(place, 'labels.parquet')

interface Column {
  readonly name: string
  readonly type: 'STRING' | 'DOUBLE' | 'INT32'
}
const EVENT_COLUMNS: readonly Column[] = [
  { name: 'viewer', type: 'STRING' },
  { name: 'time', type: 'DOUBLE' },
  { name: 'ms', type: 'INT32' },
  { name: 'finished', type: 'INT32' },
  { name: 'liked', type: 'INT32' },
]
const LABEL_COLUMNS: readonly Column[] = [
  { name: 'person', type: 'STRING' },
  { name: 'time', type: 'DOUBLE' },
  { name: 'label', type: 'DOUBLE' },
]

/** Writes a file of columns, under its name when it is whole. */
function columnsWriter(path: string, columns: readonly Column[]) {
  const aside = `${path}.new`
  rmSync(aside, { force: true })
  const cells = columns.map((): unknown[] => [])
  const sources = (): never => columns.map((column, index) => ({ ...column, data: cells[index] })) as never // prettier-ignore
  const schema = schemaFromColumnData({ columnData: sources() })
  const writer = new ParquetWriter({ writer: fileWriter(aside), schema })
  const flush = (): void => {
    const rowGroupSize = cells[0]?.length ?? 0
    if (rowGroupSize > 0) void writer.write({ columnData: sources(), rowGroupSize })
    for (const column of cells) column.length = 0
  }
  return {
    add(...row: readonly unknown[]) {
      row.forEach((cell, index) => cells[index]?.push(cell))
      if (cells[0]?.length === 100_000) flush()
    },
    async finish() {
      flush()
      await writer.finish()
      renameSync(aside, path)
    },
  }
}

/** An id that sorts by time, as clients make them. */
function idOf(timeMs: number, index: number): string {
  const time = timeMs.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-8000-8000-${index.toString(16).padStart(12, '0')}`
}

interface Watch {
  readonly viewer: string
  readonly atMs: number
  readonly watchedMs: number
  readonly isFinished: number
  readonly isLiked: number
}

/** The events: the same at every run. */
function* watches(): Generator<Watch> {
  const random = createSeededRandom(1)
  for (let index = 0; index < EVENTS; index++) {
    const watchedMs = Math.floor(random.next() * 60_000)
    yield {
      viewer: personOf(random.next()),
      atMs: START_MS + Math.floor((index * SPAN_MS) / EVENTS),
      watchedMs,
      isFinished: watchedMs > 40_000 ? 1 : 0,
      isLiked: random.next() < 0.05 ? 1 : 0,
    }
  }
}

/** A few people watch much, most of them little. */
function personOf(draw: number): string {
  return `person-${Math.floor(PEOPLE * draw ** 2)}`
}

/** Appends what the log does not have yet. */
async function fillLog(): Promise<void> {
  mkdirSync(data, { recursive: true })
  const disk = openNodeDisk(data)
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger }
  const log = await openFileLog({ disk, ...ports, directory: 'log' })
  const own = ['streams.corrections', 'streams.generations'].map(name => ({ name, partitions: 1 }))
  await log.declare([...app.streams, ...own])
  const known = [...log.ends().values()].reduce((sum, end) => sum + end, 0)
  let index = 0
  let events: NewEvent[] = []
  for (const { viewer, atMs: eventTimeMs, watchedMs, isFinished, isLiked } of watches()) {
    index += 1
    if (index <= known) continue
    const clip = `clip-${index % 5_000}`
    const payload = Buffer.from(JSON.stringify({ viewer, clip, watchedMs, isFinished, isLiked }))
    const id = idOf(eventTimeMs, index)
    events.push({ stream: 'person', type: 'watched', key: viewer, id, eventTimeMs, data: undefined, payload, isHistory: true, isUnique: true }) // prettier-ignore
    if (index % BATCH !== 0 && index < EVENTS) continue
    await log.commit({ events })
    events = []
  }
  // A server that runs has split all but the newest segment: the journal is not read anew for each reader.
  while ((log.stats().gauges['journalSegments'] ?? 0) > 1) await delay(1_000)
  await log.close()
}

/** Writes the same events to files, each of a million; one that is there is whole. */
async function fillFiles(): Promise<void> {
  let index = 0
  let file: ReturnType<typeof columnsWriter> | undefined
  for (const { viewer, atMs, watchedMs, isFinished, isLiked } of watches()) {
    const path = join(place, `events-${Math.floor(index / FILE_ROWS)}.parquet`)
    if (index % FILE_ROWS === 0)
      file = existsSync(path) ? undefined : columnsWriter(path, EVENT_COLUMNS)
    file?.add(viewer, atMs, watchedMs, isFinished, isLiked)
    index += 1
    if (index % FILE_ROWS === 0 || index === EVENTS) await file?.finish()
  }
}

async function generate(): Promise<void> {
  if (existsSync(labelsFile)) return
  await fillLog()
  await fillFiles()
  const random = createSeededRandom(2)
  const labels = columnsWriter(labelsFile, LABEL_COLUMNS)
  for (let index = 0; index < LABELS; index++) {
    labels.add(personOf(random.next()), START_MS + Math.floor(random.next() * SPAN_MS), random.next() < 0.1 ? 1 : 0) // prettier-ignore
  }
  await labels.finish()
}

interface Measured {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly memoryMiB: number
}

function ours(to: string): Measured & { rows: number; folded: number } {
  rmSync(to, { force: true })
  const root = join(import.meta.dirname, '..')
  const command = join(root, 'packages/millrace/bin/millrace.mjs')
  const appFile = join(import.meta.dirname, 'training-set/app.ts')
  const words = [
    command,
    'features',
    'training-set',
    'clicks',
    '--to',
    to,
    '--observations',
    labelsFile,
  ]
  const options = ['--data', data, '--app', appFile, '--threads', `${THREADS}`, '--memory', `${MEMORY_MIB}`, '--json'] // prettier-ignore
  const started = performance.now()
  const run = spawnSync(process.execPath, [...words, ...options], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })
  if (run.status !== 0) throw new Error(`${run.stdout}${run.stderr}`)
  const seconds = (performance.now() - started) / 1000
  const { rows, folded, memoryBytesMax, cpuMs } = JSON.parse(run.stdout) as { rows: number; folded: number; memoryBytesMax: number; cpuMs: number } // prettier-ignore
  return { seconds, cpuSeconds: cpuMs / 1000, memoryMiB: memoryBytesMax / 2 ** 20, rows, folded }
}

/** Running sums at the last event at or before a moment: their differences are the sums of windows. */
async function duckdb(to: string): Promise<Measured> {
  rmSync(to, { force: true })
  const spill = join(place, 'spill')
  mkdirSync(spill, { recursive: true })
  const options = { threads: `${THREADS}`, memory_limit: `${MEMORY_MIB}MiB`, temp_directory: spill }
  const instance = await DuckDBInstance.create(':memory:', options)
  const connection = await instance.connect()
  const cpu = process.cpuUsage()
  const started = performance.now()
  await connection.run(
    `CREATE TABLE running AS SELECT viewer, time, count(*) OVER w AS plays, sum(ms) OVER w AS ms, sum(finished) OVER w AS finished, sum(liked) OVER w AS likes ` +
      `FROM '${eventsFiles}' WINDOW w AS (PARTITION BY viewer ORDER BY time ROWS UNBOUNDED PRECEDING)`,
  )
  await connection.run(
    `CREATE TABLE observed AS SELECT row_number() OVER () AS row, * FROM '${labelsFile}'`,
  )
  const sums = ['plays', 'ms', 'finished', 'likes']
  const steps: string[] = []
  const borders = WINDOWS.map((window, index) => {
    const { stepMs, count } = tiledWindow(window)
    // Before the first tile of the window: its beginning is not a part of what came before.
    const border = `(floor(o.time / ${stepMs}) - ${count - 1}) * ${stepMs} - 0.5`
    steps.push(`CREATE TABLE b${index} AS SELECT o.row, ${sums.map(sum => `coalesce(r.${sum}, 0) AS ${sum}`).join(', ')} FROM (SELECT row, person, ${border} AS border FROM observed o) o ASOF LEFT JOIN running r ON o.person = r.viewer AND o.border >= r.time`) // prettier-ignore
    const of = (sum: string): string => `(coalesce(n.${sum}, 0) - b${index}.${sum})::DOUBLE`
    return [
      `${of('plays')} AS "plays_${window}"`,
      `${of('ms')} AS "ms_${window}"`,
      `CASE WHEN ${of('plays')} = 0 THEN 0 ELSE ${of('finished')} / ${of('plays')} END AS "finish_${window}"`,
      `${of('likes')} AS "likes_${window}"`,
    ]
  })
  for (const sql of steps) await connection.run(sql)
  await connection.run(
    `COPY (SELECT o.person, o.time, o.label, ${borders.flat().join(', ')} FROM (SELECT o.*, r.plays, r.ms, r.finished, r.likes FROM observed o ASOF LEFT JOIN running r ON o.person = r.viewer AND o.time >= r.time) n ` +
      `JOIN observed o USING (row) ${WINDOWS.map((_, index) => `JOIN b${index} USING (row)`).join(' ')}) TO '${to}' (FORMAT parquet, COMPRESSION zstd)`,
  )
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - started) / 1000
  connection.closeSync()
  instance.closeSync()
  rmSync(spill, { recursive: true, force: true })
  return {
    seconds,
    cpuSeconds: (user + system) / 1e6,
    memoryMiB: process.resourceUsage().maxRSS / 1024,
  }
}

/** Values of both that differ, over all rows. */
async function compare(a: string, b: string): Promise<{ compared: number; different: number }> {
  const instance = await DuckDBInstance.create(':memory:', { threads: `${THREADS}` })
  const connection = await instance.connect()
  const names = WINDOWS.flatMap(window => ['plays', 'ms', 'finish', 'likes'].map(name => `"${name}_${window}"`)) // prettier-ignore
  // Rows of the same person and time have the same values, so that both files are sorted alike.
  const rows = (path: string, time: string): string => `(SELECT row_number() OVER (ORDER BY person, t, label) AS n, * FROM (SELECT *, ${time} AS t FROM '${path}'))` // prettier-ignore
  const sql = `SELECT count(*)::DOUBLE * ${names.length} AS compared, sum(${names.map(name => `(a.${name} IS DISTINCT FROM b.${name})::INTEGER`).join(' + ')})::DOUBLE AS different FROM ${rows(a, 'epoch_ms(time)')} a FULL JOIN ${rows(b, 'time::BIGINT')} b ON a.n = b.n AND a.person = b.person AND a.t = b.t` // prettier-ignore
  const [row] = (await connection.runAndReadAll(sql)).getRowObjectsJS()
  connection.closeSync()
  instance.closeSync()
  return row as { compared: number; different: number }
}

const rounded = (measured: Measured): Measured => ({
  seconds: Math.round(measured.seconds * 10) / 10,
  cpuSeconds: Math.round(measured.cpuSeconds * 10) / 10,
  memoryMiB: Math.round(measured.memoryMiB),
})

await generate()
const files = [join(place, 'ours.parquet'), join(place, 'duckdb.parquet')] as const
const { only } = values
if (values.generate) process.exit()
const made = only === 'duckdb' ? undefined : ours(files[0])
const peer = only === 'ours' ? undefined : await duckdb(files[1])
console.log(
  JSON.stringify({
    events: EVENTS,
    labels: LABELS,
    people: PEOPLE,
    features: WINDOWS.length * 4,
    ...(made === undefined
      ? {}
      : { millrace: { ...rounded(made), rows: made.rows, folded: made.folded } }),
    ...(peer === undefined ? {} : { duckdb: rounded(peer) }),
    ...(made === undefined || peer === undefined ? {} : { ratio: Math.round((made.seconds / peer.seconds) * 100) / 100, ...(await compare(...files)) }), // prettier-ignore
  }),
)
