/**
 * `npm run schemathesis -- --for 10m`: schemathesis, with every check on, against the `/openapi.json` of
 * a server that has keys. Installs it from PyPI into an environment of its own first (Python 3.10 or
 * later), which is removed in the end; `--seed` repeats a run. Status 1 when anything was found.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startServer } from '../packages/millrace/src/testing/child.ts'
import { runStage } from './stages.ts'

const VERSION = '4.32.5'
const INSTALL_MS_MAX = 300_000
/** What it may take longer than its time, to finish a case and to report. */
const REST_MS_MAX = 120_000
const UNITS = { s: 1, m: 60, h: 3600 } as const

const { values } = parseArgs({
  options: { for: { type: 'string', default: '10m' }, seed: { type: 'string', default: '1' } },
})
const [, count = '', unit = ''] = /^(\d+)(s|m|h)$/.exec(values.for) ?? []
if (count === '') {
  console.error(`--for ${values.for}: say 30s, 10m or 1h.`)
  process.exit(2)
}
const seconds = Number(count) * UNITS[unit as keyof typeof UNITS]
const folder = mkdtempSync(join(tmpdir(), 'millrace-schemathesis-'))
const python = join(folder, 'python')
const data = join(folder, 'data')
mkdirSync(data)

async function run(command: readonly [string, ...string[]], timeoutMs: number): Promise<boolean> {
  const { isPassed } = await runStage(folder, {
    name: command[0],
    command,
    timeoutMs,
    isLive: true,
  })
  return isPassed
}

try {
  const isInstalled =
    (await run(['python3', '-m', 'venv', python], INSTALL_MS_MAX)) &&
    (await run([join(python, 'bin/pip'), 'install', '--quiet', `schemathesis==${VERSION}`], INSTALL_MS_MAX)) // prettier-ignore
  process.exitCode = isInstalled && (await runChecks()) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function runChecks(): Promise<boolean> {
  const server = await startServer(data)
  try {
    const made = await fetch(`${server.url}/v1/keys`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ scope: 'admin', name: 'schemathesis' }),
    })
    const { key } = (await made.json()) as { key: string }
    return await run(
      [
        join(python, 'bin/st'),
        'run',
        `${server.url}/openapi.json`,
        ...['--header', `Authorization: Bearer ${key}`],
        ...['--checks', 'all', '--mode', 'all', '--max-time', String(seconds)],
        ...['--seed', values.seed, '--generation-database', 'none', '--continue-on-failure'],
        '--no-color',
      ],
      seconds * 1000 + REST_MS_MAX,
    )
  } finally {
    await server.stop('SIGTERM')
  }
}
