import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock, systemRandom } from '@millrace/core'
import { openForTest } from '../testing/clips.ts'
import { withDatabase } from '../testing/database.ts'
import { runCommand } from './main.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const skip = server === undefined ? (process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ?? true) : false

test('schemas reads the history of a log in PostgreSQL, with a server and without', { skip }, () =>
  withDatabase(server as string, async (directory, url) => {
    const list = async (): Promise<string> => {
      let out = ''
      const code = await runCommand(
        ['schemas', 'list', '--data', join(directory, 'none'), '--json'],
        {
          terminal: { out: text => void (out += text), err: () => undefined, isInteractive: false, columns: 80 }, // prettier-ignore
          cwd: directory,
          environment: { DATABASE_URL: url },
          clock: systemClock,
          random: systemRandom,
          stopped: () => Promise.withResolvers<void>().promise,
          modules: [],
        },
      )
      assert.equal(code, 0, out)
      return out
    }
    const millrace = await openForTest({ data: join(directory, 'p') })
    await millrace.track('watched', { viewer: 'p', clip: 'c', watchedMs: 1 })
    const beside = await list()
    assert.match(beside, /"watched"/)
    await millrace.close()
    assert.equal(await list(), beside)
  }),
)
