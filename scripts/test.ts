/**
 * `npm test`: all unit, property, simulation, contract and short crash tests, on the embedded
 * engines. `npm test -- <part of a path>…` runs some of them, `npm test -- --int` those that need
 * real servers, which it starts and stops; `MILLRACE_TEST_POSTGRES` names one that runs already.
 * `--without <part of a path>`, once or more, leaves some out.
 *
 * For the CI: `MILLRACE_TEST_REPORT` names a file for the result as JSON, `MILLRACE_TEST_COVERAGE=1`
 * adds the covered lines to it, `MILLRACE_TEST_TIMEOUT_MS` bounds one file.
 */
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPgBouncer } from './pgbouncer.ts'
import { startPostgres } from './postgres.ts'
import { findTests, runTests, writeReport } from './test-run.ts'

const root = dirname(import.meta.dirname)
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    int: { type: 'boolean' },
    without: { type: 'string', multiple: true },
  },
})
process.chdir(root)
const isCoverageWanted = process.env['MILLRACE_TEST_COVERAGE'] === '1'
// Each file has a process of its own: compiled sources are shared through a cache, which saves a fifth
// of the processor time. A run that measures covered lines has a cache of its own kind.
if (isCoverageWanted) {
  const preload = import.meta.resolve('./coverage-preload.mjs')
  process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --import ${preload}`
} else process.env['NODE_COMPILE_CACHE'] ??= join(root, 'node_modules/.cache/node')
const files = findTests(root, {
  kind: values.int === true ? 'int' : 'quick',
  filters: positionals,
  without: values.without ?? [],
})
if (files.length === 0 && positionals.length > 0) {
  console.error(`No test file has ${positionals.join(' or ')} in its path.`)
  process.exit(1)
}
const stopServers = values.int === true ? await startServers() : undefined
const report = await runTests({
  files,
  isCoverageWanted,
  timeoutMs: Number(process.env['MILLRACE_TEST_TIMEOUT_MS'] ?? 240_000),
})
await stopServers?.()
writeReport(process.env['MILLRACE_TEST_REPORT'] || undefined, report)
process.exitCode = report.failed > 0 ? 1 : 0

/** Starts what the tests name in their environment; a server that cannot be had is named with the reason. */
async function startServers(): Promise<() => Promise<void>> {
  if (process.env['MILLRACE_TEST_POSTGRES'] !== undefined) return async () => undefined
  const server = await startPostgres({ isDurable: false })
  if ('reason' in server) {
    process.env['MILLRACE_TEST_POSTGRES_ABSENT'] = server.reason
    return async () => undefined
  }
  process.env['MILLRACE_TEST_POSTGRES'] = server.url
  const pooler = await startPgBouncer(server.url)
  if ('reason' in pooler) {
    process.env['MILLRACE_TEST_PGBOUNCER_ABSENT'] = pooler.reason
    return () => server.stop()
  }
  process.env['MILLRACE_TEST_PGBOUNCER'] = pooler.url
  return async () => {
    await pooler.stop()
    await server.stop()
  }
}
