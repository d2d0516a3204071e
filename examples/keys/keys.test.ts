/** Follows docs/keys.md from its first command to its last. */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openShell, regionsOf } from '../testing/shell.ts'
import { call } from './call.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./keys.sh'))

test('the page on keys works from its first command to its last', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  await shell.run('npm install millrace')
  copyFileSync(fileOf('../quickstart/app.ts'), join(shell.folder, 'app.ts'))

  const created = await shell.run(region('create'))
  const keys = [...created.matchAll(/^millrace_\w+$/gm)].map(([key]) => key)
  assert.equal(keys.length, 3)
  const [, backend = '', web = ''] = keys
  const server = shell.start(region('serve'))
  await server.said(/answers at/)
  await call(server.url, { web, backend })

  const id = /^millrace_server_(\w{10})_/.exec(backend)?.[1]
  const rotated = await shell.run(region('rotate'), { environment: { KEY_ID: id } })
  assert.match(rotated, /server {2}valid .* shop-backend/)
  assert.match(rotated, /The secret before it ends in 1h/)
  assert.match(rotated, /is refused from now on/)
  await assert.rejects(call(server.url, { web, backend }), /revoked/)
  const acts = await shell.run(region('audit'))
  assert.match(acts, /act\.begun {2}host|act\.begun {2}operator/)
  assert.match(acts, /revokeKey/)
})
