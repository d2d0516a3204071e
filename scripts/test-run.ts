/**
 * Runs test files by `node:test`, a process for each file and one more at once than there are cores
 * (they wait for disks and for processes that start), and says what was skipped and why. Used by `npm test` and by the stages of `npm run check:all`.
 */
import { globSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { run } from 'node:test'
import { spec, type TestEvent } from 'node:test/reporters'
import { stripVTControlCharacters } from 'node:util'
import type { FileCoverage } from './coverage.ts'

/** One test that did not run, with the reason that it gave. */
export interface SkippedTest {
  readonly name: string
  readonly file: string
  readonly reason: string
}

/** One test, suite or file that failed; of those within each other the inner one comes first. */
export interface FailedTest {
  /** Relative to the root. */
  readonly file: string
  readonly name: string
  /** What it said first: a few lines. */
  readonly why: string
}

/** Tests of one file, without its suites; a file that fails as a whole is one test. */
export interface FileCounts {
  passed: number
  failed: number
}

/** What one run of test files came to; the sum of several makes the last line of the CI. */
export interface TestReport {
  readonly passed: number
  readonly failed: number
  readonly failures: readonly FailedTest[]
  /** By path relative to the root. */
  readonly files: Readonly<Record<string, FileCounts>>
  readonly skipped: readonly SkippedTest[]
  /** Milliseconds of wall-clock time. */
  readonly durationMs: number
  /** Lines covered per source file; empty unless coverage was asked for. */
  readonly coverage: readonly FileCoverage[]
}

/** Files that take at least this long are named above the summary. */
const slowFileSeconds = 10
/** Lines of a failed test's message that its report keeps. */
const whyLines = 12

/** Which tests to run. */
export interface TestSelection {
  /** `quick`: everything that needs no server; `int`: what talks to real servers. */
  readonly kind: 'quick' | 'int'
  /** Only files whose path contains one of these; all when empty. */
  readonly filters: readonly string[]
  /** No file whose path contains one of these. */
  readonly without: readonly string[]
}

/** What takes longest; the rest is short, and fills what is left of the cores in the end. */
const LONG_FIRST = [
  /\/(server|runtime|rebuilds|planted)\.(crash|int|sim)\.test\.ts$/,
  /\.crash\.test\.ts$/,
  /\.sim\.test\.ts$/,
  /\.prop\.test\.ts$/,
  /^examples\//,
]

/** Paths of the test files of a selection, relative to the root, those that take long first. */
export function findTests(root: string, selection: TestSelection): string[] {
  return globSync('{packages,apps,examples,test,scripts,bench}/**/*.test.ts', {
    cwd: root,
    exclude: path => /(^|\/)(node_modules|dist|fixtures)$/.test(path),
  })
    .filter(path => path.endsWith('.int.test.ts') === (selection.kind === 'int'))
    .filter(
      path =>
        selection.filters.length === 0 || selection.filters.some(filter => path.includes(filter)),
    )
    .filter(path => !selection.without.some(part => path.includes(part)))
    .toSorted((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1))
}

function rankOf(path: string): number {
  const rank = LONG_FIRST.findIndex(kind => kind.test(path))
  return rank < 0 ? LONG_FIRST.length : rank
}

/** Runs `files` and prints every test, the skipped ones by name, and the summary of node:test. */
export async function runTests(options: {
  readonly files: readonly string[]
  readonly isCoverageWanted: boolean
  /** Milliseconds after which a file that still runs has failed. */
  readonly timeoutMs: number
}): Promise<TestReport> {
  const startedAt = performance.now()
  const tally = {
    passed: 0,
    failed: 0,
    failures: [] as FailedTest[],
    files: {} as Record<string, FileCounts>,
    skipped: [] as SkippedTest[],
    coverage: [] as FileCoverage[],
    slow: [] as string[],
  }
  const events = run({
    files: [...options.files],
    concurrency: availableParallelism() + 1,
    timeout: options.timeoutMs,
    execArgv: ['--import', import.meta.resolve('./test-preload.ts')],
    coverage: options.isCoverageWanted,
    coverageExcludeGlobs: ['**/*.test.ts', 'test/**', 'scripts/**', '**/*.bench.ts'],
  })
  const reporter = new spec()
  reporter.pipe(process.stdout)
  for await (const event of events as AsyncIterable<TestEvent>) {
    observe(event, tally)
    // The covered lines of all files would bury the summary; they are reported per package instead.
    if (event.type === 'test:coverage') continue
    if (isSummaryStart(event)) listRemarks(reporter, event, tally)
    if (!reporter.write(event)) await new Promise(resolve => reporter.once('drain', resolve))
  }
  await new Promise<void>(resolve => reporter.end(resolve))
  return {
    passed: tally.passed,
    failed: tally.failed,
    failures: tally.failures,
    files: tally.files,
    skipped: tally.skipped,
    durationMs: performance.now() - startedAt,
    coverage: tally.coverage,
  }
}

interface Tally {
  passed: number
  failed: number
  readonly failures: FailedTest[]
  readonly files: Record<string, FileCounts>
  readonly skipped: SkippedTest[]
  readonly coverage: FileCoverage[]
  readonly slow: string[]
}

function observe(event: TestEvent, tally: Tally): void {
  if (event.type === 'test:coverage') {
    for (const file of event.data.summary.files) {
      const { path, totalLineCount: total, coveredLineCount: covered } = file
      tally.coverage.push({ path, total, covered })
    }
  } else if (event.type === 'test:fail') {
    const { name, details } = event.data
    const file = fileOf(event)
    tally.failures.push({
      file,
      name: name === event.data.file ? file : name,
      why: whyOf(details.error),
    })
    if (details.type !== 'suite') countsOf(tally, file).failed += 1
  } else if (event.type === 'test:diagnostic' && event.data.message.startsWith('Error: ')) {
    // Thrown beside a test: nothing else names it, and its file has failed.
    const file = fileOf(event)
    tally.failures.push({ file, name: file, why: event.data.message })
  } else if (event.type === 'test:pass') {
    const { skip, todo, details, name } = event.data
    const file = fileOf(event)
    if (skip !== undefined || todo) tally.skipped.push({ name, file, reason: reasonOf(skip) })
    else if (details.type !== 'suite') countsOf(tally, file).passed += 1
  } else if (event.type === 'test:summary' && event.data.file !== undefined) {
    const seconds = Math.round(event.data.duration_ms / 1000)
    if (seconds >= slowFileSeconds)
      tally.slow.push(`slow: ${relative(process.cwd(), event.data.file)} (${seconds} s)`)
  } else if (event.type === 'test:summary') {
    // The last summary is the one of the whole run; a file that could not be loaded counts as failed.
    const { counts, success } = event.data
    const failed = counts.tests - counts.passed - counts.skipped - counts.todo
    tally.passed = counts.passed
    tally.failed = success ? failed : Math.max(failed, 1)
  }
}

function fileOf({ data }: { readonly data: { readonly file?: string | undefined } }): string {
  return relative(process.cwd(), data.file ?? '')
}

function countsOf({ files }: Tally, file: string): FileCounts {
  return (files[file] ??= { passed: 0, failed: 0 })
}

function reasonOf(skip: string | boolean | undefined): string {
  if (typeof skip === 'string') return skip
  return skip === undefined ? 'marked as still to be written' : 'no reason given'
}

/** The message of what was thrown, which the runner wraps, without its stack and with few of its lines. */
function whyOf(error: Error): string {
  const thrown = error.cause instanceof Error ? error.cause : error
  return stripVTControlCharacters(thrown.message).split('\n').slice(0, whyLines).join('\n')
}

function isSummaryStart(event: TestEvent): boolean {
  return (
    event.type === 'test:diagnostic' &&
    event.data.nesting === 0 &&
    event.data.file === undefined &&
    /^tests \d+$/.test(event.data.message)
  )
}

/** Above the summary: what was skipped and why, and which files take long. */
function listRemarks(reporter: InstanceType<typeof spec>, before: TestEvent, tally: Tally): void {
  const skipped = tally.skipped.map(({ name, reason }) => `skipped: ${name} (${reason})`)
  for (const message of [...tally.slow, ...skipped]) {
    reporter.write({ type: 'test:diagnostic', data: { ...before.data, message, level: 'info' } })
  }
}

/** Writes a report where the environment asks for it, so that the CI can sum several runs. */
export function writeReport(path: string | undefined, report: TestReport): void {
  if (path !== undefined) writeFileSync(path, JSON.stringify(report))
}
