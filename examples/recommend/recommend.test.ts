/** Does what the README of `@millrace/recommend` and docs/recommend.md show. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openShell, regionsOf } from '../testing/shell.ts'
import { again, lists, report } from './library.ts'

test('the library lists what the histories do not have, for strangers too', () => {
  const [first, second, ...stranger] = lists.ids
  assert.ok(![0, 1].includes(first as number) && ![0, 1].includes(second as number))
  assert.equal(new Set(stranger.filter(id => id >= 0 && id < 6)).size, 2)
  assert.ok(report.blend.length > 0)
})

test('the models that were read from the file give the same lists', () => {
  assert.deepEqual(again, lists)
})

test('the command prints one object with measures and baselines', async t => {
  const region = regionsOf(fileURLToPath(new URL('./evaluate.sh', import.meta.url)))
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  await shell.run('npm install millrace')
  await shell.run(region('files'))
  await shell.run(region('evaluate'))
  const found = JSON.parse(readFileSync(join(shell.folder, 'found.json'), 'utf8')) as {
    readonly 'recall@1': number
    readonly baselines: object
  }
  assert.equal(found['recall@1'], 1)
  assert.deepEqual(Object.keys(found.baselines), ['popularity', 'item-to-item'])
})
