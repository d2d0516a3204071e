/**
 * Does what docs/changesets.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./changesets.sh'))
/** Hashes and moments are others each time. */
const stable = (text: string): string =>
  text
    .replace(/[0-9a-f]{64}/g, '<hash>')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '2026-11-21 20:00:00')

test('a changeset is planned, approved, applied and taken back', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  for (const name of ['app.ts', 'clips.csv']) {
    copyFileSync(fileOf(`./${name}`), join(shell.folder, name))
  }
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const json = async (script: string): Promise<Record<string, unknown>> =>
    JSON.parse(await shell.run(`${script} --json`)) as Record<string, unknown>
  const { key } = await json('npx millrace keys create admin --name ben')
  const shows = async (name: string, file: string, environment = {}): Promise<void> => {
    const said = stable(await shell.run(region(name), { environment }))
    assertShown(fileOf(`./output/${file}`), said)
  }
  await shows('plan', 'plan.txt')
  await shows('refused', 'refused.txt')
  const { hash } = await json('npx millrace changeset show first-clips')
  await shows('approve', 'approve.txt', { BENS_KEY: String(key), HASH: String(hash) })
  await shows('query', 'query.txt')
  const lines = readFileSync(join(shell.folder, 'to-zoe.jsonl'), 'utf8').trimEnd().split('\n')
  const targets = lines.map(line => (JSON.parse(line) as { target: string }).target)
  assert.deepEqual(targets, ['clip/c3', 'clip/c4'])
  await shows('apply', 'apply.txt')
  const creator = async (id: string): Promise<unknown> => {
    const headers = { authorization: `Bearer ${String(key)}` }
    const answer = await fetch(`${server.url}/v1/items/clip/${id}`, { headers })
    return ((await answer.json()) as { attributes: { creator: string } }).attributes.creator
  }
  assert.deepEqual([await creator('c3'), await creator('c4')], ['zoe', 'zoe'])
  await shows('undo', 'undo.txt')
  assert.deepEqual([await creator('c3'), await creator('c4')], ['ben', 'ann'])

  await server.stop()
})
