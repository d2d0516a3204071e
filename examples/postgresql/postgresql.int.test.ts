/** Follows docs/postgresql.md from its first command to its last, on a real server. */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../../scripts/postgres.ts'
import { openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./postgresql.sh'))
const server = await startPostgres({ isDurable: false })

if ('reason' in server) {
  test('the page on PostgreSQL', { skip: server.reason }, () => assert.fail('skipped'))
} else {
  after(() => server.stop())
  test('the page on PostgreSQL works from its first command to its last', async t => {
    const shell = await openShell()
    t.after(() => shell.close())
    const options = { environment: { DATABASE_URL: server.url } }
    await shell.run('npm install millrace')
    copyFileSync(fileOf('../quickstart/app.ts'), join(shell.folder, 'app.ts'))
    const first = shell.start(region('first'), options)
    await first.said(/answers at/)
    const second = shell.start(region('second'), options)
    const [, secondUrl = ''] = /answers at (\S+)/.exec(await second.said(/answers at/)) ?? []
    const used = await shell.run(region('use'), options)
    assert.match(used, /\b2\b/, 'both events are in the view of the first process')
    let report = ''
    for (let turn = 0; turn < 50 && !report.includes(secondUrl); turn++) {
      report = await shell.run(region('doctor'), options)
    }
    assert.match(report, /PostgreSQL \d+/)
    assert.match(report, /4321 processes partitions? \d/)
    assert.ok(report.includes(secondUrl), report)
    await first.stop()
    const alone = await shell.run(region('doctor'), options)
    assert.doesNotMatch(alone, /4321 processes/)
    assert.doesNotMatch(alone, /nobody processes/)
    await second.stop()
    assert.match(
      await shell.run(region('format'), options),
      /has log 4, keys 1, snapshots 1; this version/,
    )
    assert.match(
      await shell.run(region('downgrade'), options),
      /has log 3, keys 1, snapshots 1; this/,
    )
  })
}
