/**
 * Backups, restores and standbys that are killed, and servers that are killed while they are backed
 * up: each can be run again and ends right. The commands are processes of their own, killed by
 * SIGKILL at random moments; a store whose calls take a while gives them something to be killed in.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createSeededRandom, systemClock } from '@millrace/core'
import { contentsOf, done, watches } from './testing/backups.ts'
import { startServer, UNCOVERED, type ChildServer } from './testing/child.ts'
import { send } from './testing/http.ts'

const COMMAND = fileURLToPath(new URL('../bin/millrace.mjs', import.meta.url))
// Each round opens several directories, whose next journal segment is prepared each time.
const ROUNDS = Math.min(3, Number(process.env['MILLRACE_CRASH_RUNS'] ?? 1))
const random = createSeededRandom(Number(process.env['MILLRACE_CRASH_SEED'] ?? 5))

/** Runs a command that is killed after so many milliseconds, when it has not ended by then. */
function killed(words: readonly string[], afterMs: number): Promise<number | null> {
  const child = spawn(process.execPath, [COMMAND, ...words], {
    stdio: 'ignore',
    env: { ...process.env, ...UNCOVERED },
  })
  const timer = systemClock.after(afterMs, () => child.kill('SIGKILL'))
  return new Promise(resolve =>
    child.once('exit', code => {
      timer.cancel()
      resolve(code)
    }),
  )
}

/** How long the command takes when nobody kills it. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  const startMs = systemClock.monotonicMs()
  await run()
  return systemClock.monotonicMs() - startMs
}

async function withRoot(run: (root: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'millrace-backup-crash-'))
  try {
    await run(root)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

async function track(server: ChildServer, from: number, to: number): Promise<void> {
  const { status } = await send(server.url, '/v1/events', { body: watches(from, to) })
  assert.equal(status, 200)
}

test('a backup that is killed leaves the one before, and the next one holds everything', () =>
  withRoot(async root => {
    const data = join(root, 'data')
    const place = join(root, 'store')
    const server = await startServer(data)
    const backup = ['backup', '--to', place, '--data', data]
    await track(server, 0, 200)
    const wholeMs = await timed(() => killed(backup, 60_000))
    let sent = 200
    for (let round = 0; round < ROUNDS; round++) {
      await track(server, sent, sent + 200)
      sent += 200
      await killed(backup, random.next() * wholeMs)
      const { isWhole } = await done(['backup', 'verify', '--from', place])
      assert.equal(isWhole, true)
    }
    await done(backup)
    await server.stop('SIGTERM')
    const to = join(root, 'restored')
    await done(['restore', '--from', place, '--to', to])
    const restored = await contentsOf(to)
    assert.equal(restored.ids.size, sent)
    assert.equal(restored.hash, (await contentsOf(data)).hash)
  }))

test('a server that is killed while it is backed up loses nothing, and the backup is run again', () =>
  withRoot(async root => {
    const data = join(root, 'data')
    const place = join(root, 'store')
    let sent = 0
    for (let round = 0; round < ROUNDS; round++) {
      const server = await startServer(data)
      await track(server, sent, sent + 200)
      sent += 200
      const backup = killed(['backup', '--to', place, '--data', data], 60_000)
      const pause = new Promise<void>(resolve => systemClock.after(random.next() * 900, resolve))
      await Promise.race([backup, pause])
      await server.stop('SIGKILL')
      // Done, refused because the server went, or taken from the directory by itself.
      assert.ok([0, 1, 4].includes((await backup) ?? -1))
      await done(['backup', '--to', place, '--data', data])
    }
    assert.equal((await done(['backup', 'verify', '--from', place]))['isWhole'], true)
    const to = join(root, 'restored')
    await done(['restore', '--from', place, '--to', to])
    assert.equal((await contentsOf(to)).ids.size, sent)
    assert.equal((await contentsOf(data)).ids.size, sent)
  }))

test('a restore, a standby and a promotion that are killed end right when they are run again', () =>
  withRoot(async root => {
    const data = join(root, 'data')
    const place = join(root, 'store')
    const server = await startServer(data)
    await track(server, 0, 300)
    await done(['backup', '--to', place, '--data', data])
    await track(server, 300, 600)
    await done(['backup', '--to', place, '--data', data])
    await server.stop('SIGTERM')
    const { hash } = await contentsOf(data)
    const restore = (to: string): string[] => ['restore', '--from', place, '--to', to]
    const wholeMs = await timed(() => killed(restore(join(root, 'timed')), 60_000))
    for (let round = 0; round < ROUNDS; round++) {
      const to = join(root, `restored-${round}`)
      const code = await killed(restore(to), wholeMs * (0.4 + 0.6 * random.next()))
      // Whole and in place, or to be restored again.
      if (!existsSync(join(to, 'millrace.json')) || existsSync(join(to, 'restoring'))) {
        assert.notEqual(code, 0)
        await done(restore(to))
      }
      assert.equal((await contentsOf(to)).hash, hash)
      const standby = join(root, `standby-${round}`)
      const follow = ['standby', '--from', place, '--data', standby, '--once']
      await killed(follow, wholeMs * random.next())
      await done(follow)
      const promote = ['standby', 'promote', '--from', place, '--data', standby]
      await killed(promote, wholeMs * random.next())
      if (existsSync(join(standby, 'restoring'))) await done(promote)
      assert.equal((await contentsOf(standby)).hash, hash)
    }
  }))
