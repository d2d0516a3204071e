/**
 * `npm run schemathesis -- --for 10m`: schemathesis, with every check on, against the `/openapi.json` of
 * a server that has keys. Installs it from PyPI into an environment of its own first (Python 3.10 or
 * later), which is removed in the end, or takes one that has it (`--python <folder>`); `--seed` repeats
 * a run. Status 1 when anything was found.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
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
  options: {
    for: { type: 'string', default: '10m' },
    seed: { type: 'string', default: '1' },
    python: { type: 'string' },
  },
})
const [, count = '', unit = ''] = /^(\d+)(s|m|h)$/.exec(values.for) ?? []
if (count === '') {
  console.error(`--for ${values.for}: say 30s, 10m or 1h.`)
  process.exit(2)
}
const seconds = Number(count) * UNITS[unit as keyof typeof UNITS]
const folder = mkdtempSync(join(tmpdir(), 'millrace-schemathesis-'))
const python = values.python ?? join(folder, 'python')
const data = join(folder, 'data')
mkdirSync(data)

/**
 * It finds its own key among the keys that it lists. Had it ended that key, all that follows would be
 * tried with an answer of 401 only: revoking and rotating it goes to an id that no key has.
 */
const KEEP_KEY = `
import os
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
    parameters = case.path_parameters or {}
    if case.operation.path.startswith("/v1/keys/") and parameters.get("id") == os.environ["OWN_KEY"]:
        case.path_parameters["id"] = "own"
`

/**
 * A query that is longer than all that a request may have before its body is refused as that: 431, RFC
 * 6585. What a schema allows may still be refused for what the log has: 409; 410 for a person who was
 * erased; 422 for what is over a limit of what it would cost. What a schema does not allow may be refused
 * for its size before anybody looks at the rest: 413.
 */
const CONFIG = `
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 410, 422, 429, "5xx"]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, 431, "5xx"]
`

async function run(
  command: readonly [string, ...string[]],
  timeoutMs: number,
  env: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const { isPassed } = await runStage(folder, {
    name: command[0],
    command,
    timeoutMs,
    isLive: true,
    env,
  })
  return isPassed
}

try {
  const isInstalled =
    values.python !== undefined ||
    ((await run(['python3', '-m', 'venv', python], INSTALL_MS_MAX)) &&
    (await run([join(python, 'bin/pip'), 'install', '--quiet', `schemathesis==${VERSION}`], INSTALL_MS_MAX))) // prettier-ignore
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
    const { key, id } = (await made.json()) as { key: string; id: string }
    const hooks = join(folder, 'keep_key.py')
    writeFileSync(hooks, KEEP_KEY)
    const config = join(folder, 'schemathesis.toml')
    writeFileSync(config, CONFIG)
    return await run(
      [
        join(python, 'bin/st'),
        ...['--config-file', config],
        'run',
        `${server.url}/openapi.json`,
        ...['--header', `Authorization: Bearer ${key}`],
        ...['--checks', 'all', '--mode', 'all', '--max-time', String(seconds)],
        ...['--seed', values.seed, '--generation-database', 'none', '--continue-on-failure'],
        '--no-color',
      ],
      seconds * 1000 + REST_MS_MAX,
      { SCHEMATHESIS_HOOKS: hooks, OWN_KEY: id },
    )
  } finally {
    await server.stop('SIGTERM')
  }
}
