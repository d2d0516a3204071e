/**
 * `npm run demo:rewind`: tells the story of `rewind.ts`, for people, or as one JSON object. The folder
 * that --data names is kept, to look at.
 *
 *     npm run demo:rewind -- [--people 600] [--events 40000] [--days 7] [--data <empty folder>] [--json]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { rewind } from './rewind.ts'

const { values } = parseArgs({
  options: {
    people: { type: 'string', default: '600' },
    events: { type: 'string', default: '40000' },
    days: { type: 'string', default: '7' },
    data: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const size = { people: Number(values.people), ringEvents: Number(values.events), days: Number(values.days) } // prettier-ignore
if (!Object.values(size).every(value => Number.isInteger(value) && value > 0)) {
  process.stderr.write('--people, --events and --days are whole numbers above 0.\n')
  process.exit(2)
}
const data = values.data ?? mkdtempSync(join(tmpdir(), 'millrace-rewind-'))
const say = (line: string): void => void (values.json || process.stdout.write(`${line}\n`))
try {
  const report = await rewind(data, size, say)
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  say('')
  say(`In ${Object.values(report.seconds).reduce((sum, each) => sum + each, 0).toFixed(0)} seconds. --json prints the hashes.`) // prettier-ignore
  process.exitCode = report.areEqual ? 0 : 1
} finally {
  if (values.data === undefined) rmSync(data, { recursive: true, force: true })
}
