/**
 * Does what docs/rebuild.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./rebuild.sh'))

test('a view is proved, changed beside the old one, switched, taken back and replayed', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  const define = (file: string): void => copyFileSync(fileOf(file), join(shell.folder, 'app.ts'))
  define('./app.ts')
  await shell.run('npm install millrace')
  let server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const shows = async (name: string, file: string): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), await shell.run(region(name)))
  await shell.run(region('track'))
  await shows('prove', 'prove.txt')
  await server.stop()
  define('./next.ts')
  server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const read = async (key: string): Promise<unknown> => {
    const answer = await fetch(`${server.url}/v1/views/plays/${key}`)
    return ((await answer.json()) as { value: unknown }).value
  }
  assert.deepEqual([await read('ana'), await read('ben')], [2, 1])
  await shows('dry-run', 'dry-run.txt')
  assert.deepEqual([await read('ana'), await read('ben')], [2, 1])
  await shows('switch', 'switch.txt')
  assert.deepEqual([await read('ana'), await read('ben')], [1, 1])
  await shows('back', 'back.txt')
  assert.deepEqual([await read('ana'), await read('ben')], [2, 1])
  await shows('file', 'file.txt')
  const lines = readFileSync(join(shell.folder, 'ana.jsonl'), 'utf8').trimEnd().split('\n')
  assert.deepEqual(lines.map(line => (JSON.parse(line) as { key: string }).key), ['ana', 'ana']) // prettier-ignore
  await shows('processor', 'processor.txt')
  await shows('drop', 'drop.txt')
})
