/**
 * Does what docs/past.md shows. Outputs that the page shows stand in `output/`; MILLRACE_RECORD=1
 * writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openMillrace } from 'millrace'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'
import app from './app.ts'
import { playsAt } from './read.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./past.sh'))

test('a value is read as it was, and what changed it since', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  await shell.run(region('track'))
  const moment = (await shell.run(`${region('later')}\necho "moment=$moment"`)).match(
    /moment=(\S+)/,
  )
  const at = `moment=${moment?.[1] ?? ''}\n`
  assertShown(fileOf('./output/view.txt'), await shell.run(at + region('view')))
  assertShown(fileOf('./output/changes.txt'), await shell.run(at + region('changes')))
  const causes = await shell.run(at + region('causes'))
  assertShown(fileOf('./output/causes.txt'), causes.slice(causes.indexOf('plays of c1')))
  await server.stop()
  const millrace = await openMillrace({ app, data: join(shell.folder, '.millrace') })
  t.after(() => millrace.close())
  const then = await playsAt(millrace, 'c1', Date.parse(moment?.[1] ?? ''))
  // What was retracted since is gone from the past as well.
  assert.equal(then.plays, 1)
})
