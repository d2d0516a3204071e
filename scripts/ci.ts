/**
 * `npm run check:all`, what the CI runs: the test command of the README with the covered lines measured,
 * the checks, the crash suites at full length with the simulations and random inputs, real servers,
 * packed packages installed into an empty project, and the demo started and stopped. Ends with one line
 * that sums all test runs: `N passed, N failed, N skipped`. Fails when anything failed, or was skipped for another reason than
 * an absent data set.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { bestOf, coverageByPackage, readCoverageConfig, type FileCoverage } from './coverage.ts'
import { runStage } from './stages.ts'
import type { SkippedTest, TestReport } from './test-run.ts'
import { runTestStage, UNSTABLE_MAX, type TestStage } from './test-stage.ts'

const root = dirname(import.meta.dirname)
/** Inherited by every process that the CI starts, so that a left-over one can be told. */
const mark = `MILLRACE_CI_RUN=${process.pid}-${Date.now()}`

/** Crash suites and properties that take no length from the environment: `npm test` has run them whole. */
const WHOLE_IN_NPM_TEST = [
  'examples/rewind/',
  '/identity.crash.',
  '/import/import.crash.',
  '/import/run.prop.',
  '/import/delimited.prop.',
  '/dedup/disk-index.prop.',
  '/file/frames.prop.',
  '/http/body-bytes.prop.',
  '/http/security/',
  '/ingest/body.prop.',
  '/catalogue/traits.prop.',
  '/recommendations/folds.prop.',
  '/recommend/src/decay.prop.',
  '/recommend/src/neighbour-table.prop.',
  '/recommend/src/top.prop.',
  '/feature-shard.prop.',
]

const long = { MILLRACE_TEST_TIMEOUT_MS: '1200000' }
const stages: readonly (TestStage & { readonly isTestRun?: boolean })[] = [
  {
    name: 'npm test',
    command: ['npm', 'test'],
    env: { ...long, MILLRACE_TEST_COVERAGE: '1' },
    timeoutMs: 1_200_000,
    isTestRun: true,
    again: file => ['npm', 'test', '--', file],
  },
  { name: 'npm run check', command: ['npm', 'run', 'check'], timeoutMs: 180_000 },
  {
    // In one run, so that kills, which wait, share the cores with simulations, which compute.
    name: 'crash suites with 200 kills, simulations and random inputs with more seeds',
    command: [
      'node',
      'scripts/test.ts',
      '.crash.test.ts',
      '.sim.test.ts',
      '.prop.test.ts',
      ...WHOLE_IN_NPM_TEST.flatMap(part => ['--without', part]),
    ],
    env: {
      ...long,
      MILLRACE_CRASH_RUNS: '200',
      MILLRACE_SIM_SEEDS: '100',
      MILLRACE_PROP_RUNS: '200',
    },
    timeoutMs: 2_700_000,
    isTestRun: true,
  },
  {
    name: 'real servers',
    command: ['node', 'scripts/test.ts', '--int'],
    env: { ...long, MILLRACE_CRASH_RUNS: '50', MILLRACE_TEST_COVERAGE: '1' },
    timeoutMs: 1_200_000,
    isTestRun: true,
    again: file => ['node', 'scripts/test.ts', '--int', file],
  },
  { name: 'packed packages, installed', command: ['node', 'scripts/pack.ts', '--install'] },
  { name: 'npm start', command: ['node', 'scripts/smoke.ts'], timeoutMs: 180_000 },
]

const faults: string[] = []
const times: string[] = []
/** Of the stages that measure it, in turn. */
const coverage: FileCoverage[] = []
const sum = { passed: 0, failed: 0, skipped: [] as SkippedTest[] }
const unstable: string[] = []

for (const stage of stages) {
  console.log(`\n--- ${stage.name}`)
  const startedAt = performance.now()
  const [name = '', value = ''] = mark.split('=')
  const marked = { ...stage, env: { ...stage.env, [name]: value }, isLive: true }
  if (stage.isTestRun === true) {
    const result = await runTestStage(root, marked)
    unstable.push(...result.unstable)
    if (result.report !== undefined) addReport(stage.name, result.report)
    if (result.fault !== undefined) fail(`${stage.name} ${result.fault}`)
  } else if (!(await runStage(root, marked)).isPassed) fail(`${stage.name} failed`)
  const seconds = (performance.now() - startedAt) / 1000
  times.push(`${seconds.toFixed(1).padStart(7)} s  ${stage.name}`)
  for (const command of killLeftOvers()) fail(`${stage.name} left a process behind: ${command}`)
}
judgeCoverage()
console.log(`\n--- summary\n${times.join('\n')}`)
for (const { name, file, reason } of sum.skipped) {
  console.log(`skipped: ${name} (${reason})`)
  if (!isAbsentDataSet(reason)) fail(`${file}: "${name}" was skipped: ${reason}`)
}
for (const text of unstable) console.log(`UNSTABLE: ${text}`)
if (unstable.length > UNSTABLE_MAX)
  fail(`${unstable.length} files failed once and then passed, more than ${UNSTABLE_MAX}`)
for (const fault of faults) console.log(`FAILED: ${fault}`)
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped.length} skipped`)
process.exitCode = faults.length > 0 || sum.failed > 0 ? 1 : 0

/** A fault outside of a test counts as one failed test, so that the last line tells it. */
function fail(message: string): void {
  faults.push(message)
  sum.failed += 1
}

function addReport(name: string, report: TestReport): void {
  sum.passed += report.passed
  sum.failed += report.failed
  sum.skipped.push(...report.skipped)
  if (report.failed > 0) {
    const failures = report.failures.map(({ file, name: test, why }) => `${file}: ${test}\n${why}`)
    const text = [`${report.failed} failed`, ...failures].join('\n')
    faults.push(`${name}: ${text.replaceAll('\n', '\n  ')}`)
  }
  coverage.push(...report.coverage)
}

function judgeCoverage(): void {
  const config = readCoverageConfig(root)
  console.log('\n--- covered lines')
  for (const one of coverageByPackage(root, bestOf(coverage), config)) {
    const isEnough = one.percent >= one.wantedPercent
    const verdict = isEnough ? 'ok    ' : config.enforced ? 'FAILED' : 'low   '
    const figures = `${one.percent.toFixed(2).padStart(6)} % of ${String(one.total).padStart(6)} lines`
    console.log(`${verdict} ${figures}, ${one.wantedPercent} % wanted  ${one.name}`)
    if (isEnough) continue
    for (const gap of one.gaps.slice(0, 10)) console.log(`          ${gap}`)
    if (config.enforced) fail(`${one.name} has ${one.percent.toFixed(2)} % of its lines covered`)
  }
}

/** True when the reason names a data set beside the repository that is really absent. */
function isAbsentDataSet(reason: string): boolean {
  const path = /(\.\.\/shared\/data\/[\w./-]*\w)/.exec(reason)?.[1]
  return path !== undefined && !existsSync(resolve(root, path))
}

/** Kills the processes that carry the mark of this run, this one apart, and says which they were. */
function killLeftOvers(): string[] {
  if (!existsSync('/proc')) return []
  return readdirSync('/proc').flatMap(name => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(mark)) return []
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      if (command === '') return []
      process.kill(pid, 'SIGKILL')
      return [command]
    } catch {
      // The process ended meanwhile, or belongs to somebody else.
      return []
    }
  })
}
