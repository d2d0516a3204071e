/**
 * Does what docs/erasure.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./erasure.sh'))

test('a person is erased, and a report says what remains', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const shows = async (name: string, file: string): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), await shell.run(region(name)))
  await shows('ask', 'ask.txt')
  await shows('plan', 'plan.txt')
  await shows('erase', 'erase.txt')
  await shows('after', 'after.txt')
  const body = JSON.stringify({
    type: 'asked',
    data: { person: 'ana', course: 'law', question: 'Again?' },
  })
  const again = await fetch(`${server.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  assert.equal(again.status, 410)
  assert.match(await again.text(), /PERSON_ERASED/)
  await server.stop()
})
