/** Exports of a log in PostgreSQL, and imports into one. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { command, contentsOf, done, watches } from '../testing/backups.ts'
import { openForTest } from '../testing/clips.ts'
import { withDatabase } from '../testing/database.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'
const CLIPS = new URL('../testing/clips.ts', import.meta.url).href
const root = mkdtempSync(join(tmpdir(), 'millrace-export-int-'))
after(() => rmSync(root, { recursive: true }))

if (server === undefined) {
  test('an export of PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  test('a log in PostgreSQL is exported while it is served, and another one takes it', async () => {
    const app = join(root, 'app.ts')
    const folder = join(root, 'export')
    writeFileSync(app, `export { clips as default } from '${CLIPS}'\n`)
    let sent: ReadonlySet<string> = new Set()
    let exported: Record<string, unknown> = {}
    await withDatabase(server, async directory => {
      const millrace = await openForTest({ data: directory })
      await millrace.trackMany(watches(0, 300) as never)
      await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
      await millrace.listen()
      exported = await done(['export', '--to', folder, '--personal', '--data', directory])
      await millrace.close()
      sent = (await contentsOf(directory)).ids
    })
    await withDatabase(server, async (directory, url) => {
      const words = ['import', 'export', folder, '--data', directory, '--app', app]
      const imported = await command(words, { DATABASE_URL: url })
      assert.equal(Number(exported['records']) - Number(imported['emitted']), imported['appended'])
      // With its views as a naive recomputation and a rebuild give them; windows move with the clock.
      assert.deepEqual((await contentsOf(directory)).ids, sent)
      assert.equal(sent.size, 300)
    })
  })
}
