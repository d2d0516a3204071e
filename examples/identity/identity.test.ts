/**
 * Does what docs/identity.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./identity.sh'))

test('a visitor is merged into a person, watches on, and is split again', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  await shell.run(region('track'))
  const shows = async (name: string, file: string): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), await shell.run(region(name)))
  await shows('merge', 'merge.txt')
  await shell.run(region('later'))
  await shows('read', 'read.txt')
  await shows('split', 'split.txt')
  await server.stop()
})
