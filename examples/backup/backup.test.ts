/**
 * Follows docs/backup.md from its first command to its last. Outputs that the page shows stand in
 * `output/`; MILLRACE_RECORD=1 writes them anew.
 */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { assertShown, openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
/** The port of the server that runs is not said, so that a directory is read itself. */
const alone = { PORT: undefined }
const region = regionsOf(fileOf('./backup.sh'))

test('the page on backups works from its first command to its last', async t => {
  const shell = await openShell()
  t.after(() => shell.close())
  await shell.run('npm install millrace')
  copyFileSync(fileOf('../quickstart/app.ts'), join(shell.folder, 'app.ts'))
  const server = shell.start('npx millrace start')
  await server.said(/answers at/)
  assert.match(await shell.run(region('take')), /^Backup \w+ at .*backups: /)
  const mistake = await shell.run(region('mistake'))
  const POSITION = /"position":\s*"(p1\.[^"]+)"/.exec(mistake)?.[1]
  assert.match(await shell.run(region('verify')), /2 backups can be restored: /)
  const restored = await shell.run(region('restore'), {
    environment: { POSITION, ...alone },
  })
  assert.match(restored, /^Restored \d+ records to .*restored from backup \w+/)
  assertShown(fileOf('./output/plays.txt'), restored.slice(restored.indexOf('\n') + 1))
  assert.match(await shell.run('npx millrace view plays'), /mistake/)

  const shipping = shell.start(region('ship'))
  await shipping.said(/Backup \w+ at .*\n.*\n.*\n/)
  const standby = shell.start(region('standby'))
  await standby.said(/At backup \w+: \d+ records/)
  await standby.stop()
  await shipping.stop()
  assert.match(await shell.run(region('promote')), /is a primary now, of term 1/)
  assert.match(
    await shell.run('npx millrace view plays --data standby', { environment: alone }),
    /mistake/,
  )

  assert.match(await shell.run(region('export')), /^Exported \d+ records to .*exported/)
  assert.match(await shell.run(region('import')), /Imported \d+ records/)
  assert.match(
    await shell.run('npx millrace view plays --data imported', { environment: alone }),
    /mistake/,
  )
  await server.stop()
  assertShown(fileOf('./output/format.txt'), await formatShown())

  async function formatShown(): Promise<string> {
    return (await shell.run(region('format'))).replaceAll(shell.folder, '/srv/clips')
  }
})
