/**
 * Does what docs/backtest.md and docs/explain.md show. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createClient } from 'millrace/client'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'
import type app from './app.ts'
import { whyNot } from './why.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./backtest.sh'))

test('past answers are given again, by their definition and by another', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  for (const name of ['app.ts', 'changed.ts', 'clips.csv', 'views.ndjson']) {
    copyFileSync(fileOf(name), join(shell.folder, name))
  }
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const answers = [...(await shell.run(region('past'))).matchAll(/^answer (\S+)$/gm)]
  const shows = async (name: string, file: string, environment = {}): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), await shell.run(region(name), { environment }))
  await shows('explain', 'explain.txt', { ANSWER: answers[1]?.[1] })
  await shows('behind', 'behind.txt', { ANSWER: answers[1]?.[1] })
  const client = createClient<typeof app>({ url: server.url })
  const { kept, why } = await whyNot(client, answers[1]?.[1] ?? '', 'votes')
  assert.deepEqual([kept, why.length > 0], ['shown', true])
  await shows('same', 'same.txt')
  await shows('changed', 'changed.txt')
  const lines = readFileSync(join(shell.folder, 'differences.jsonl'), 'utf8').trimEnd().split('\n')
  const [first] = lines.map(line => JSON.parse(line) as { dropped: { stage: string }[] })
  assert.equal(first?.dropped[0]?.stage, 'filter no news')
  await server.stop()
  await shows('one', 'one.txt', { ANSWER: answers[1]?.[1] })
})
