/**
 * Does what docs/features.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'
import { putClip, readRows } from './rows.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./features.sh'))

test('features are declared, folded, listed and read as rows', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  await putClip(server.url)
  await shell.run(region('track'))
  const shows = async (name: string, file: string): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), await shell.run(region(name)))
  await shows('list', 'list.txt')
  await shows('get', 'get.txt')
  await shows('pairs', 'pairs.txt')
  await shows('viewer', 'viewer.txt')
  const { atMs, fingerprint, requestId, ...rows } = (await readRows(server.url)) as Record<
    string,
    unknown
  >
  assert.equal(typeof atMs, 'number')
  assert.equal(typeof requestId, 'string')
  assert.match(String(fingerprint), /^[0-9a-z]{12}$/)
  assertShown(fileOf('./output/rows.txt'), `${JSON.stringify(rows, null, 2)}\n`)
  const explained = await shell.run(region('explain'))
  assertShown(
    fileOf('./output/explain.txt'),
    explained
      .replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '2026-11-22 09:00:00')
      .replaceAll(
        /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g,
        '019aa8f0-5d00-7cc3-8b5e-2f6d1a7c9e40',
      ),
  )
  await shows('lineage', 'lineage.txt')
  await shows('check', 'check.txt')
  const built = await shell.run(region('backfill'))
  assertShown(
    fileOf('./output/backfill.txt'),
    built.replaceAll(/version [0-9a-z]{12}/g, 'version e0099d3b9b50'),
  )
})
