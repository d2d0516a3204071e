/**
 * Does what docs/rewind.md shows, on MovieLens. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./rewind.sh'))
const DATA = fileOf('../../../shared/data/movielens-small')
const skip = existsSync(DATA) ? false : 'data set ../shared/data/movielens-small is absent'

test('the ratings of a person of MovieLens are taken back, and put back', { skip }, async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  for (const name of ['app.ts', 'whose.ts']) copyFileSync(fileOf(name), join(shell.folder, name))
  symlinkSync(DATA, join(shell.folder, 'ml-latest-small'))
  await shell.run('npm install millrace')
  await shell.run(region('import'))
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  await shell.run(region('before'))
  assertShown(fileOf('./output/plan.txt'), await shell.run(region('plan')))
  // Which of two equal films comes first follows from the order in which the import was folded.
  const applied = await shell.run(region('apply'))
  assert.match(
    applied,
    /is applied: 2,698 effects[^]*The lists of [1-9]\d+ of 300 people are others/,
  )
  // How often progress is told depends on how long it takes.
  const undone = (await shell.run(region('undo'))).replace(/^undoing: .*\n/gm, '')
  assertShown(fileOf('./output/undo.txt'), undone)
})
