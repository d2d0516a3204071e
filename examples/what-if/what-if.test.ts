/**
 * Does what docs/what-if.md shows. Outputs that the page shows stand in `output/`; MILLRACE_RECORD=1
 * writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openMillrace } from 'millrace'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'
import app from './app.ts'
import { without } from './use.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./what-if.sh'))

test('what would be without events, and with others, is said and not done', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  for (const name of ['app.ts', 'changed.ts', 'bots.csv', 'more.jsonl']) {
    copyFileSync(fileOf(`./${name}`), join(shell.folder, name))
  }
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  await shell.run(region('track'))
  assertShown(fileOf('./output/compare.txt'), await shell.run(region('compare')))
  const lines = readFileSync(join(shell.folder, 'differences.jsonl'), 'utf8').trimEnd().split('\n')
  assert.deepEqual(JSON.parse(lines[0] ?? ''), { view: 'plays', key: 'c2', field: '', before: 2 })
  assertShown(fileOf('./output/key.txt'), await shell.run(region('key')))
  assertShown(fileOf('./output/surface.txt'), await shell.run(region('surface')))
  assertShown(fileOf('./output/people.txt'), await shell.run(region('people')))
  assertShown(fileOf('./output/definition.txt'), await shell.run(region('definition')))
  assertShown(fileOf('./output/set.txt'), await shell.run(region('set')))
  await server.stop()
  const millrace = await openMillrace({ app, data: join(shell.folder, '.millrace') })
  t.after(() => millrace.close())
  assert.deepEqual(await without(millrace, ['bot-1', 'bot-2']), { clips: ['c1'], totalMs: 5_000 })
})
