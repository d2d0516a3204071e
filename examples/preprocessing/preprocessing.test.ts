/**
 * Does what docs/preprocessing.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DuckDBConnection } from '@duckdb/node-api'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./preprocessing.sh'))

test('what is served is what was trained on, number by number', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  await shell.run(region('history'))
  await shell.run(region('make'))
  const file = join(shell.folder, 'clicks.parquet')
  const fitted = readFileSync(join(shell.folder, 'fitted.json'), 'utf8')
  assertShown(fileOf('./output/fitted.txt'), fitted)
  const manifest = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Record<string, unknown>
  assert.deepEqual(manifest['fitted'], JSON.parse(fitted))
  const duckdb = await DuckDBConnection.create()
  const rows = (await duckdb.runAndReadAll(`FROM '${file}'`)).getRowObjectsJS()
  const columns = ['watchedMs', 'isNewViewer', 'plays', 'topic'] as const
  const trained = rows.map(row => [row['person'], row['clip'], ...columns.map(name => row[name])])
  assert.deepEqual(trained.map(row => [row[0], row[1], row[3], row[5]]), [
    ['ana', 'c1', 1, [1, 0, 0]],
    ['ben', 'c3', 0, [0, 1, 0]],
    ['ana', 'c2', 0, [1, 0, 0]],
  ]) // prettier-ignore
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const read = async (): Promise<{
    values: unknown[][]
    fingerprint: string
    requestId: string
  }> => {
    const answer = await fetch(`${server.url}/v1/features/read`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        service: 'ready',
        rows: [{ person: 'ben', clip: 'c3' }, { person: 'ana', clip: 'c2' }, { person: 'new', clip: 'c8' }],
      }),
    }) // prettier-ignore
    return (await answer.json()) as { values: unknown[][]; fingerprint: string; requestId: string }
  }
  const { values, requestId } = await read()
  // Nothing came that these rows depend on since they were trained on.
  assert.deepEqual(
    values.slice(0, 2),
    trained.slice(1).map(row => row.slice(2)),
  )
  // Nobody knows them: the median of all, no plays, another topic.
  assert.deepEqual([values[2]?.[1], values[2]?.[2], values[2]?.[3]], [1, 0, [0, 0, 1]])
  const checked = await fetch(`${server.url}/v1/features/served/${requestId}/check`)
  assert.deepEqual(((await checked.json()) as { mismatches: unknown }).mismatches, [])
  await server.stop()
  // What was learnt of another version of a feature is not taken.
  const app = readFileSync(join(shell.folder, 'app.ts'), 'utf8')
  writeFileSync(
    join(shell.folder, 'app.ts'),
    app.replace("window: 'lifetime', of", "window: '30d', of"),
  )
  const refused = await shell.run('npx millrace features list 2>&1 || true')
  assert.match(refused, /were learnt from another version of viewerStats\.watchedMs/)
})
