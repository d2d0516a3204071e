/** The server with its log in PostgreSQL, chosen by DATABASE_URL alone: one process, and several. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, it, test } from 'node:test'
import { joinPositions, type Position } from '@millrace/core'
import { checkDatabase } from './cli/commands/doctor-database.ts'
import { actsSuite } from './testing/acts-suite.ts'
import { openForTest, watchedBy, type clips } from './testing/clips.ts'
import { startServer, type ChildServer } from './testing/child.ts'
import { crashSuite } from './testing/crash-suite.ts'
import { withDatabase } from './testing/database.ts'
import { send } from './testing/http.ts'
import type { Millrace } from './millrace.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'

const COMMAND = fileURLToPath(new URL('../bin/millrace.mjs', import.meta.url))
const execute = promisify(execFile)

type Clips = Millrace<typeof clips>

/** Runs with some processes over one database, all in this one. */
async function withProcesses(
  count: number,
  run: (open: readonly Clips[], directory: string) => Promise<void>,
): Promise<void> {
  await withDatabase(server as string, async directory => {
    const opened: Clips[] = []
    try {
      for (let index = 0; index < count; index++) {
        opened.push(await openForTest({ data: join(directory, `p${index}`) }))
      }
      await run(opened, directory)
    } finally {
      for (const millrace of opened) await millrace.close()
    }
  })
}

/** Partitions of a server by the address of their owner; `none` while nobody has them. */
async function ownersOf(url: string): Promise<Record<string, number[]>> {
  const { json } = await send(url, '/v1/leases')
  const owners: Record<string, number[]> = {}
  for (const { partition, address } of json['leases'] as {
    partition: number
    address: string | null
  }[]) {
    ;(owners[address ?? 'none'] ??= []).push(partition)
  }
  return owners
}

/** What doctor says about the database. */
async function doctor(): Promise<string[]> {
  const findings = await checkDatabase({ environment: process.env })
  return findings.map(({ message }) => message)
}

async function until(isSo: () => Promise<boolean>, what: string): Promise<void> {
  for (let turn = 0; turn < 1_200; turn++) {
    if (await isSo()) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  assert.fail(`${what} did not come about`)
}

const track = (url: string, id: string): Promise<number> =>
  send(url, '/v1/events', { body: watchedBy('p', 'c', { id, watchedMs: 1 }) }).then(
    ({ status }) => status,
    () => 0,
  )

if (server === undefined) {
  test('the server on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  crashSuite('data in PostgreSQL', run => withDatabase(server, run))
  actsSuite('data in PostgreSQL', run => withDatabase(server, run))

  describe('processes on one PostgreSQL', () => {
    it('each take events of everybody and answer with the views of all', () =>
      withProcesses(3, async opened => {
        const people = Array.from({ length: 40 }, (_, index) => `p${index}`)
        let sent: Position = new Map()
        for (const [index, viewer] of people.entries()) {
          const data = { viewer, clip: `c${index % 5}`, watchedMs: index + 1 }
          const { position } = await (opened[index % 3] as Clips).track('watched', data)
          sent = joinPositions(sent, position)
        }
        for (const millrace of opened) await millrace.reached(sent, { timeoutMs: 60_000 })
        for (const millrace of opened) {
          const plays = [0, 1, 2, 3, 4].map(clip => millrace.view('plays').get(`c${clip}`).value)
          assert.deepEqual(plays, [8, 8, 8, 8, 8])
          const times = people.map(viewer => millrace.view('time').get(viewer).value)
          assert.deepEqual(
            times,
            [...people.keys()].map(index => index + 1),
          )
        }
        const items = opened[0]?.items('clip')
        const position = await items?.put('c1', { title: 'One', topics: [], creator: 'x' })
        await opened[2]?.reached(position as never, { timeoutMs: 60_000 })
        assert.equal(opened[2]?.items('clip').get('c1')?.title, 'One')
      }))

    it('share the partitions evenly, hand them over when one ends, and doctor says who has them', () =>
      withDatabase(server, async directory => {
        const first = await startServer(join(directory, 'first'))
        const second = await startServer(join(directory, 'second'))
        const isEven = async (): Promise<boolean> => {
          const counts = Object.values(await ownersOf(first.url)).map(({ length }) => length)
          return counts.length === 2 && Math.abs((counts[0] ?? 0) - (counts[1] ?? 0)) <= 1
        }
        await until(isEven, 'an even share')
        const shares = (await doctor()).filter(text => /processes partitions? [\d, ]+$/.test(text))
        assert.equal(shares.length, 2)
        assert.ok(shares.some(text => text.startsWith(second.url)))
        assert.equal(await second.stop('SIGTERM'), 0)
        const isAlone = async (): Promise<boolean> =>
          Object.keys(await ownersOf(first.url)).join() === first.url
        await until(isAlone, 'a take-over')
        await first.stop('SIGTERM')
        assert.ok((await doctor()).some(text => text.startsWith('nobody processes partitions 0,')))
      }))

    it('leave tables that go back to the version before, with what is in them, and forward again', () =>
      withDatabase(server, async directory => {
        const formatAfter = async (...words: string[]): Promise<unknown> => {
          const command = [COMMAND, 'data', ...words, '--json']
          const { stdout } = await execute(process.execPath, command).catch((error: unknown) => error as { stdout: string }) // prettier-ignore
          const { format, error } = JSON.parse(stdout) as { format?: object; error?: { code: string } } // prettier-ignore
          return error?.code ?? format
        }
        assert.deepEqual(await formatAfter('format'), {})
        assert.deepEqual(await formatAfter('downgrade'), {})
        let millrace = await openForTest({ data: join(directory, 'p0') })
        await millrace.track('watched', { viewer: 'p', clip: 'c', watchedMs: 5 })
        assert.equal(await formatAfter('downgrade'), 'DATABASE_IN_USE')
        await millrace.close()
        assert.deepEqual(await formatAfter('format'), { keys: 1, log: 4, snapshots: 1 })
        assert.deepEqual(await formatAfter('downgrade'), { keys: 1, log: 3, snapshots: 1 })
        assert.deepEqual(await formatAfter('downgrade'), { keys: 1, log: 3, snapshots: 1 })
        assert.ok((await doctor()).some(text => text.startsWith('nobody processes partitions 0,')))
        millrace = await openForTest({ data: join(directory, 'p0') })
        const { position } = await millrace.track('watched', { viewer: 'p', clip: 'c', watchedMs: 6 }) // prettier-ignore
        await millrace.reached(position, { timeoutMs: 60_000 })
        assert.equal(millrace.view('time').get('p').value, 11)
        await millrace.close()
        assert.deepEqual(await formatAfter('format'), { keys: 1, log: 4, snapshots: 1 })
      }))

    it('that was paused for longer than its lease commits nothing late, and goes on', () =>
      withDatabase(server, async directory => {
        const paused = await startServer(join(directory, 'paused'))
        const other = await startServer(join(directory, 'other'))
        const hasAll = async (one: ChildServer): Promise<boolean> =>
          Object.keys(await ownersOf(one.url)).join() === one.url
        assert.equal(await track(paused.url, 'before'), 201)
        paused.process.kill('SIGSTOP')
        const late = track(paused.url, 'late')
        await until(() => hasAll(other), 'the take-over')
        assert.equal(await track(other.url, 'meanwhile'), 201)
        paused.process.kill('SIGCONT')
        // It never began to commit: the event is taken under its new name.
        assert.equal(await late, 201)
        assert.equal(await track(paused.url, 'late'), 200)
        const time = async (one: ChildServer): Promise<unknown> =>
          (await send(one.url, '/v1/views/time/p')).json['value']
        for (const one of [paused, other]) {
          await until(async () => (await time(one)) === 3, 'what all three did')
        }
        const isShared = async (): Promise<boolean> =>
          Object.keys(await ownersOf(other.url)).length === 2
        await until(isShared, 'an even share')
        await paused.stop('SIGTERM')
        await other.stop('SIGTERM')
      }))
  })
}
