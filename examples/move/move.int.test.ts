/** Does what docs/move.md shows. */
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { withDatabase } from '../../packages/millrace/src/testing/database.ts'
import { openShell, regionsOf } from '../testing/shell.ts'

const fileOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const region = regionsOf(fileOf('./move.sh'))
const server = process.env['MILLRACE_TEST_POSTGRES']
const skip = server === undefined ? (process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ?? true) : false

test('a product moves to PostgreSQL and back', { skip }, () =>
  withDatabase(server as string, async (_directory, url) => {
    const shell = await openShell()
    const onFiles = { environment: { DATABASE_URL: undefined } }
    try {
      await shell.run('npm install millrace')
      copyFileSync(fileOf('../quickstart/app.ts'), join(shell.folder, 'app.ts'))
      const first = shell.start('npx millrace start', onFiles)
      await first.said(/answers at/)
      await shell.run('npx millrace track watched viewer=ana clip=c1 watchedMs=5 --id e1', onFiles)
      const moved = await shell.run(region('move'), { environment: { DATABASE_URL: url } })
      assert.match(moved, /records are at 127\.0\.0\.1\/millrace_\w+, each compared/)
      assert.match(moved, /Nobody served for [\d.]+ s, in which \d+ records were moved/)
      const second = shell.start('npx millrace start')
      await second.said(/answers at/)
      const again = await shell.run(
        'npx millrace track watched viewer=ana clip=c1 watchedMs=5 --id e1',
      )
      assert.match(again, /was there before/)
      await second.stop()
      assert.match(await shell.run(region('back')), /Start the server without DATABASE_URL/)
      const third = shell.start('npx millrace start', onFiles)
      await third.said(/answers at/)
    } finally {
      await shell.close()
    }
  }),
)
