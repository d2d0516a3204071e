/**
 * Does what docs/dead-letters.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./dead-letters.sh'))

test('an event that cannot be folded is shown, fixed and skipped', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const shows = async (name: string, file: string): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), await shell.run(region(name)))
  await shell.run(region('fail'))
  await shows('list', 'list.txt')
  await shows('show', 'show.txt')
  await shows('fix', 'fix.txt')
  const read = async (key: string): Promise<unknown> => {
    const answer = await fetch(`${server.url}/v1/views/spent/${key}`)
    return ((await answer.json()) as { value: unknown }).value
  }
  assert.equal(await read('ana'), 1700)
  assert.equal(await read('ben'), 300)
  await shell.run(`npx millrace track paid buyer=ben cents=5 currency=TEST`)
  await shows('skip', 'skip.txt')
  assert.equal(await read('ben'), 300)
  await server.stop()
})
