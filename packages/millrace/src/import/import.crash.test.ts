import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { silentLogger, systemClock, systemRandom } from '@millrace/core'
import { readConfig } from '../config.ts'
import { UNCOVERED } from '../testing/child.ts'
import { openBackends } from '../wiring/backends.ts'
import { allRecords, essence } from './fixtures.test.ts'
import { builtInApp, type ImportReport } from './index.ts'

const WORKER = fileURLToPath(new URL('../testing/import-crash-worker.ts', import.meta.url))
const ROWS = 1_000
const folder = mkdtempSync(join(tmpdir(), 'millrace-import-crash-'))
after(() => rm(folder, { recursive: true }))

const file = join(folder, 'history.csv')
const rows = Array.from(
  { length: ROWS },
  (_, index) => `p${index % 17},i${index % 41},${1_000_000_000 + ((index * 37) % 501)}`,
)
writeFileSync(file, `person,item,at\n${rows.join('\n')}\nbad row\n`)

function importInto(data: string, where: string): { signal: string | null; report?: ImportReport } {
  const { signal, stdout, stderr } = spawnSync(process.execPath, [WORKER, data, file, where], {
    encoding: 'utf8',
    env: { ...process.env, ...(where === 'never' ? {} : UNCOVERED) },
  })
  assert.equal(stderr, '')
  return stdout === '' ? { signal } : { signal, report: JSON.parse(stdout) as ImportReport }
}

async function essenceOf(data: string): Promise<readonly string[]> {
  const app = builtInApp('interactions')
  assert.ok(app)
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger }
  const backends = await openBackends({ app, data, limits: readConfig().limits, ...ports })
  try {
    return essence(await allRecords(backends.log))
  } finally {
    await backends.close()
  }
}

test('an import that is killed, again and again, ends with the log of one that was not', async () => {
  const straight = join(folder, 'straight')
  assert.equal(importInto(straight, 'never').report?.appended, ROWS)
  const expected = await essenceOf(straight)
  assert.equal(expected.length, ROWS)

  const data = join(folder, 'killed')
  for (const where of ['read', '1', '4', '9', '2']) {
    assert.equal(importInto(data, where).signal, 'SIGKILL', where)
  }
  const { report } = importInto(data, 'never')
  assert.ok(report)
  assert.ok(report.resumedAt >= 200, `went on at ${report.resumedAt}`)
  assert.equal(report.appended + report.duplicates, ROWS)
  assert.equal(report.refused, 1)
  assert.deepEqual(await essenceOf(data), expected)
  const left = await readdir(join(data, 'imports'))
  assert.deepEqual(
    left.filter(name => !name.endsWith('.refused.jsonl')),
    [],
  )
})
