/**
 * Follows docs/tutorial.md from its first command to its last. Outputs that the page shows stand in
 * `output/`; after a change of what commands print, MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./tutorial.sh'))

test('the tutorial works from its first command to its last', async t => {
  const shell = await openShell({ isCovered: true })
  t.after(() => shell.close())
  const project = { folder: '../reading' }
  const run = (name: string, environment = {}): Promise<string> =>
    shell.run(region(name), { ...project, environment })
  const shows = (name: string, output: string): void =>
    assertShown(fileOf(`./output/${name}`), output)
  const bring = (name: string): void =>
    copyFileSync(fileOf(`./${name}`), join(shell.folder, project.folder, name))

  shows('init.txt', await shell.run(region('init')))
  shows('app.txt', readFileSync(join(shell.folder, project.folder, 'app.ts'), 'utf8'))
  const server = shell.start(region('dev'), project)
  shows('dev.txt', await server.said(/Ctrl\+C stops it.*\n/))
  shows('seed.txt', await run('seed'))
  const after = await run('track')
  shows('track.txt', after)
  const answer = /^answer (\S+)$/m.exec(after)?.[1] ?? ''
  shows('explain.txt', await run('explain', { ANSWER: answer }))
  shows('log.txt', await run('log'))

  bring('app.ts')
  await server.said(/app\.ts changed: starting again[^]*answers at/)
  shows('view.txt', await run('view'))
  for (const name of ['articles.csv', 'reads.csv']) bring(name)
  shows('import.txt', await run('import'))

  bring('client.ts')
  await server.said(/client\.ts changed: starting again[^]*answers at/)
  shows('client.txt', await run('client'))
  await server.stop()

  bring('server.ts')
  const site = shell.start(region('express'), project)
  await site.said(/listening/)
  const list = await fetch(`${site.url}/people/eva`)
  assert.equal(((await list.json()) as unknown[]).length, 3)
  const ready = await fetch(`${site.url}/readyz`)
  assert.equal(ready.status, 200)
  assert.match(await run('embedded', { PORT: undefined }), /^home for person eva\n/)
  assert.doesNotMatch(await site.stop(), /error/i)
})
