/**
 * Does what docs/checks.md shows. Outputs that the page shows stand in `output/`;
 * MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./checks.sh'))

/** How long it took is another thing each time. */
function withoutTimes(text: string): string {
  return text
    .replace(/^(Reading|Appending|Catching up): .*\n/gm, '')
    .replace(/ rows in [\d.,]+ m?s \([\d,]+ rows\/s\)/, ' rows')
}

test('a file is checked, what does not fit is refused or held, and released', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  mkdirSync(shell.folder, { recursive: true })
  copyFileSync(fileOf('./app.ts'), join(shell.folder, 'app.ts'))
  await shell.run('npm install millrace')
  const shows = async (name: string, file: string): Promise<void> =>
    assertShown(fileOf(`./output/${file}`), withoutTimes(await shell.run(region(name))))
  await shell.run(region('file'))
  await shows('check', 'check.txt')
  await shell.run(region('import'))
  const server = shell.start('npx millrace start')
  await server.said(/Ctrl\+C stops it/)
  const plays = async (clip: string): Promise<unknown> => {
    const answer = await fetch(`${server.url}/v1/views/plays/${clip}`)
    return ((await answer.json()) as { value: unknown }).value
  }
  await shows('refused', 'refused.txt')
  await shows('list', 'list.txt')
  await shows('show', 'show.txt')
  assert.deepEqual(await Promise.all(['c1', 'c2', 'c9'].map(plays)), [2, 1, null])
  await shows('release', 'release.txt')
  assert.deepEqual(await Promise.all(['c1', 'c2', 'c9'].map(plays)), [2, 1, 1])
  await server.stop()
})
