/** The commands tell failures, skips and uncovered lines as they are, and leave no process behind. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { bestOf, coverageByPackage } from '../scripts/coverage.ts'
import { runStage, runStages } from '../scripts/stages.ts'
import type { TestReport } from '../scripts/test-run.ts'
import { UNSTABLE_MAX, type TestStageResult } from '../scripts/test-stage.ts'
import { createRepositoryCopy } from './repository-copy.ts'

const head = "import { test } from 'node:test'\n"

/** What runs tests. */
const runner = [
  'scripts/test.ts',
  'scripts/test-run.ts',
  'scripts/test-stage.ts',
  'scripts/stages.ts',
  'scripts/test-preload.ts',
  'scripts/coverage-preload.mjs',
  'scripts/coverage.ts',
  'scripts/pgbouncer.ts',
  'scripts/postgres.ts',
  'package.json',
]

test('the report of a test run counts passed, failed and skipped ones and files that do not load', () => {
  const copy = createRepositoryCopy({
    copied: runner,
    files: {
      'packages/a/src/pass.test.ts': `${head}import { f } from './f.ts'\ntest('one', () => f(true))\n`,
      'packages/a/src/fail.test.ts': `${head}test('two', () => { throw 1 })\n`,
      'packages/a/src/skip.test.ts': `${head}test('three', { skip: 'no disk' }, () => {})\n`,
      'packages/a/src/broken.test.ts': "import './missing.ts'\n",
      'packages/a/src/nested.test.ts': `import { describe, it } from 'node:test'
        describe('outer', () => describe('inner', () => it('five', t => t.test('six', () => {}))))\n`,
      'packages/a/src/loose.test.ts': `${head}test('seven', async () => {
        void Promise.reject(new Error('nobody waits for it'))
        await new Promise(setImmediate)
      })\n`,
      'packages/a/src/server.int.test.ts': `${head}test('four', () => { throw 1 })\n`,
      'packages/a/src/f.ts':
        'export function f(x: boolean): number {\n  if (x) return 1\n  return 2\n}\n',
    },
  })
  try {
    const path = join(copy.root, 'report.json')
    const run = spawnSync(process.execPath, ['scripts/test.ts'], {
      cwd: copy.root,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], MILLRACE_TEST_REPORT: path, MILLRACE_TEST_COVERAGE: '1' },
    })
    const report = JSON.parse(readFileSync(path, 'utf8')) as TestReport
    assert.equal(run.status, 1, run.stdout)
    assert.match(run.stdout, /skipped: three \(no disk\)\n/)
    assert.match(run.stdout, /▶ outer\n {2}▶ inner\n {4}▶ five\n {6}✔ six/)
    assert.deepEqual([report.passed, report.failed], [4, 3], run.stdout)
    const loose = report.failures.find(({ file }) => file.endsWith('/loose.test.ts'))
    assert.match(loose?.why ?? '', /nobody waits for it.*unhandledRejection/)
    const counts = (name: string): unknown => report.files[`packages/a/src/${name}.test.ts`]
    assert.deepEqual(counts('pass'), { passed: 1, failed: 0 })
    assert.deepEqual(counts('nested'), { passed: 2, failed: 0 })
    for (const name of ['fail', 'broken']) assert.deepEqual(counts(name), { passed: 0, failed: 1 })
    assert.deepEqual(
      report.skipped.map(({ name, reason }) => [name, reason]),
      [['three', 'no disk']],
    )
    const [source] = report.coverage.filter(file => file.path.endsWith('/f.ts'))
    assert.deepEqual([source?.covered, source?.total], [3, 4])
  } finally {
    copy.close()
  }
})

/** A file with a test that passes always, and one that fails the first time that it runs. */
const planted = (
  name: string,
): string => `${head}import { existsSync, writeFileSync } from 'node:fs'
  test('always', () => {})
  test('sometimes', () => {
    const isFirst = !existsSync('${name}.ran')
    writeFileSync('${name}.ran', '')
    if (isFirst) throw new Error('it came\\ntoo late')
  })\n`

/** What a stage that runs these tests comes to. */
function runStageOf(files: Readonly<Record<string, string>>): TestStageResult {
  const copy = createRepositoryCopy({ copied: runner, files })
  try {
    const code = `
      import { writeFileSync } from 'node:fs'
      import { runTestStage } from './scripts/test-stage.ts'
      const command = ['node', 'scripts/test.ts']
      const again = file => [...command, file]
      const result = await runTestStage('.', { name: 'tests', command, again, isLive: true })
      writeFileSync('result.json', JSON.stringify(result))`
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      cwd: copy.root,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    })
    assert.equal(status, 0, stdout)
    return JSON.parse(readFileSync(join(copy.root, 'result.json'), 'utf8')) as TestStageResult
  } finally {
    copy.close()
  }
}

test('a file that fails once and then passes alone counts as passed, and is named', () => {
  const { report, unstable, fault } = runStageOf({
    'packages/a/src/luck.test.ts': planted('luck'),
    'packages/a/src/bad.test.ts': `${head}test('never', () => { throw new Error('wrong') })\n`,
    'packages/a/src/good.test.ts': `${head}test('good', () => {})\n`,
  })
  assert.deepEqual(unstable, ['packages/a/src/luck.test.ts: sometimes: it came too late'])
  assert.deepEqual([report?.passed, report?.failed, fault], [3, 1, undefined])
  assert.deepEqual(
    report?.failures.map(({ file, name, why }) => [file, name, why]),
    [['packages/a/src/bad.test.ts', 'never', 'wrong']],
  )
})

test('a stage in which more files fail than luck explains has failed', () => {
  const names = Array.from({ length: UNSTABLE_MAX + 1 }, (_, number) => `luck${number}`)
  const { report, unstable } = runStageOf(
    Object.fromEntries(names.map(name => [`packages/a/src/${name}.test.ts`, planted(name)])),
  )
  assert.deepEqual(unstable, [])
  assert.deepEqual([report?.passed, report?.failed], [names.length, names.length])
})

test('a stage that ends without a report, or badly after it, has a fault', () => {
  const silent = { 'scripts/test.ts': 'process.exit(0)\n', 'packages/a/package.json': '{}' }
  assert.equal(runStageOf(silent).fault, 'ended without a report')
  const late = `import { writeReport } from './test-run.ts'
    const report = { passed: 1, failed: 0, failures: [], files: {}, skipped: [], coverage: [] }
    writeReport(process.env.MILLRACE_TEST_REPORT, { ...report, durationMs: 1 })
    process.exitCode = 7\n`
  const { fault } = runStageOf({ ...silent, 'scripts/test.ts': late })
  assert.equal(fault, 'failed')
})

test('covered lines: a file that no test loads counts, a file of types does not', () => {
  const copy = createRepositoryCopy({
    copied: [],
    files: {
      'packages/a/src/half.ts': 'export const x = 1\n',
      'packages/a/src/unloaded.ts': 'export const x = 1\nexport const y = 2\n',
      'packages/a/src/types.ts': "import type { X } from 'x'\nexport type Y = X\ninterface Z {}\n",
      'packages/a/src/excepted.ts': 'export const x = 1\n',
      'packages/a/src/half.test.ts': 'export const x = 1\n',
    },
  })
  try {
    const path = join(copy.root, 'packages/a/src/half.ts')
    const [found, ...more] = coverageByPackage(copy.root, [{ path, total: 2, covered: 1 }], {
      enforced: true,
      linesPercent: 95,
      packages: { a: 50 },
      exceptions: { 'packages/a/src/excepted.ts': 'a reason' },
    })
    assert.deepEqual(more, [])
    assert.deepEqual([found?.covered, found?.total, found?.percent], [1, 4, 25])
    assert.equal(found?.wantedPercent, 50)
    assert.deepEqual(found?.gaps, ['packages/a/src/unloaded.ts 0.0 %'])
  } finally {
    copy.close()
  }
})

test('covered lines of several runs are those of the best run of each file', () => {
  const files = [
    { path: '/a', total: 9, covered: 2 },
    { path: '/b', total: 5, covered: 5 },
    { path: '/a', total: 9, covered: 7 },
    { path: '/b', total: 5, covered: 0 },
  ]
  assert.deepEqual(
    bestOf(files).map(({ path, covered }) => [path, covered]),
    [
      ['/a', 7],
      ['/b', 5],
    ],
  )
})

test('a stage that fails says so with its output; the others run on', async t => {
  t.mock.method(console, 'log', () => {})
  const results = await runStages(
    import.meta.dirname,
    [
      { name: 'bad', command: ['node', '-e', 'console.error("why"); process.exit(3)'] },
      { name: 'good', command: ['node', '-e', ''] },
      { name: 'missing', command: ['no-such-program-anywhere'] },
    ],
    2,
  )
  const byName = new Map(results.map(result => [result.name, result]))
  assert.equal(byName.get('bad')?.isPassed, false)
  assert.equal(byName.get('bad')?.output, 'why\n')
  assert.equal(byName.get('good')?.isPassed, true)
  assert.equal(byName.get('missing')?.isPassed, false)
})

test('a stage that hangs is killed with the processes that it started', async () => {
  // The stage ends when the last process that holds its output has ended.
  const code = `
    require('node:child_process').spawn('sleep', ['600'], { stdio: 'inherit' })
    setInterval(() => {}, 1000)`
  const result = await runStage(import.meta.dirname, {
    name: 'hangs',
    command: ['node', '-e', code],
    timeoutMs: 1500,
  })
  assert.equal(result.isPassed, false)
  assert.match(result.output, /killed after 1500 ms/)
  assert.ok(result.durationMs < 300_000)
})

test('stages end with the command that runs them', async () => {
  const stages = new URL('../scripts/stages.ts', import.meta.url).href
  const hang = `console.log('up'); setInterval(() => {}, 1000)`
  const code = `
    import { runStage } from ${JSON.stringify(stages)}
    await runStage('.', { name: 'hangs', command: ['node', '-e', ${JSON.stringify(hang)}], isLive: true })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  // The output closes when the stage, which holds it too, has ended.
  const [exit] = await Promise.all([once(child, 'exit'), once(child.stdout.resume(), 'close')])
  assert.deepEqual(exit, [143, null])
})
