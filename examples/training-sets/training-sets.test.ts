/**
 * Does what docs/training-sets.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DuckDBConnection } from '@duckdb/node-api'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./training-sets.sh'))

test('rows have what was known when something was shown, and what came of it', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  await shell.run(region('history'))
  // How far it is, which is told where it takes long, is no part of what it says.
  const made = (await shell.run(region('make'))).replace(/^Making: .*\n/gm, '')
  assertShown(fileOf('./output/make.txt'), made)
  const duckdb = await DuckDBConnection.create()
  const rowsOf = async (name: string): Promise<Record<string, unknown>[]> =>
    (await duckdb.runAndReadAll(`FROM '${join(shell.folder, name)}'`)).getRowObjectsJS()
  const rows = await rowsOf('clicks.parquet')
  const shown = rows.map(row => [row['person'], row['clip'], row['label'], row['plays1d'], row['watchedMs7d'], row['finishRate7d']]) // prettier-ignore
  assert.deepEqual(shown, [
    // Nothing had been seen yet; an hour later the clip was watched.
    ['ana', 'c1', 1, 0, 0, 0],
    ['ana', 'c2', 1, 1, 25_000, 0],
    // Watched after more than a day: not within the window.
    ['ben', 'c2', 0, 1, 4_000, 0],
  ])
  const sequences = rows.map(row => [row['lastClip'], row['lastClips'], row['lastMs']])
  assert.deepEqual(sequences, [
    ['', [], []],
    ['c1', ['c1'], [25_000]],
    ['c1', ['c1'], [4_000]],
  ])
  const attributes = rows.map(row => [row['clip'], row['topic'], row['embedding']])
  assert.deepEqual(attributes, [
    ['c1', 'pasta', [0.25, 0.5]],
    // There is no such clip.
    ['c2', '', []],
    ['c2', '', []],
  ])
  const manifest = JSON.parse(readFileSync(join(shell.folder, 'clicks.parquet.json'), 'utf8')) as {
    observations: unknown
    columns: Record<string, { mean: number | null; missing: number; type: string }>
    features: Record<string, { served: unknown }>
  }
  assert.deepEqual(manifest.observations, { found: 4, rows: 3, withoutEntity: 0, immature: 1 })
  assert.equal(manifest.columns['plays1d']?.mean, 2 / 3)
  assert.deepEqual(manifest.features['plays1d']?.served, { value: 2, default: 1 })
  const types = ['lastClip', 'lastClips', 'lastMs'].map(name => manifest.columns[name]?.type)
  assert.deepEqual(types, ['VARCHAR', 'VARCHAR[]', 'DOUBLE[]'])
  assert.deepEqual(manifest.features['topic']?.served, { value: 1, missing: 2 })
  await shell.run(region('observations'))
  const moments = (await rowsOf('moments.parquet')).map(row => [row['person'], row['label'], row['plays1d'], row['finishRate7d']]) // prettier-ignore
  assert.deepEqual(moments, [
    ['ana', 1, 2, 1],
    ['ben', 0, 1, 0.5],
  ])
  assert.ok(!readdirSync(shell.folder).some(name => name.includes('making') || name.endsWith('.part'))) // prettier-ignore
})
