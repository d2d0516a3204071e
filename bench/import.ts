/**
 * How fast history comes in: `millrace import` as a process of its own, from a packed file to a
 * durable log. Prints one JSON object.
 *
 *   node bench/import.ts [--from <folder of MovieLens>] [--runs 3]
 *
 * Without `--from`: `../shared/data/movielens-1m` when it is there, else a million ratings made here.
 * `rowsPerSecond` is the median from the start of reading to the last durable row; the views are
 * brought up to date afterwards (`viewsSeconds`).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { createSeededRandom } from '@millrace/core'

const { values } = parseArgs({
  options: { from: { type: 'string' }, runs: { type: 'string', default: '3' } },
})

interface Report {
  readonly rows: number
  readonly seconds: number
  readonly viewsSeconds: number
  readonly readMs: number
  readonly writeMs: number
  readonly memoryBytesMax: number
}

const MADE_ROWS = 1_000_000
const work = mkdtempSync(join(tmpdir(), 'millrace-bench-import-'))
try {
  const known = join(import.meta.dirname, '../../shared/data/movielens-1m')
  const from = values.from ?? (existsSync(known) ? known : makeRatings(join(work, 'made')))
  const command = join(import.meta.dirname, '../packages/millrace/bin/millrace.mjs')
  const reports = Array.from({ length: Number(values.runs) }, (_, index) => {
    const words = ['import', 'movielens', from, '--data', join(work, `run-${index}`), '--json']
    const out = execFileSync(process.execPath, [command, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return JSON.parse(out) as Report
  })
  const medianOf = (value: (report: Report) => number): number =>
    reports.map(value).sort((left, right) => left - right)[reports.length >> 1] as number
  const rows = reports[0]?.rows ?? 0
  const result = {
    bench: 'import',
    source: values.from ?? (from === known ? 'movielens-1m' : 'made'),
    runs: reports.length,
    rows,
    rowsPerSecond: Math.round(rows / medianOf(report => report.seconds)),
    readRowsPerSecond: Math.round((rows * 1000) / medianOf(report => report.readMs)),
    appendRowsPerSecond: Math.round((rows * 1000) / medianOf(report => report.writeMs)),
    viewsSeconds: medianOf(report => report.viewsSeconds),
    memoryBytesMax: Math.max(...reports.map(report => report.memoryBytesMax)),
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
} finally {
  rmSync(work, { recursive: true, force: true })
}

/** Ratings in the layout of GroupLens, in no order of time. */
function makeRatings(folder: string): string {
  const random = createSeededRandom(7)
  const whole = (below: number): number => Math.floor(random.next() * below)
  const lines = ['userId,movieId,rating,timestamp']
  for (let row = 0; row < MADE_ROWS; row++) {
    lines.push(`${whole(6_000)},${whole(4_000)},${1 + whole(5)},${956_700_000 + whole(90_000_000)}`)
  }
  mkdirSync(folder)
  writeFileSync(join(folder, 'ratings.csv.gz'), gzipSync(`${lines.join('\n')}\n`))
  return folder
}
