/** Rebuilds on threads over PostgreSQL: made in one process, followed by the others. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { silentLogger, systemClock, type App } from '@millrace/core'
import { openMillrace, type Millrace } from '../millrace.ts'
import { withDatabase } from '../testing/database.ts'
import { app, nextApp } from '../testing/posts.ts'
import { rebuildCrashSuite } from '../testing/rebuild-crash-suite.ts'
import { assertServed, commentsFrom, FOLD } from '../testing/rebuilt.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'
const PEOPLE = 12

const open = (own: App, data: string, file: string): Promise<Millrace> =>
  openMillrace({
    app: own,
    appFile: fileURLToPath(new URL(`../testing/${file}.ts`, import.meta.url)),
    data,
    logger: silentLogger,
  })

/** Resolves when a process serves a build. */
async function serves({ streams }: Millrace, build: number): Promise<void> {
  while (streams.rebuilds.status(FOLD).live.build !== build) {
    await new Promise<void>(resolve => systemClock.after(10, resolve))
  }
}

async function send(millrace: Millrace, first: number): Promise<void> {
  const { position } = await millrace.trackMany(commentsFrom(first))
  await millrace.reached(position, { timeoutMs: 60_000 })
}

if (server === undefined) {
  test('a rebuild on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  rebuildCrashSuite('data in PostgreSQL', run => withDatabase(server, run))

  test('a rebuild on PostgreSQL finds what was planted, and is followed by all processes, there and back', () =>
    withDatabase(server, async directory => {
      const first = await open(app, join(directory, 'first'), 'posts')
      await send(first, 0)
      await send(first, 24)
      await first.close()
      const one = await open(nextApp, join(directory, 'one'), 'next-posts')
      const two = await open(nextApp, join(directory, 'two'), 'next-posts')
      try {
        for (const process of [one, two]) {
          await assertServed(process)
          assert.equal(process.streams.fold(FOLD).definition.replaces, undefined)
        }
        const { rebuilds } = one.streams
        await rebuilds.start({ fold: FOLD, maxDifferences: PEOPLE })
        await send(two, 48)
        const done = await rebuilds.settled(FOLD)
        assert.equal(done.error, undefined, done.error?.message)
        assert.deepEqual([done.live.build, done.comparison?.keys], [1, PEOPLE])
        await serves(two, 1)
        for (const process of [one, two]) {
          await assertServed(process)
          assert.ok(process.streams.fold(FOLD).definition.replaces)
        }
        // Wrong rows of one process are found there; the refusal changes nothing in the other.
        const { shardOf } = two.streams.fold(FOLD)
        shardOf('p4').decodeKey('p4', Buffer.from('{"state":{"body":"secret","count":77}}'))
        await two.streams.rebuilds.start({ fold: FOLD })
        const stopped = await two.streams.rebuilds.settled(FOLD)
        assert.equal(stopped.error?.code, 'REBUILD_REFUSED', stopped.error?.message)
        const found = await readFile(stopped.comparison?.file as string, 'utf8')
        assert.match(
          found,
          /^\{"partition":\d+,"key":"p4","kind":"changed",[^\n]*\[personal\][^\n]*\n$/,
        )
        await two.streams.rebuilds.switch({ fold: FOLD, maxDifferences: 1 })
        await serves(one, 2)
        for (const process of [one, two]) await assertServed(process)
        await one.streams.rebuilds.back(FOLD)
        await serves(two, 1)
        await send(one, 72)
        await two.reached(new Map(one.log.ends()), { timeoutMs: 60_000 })
        // What was served before comes back as it was, everywhere.
        const rows = [one, two].map(({ streams }) =>
          streams.fold(FOLD).shardOf('p4').encodeKey('p4'),
        )
        assert.deepEqual(rows[0], rows[1])
        assert.match(Buffer.from(rows[0] ?? []).toString(), /"count":79/)
      } finally {
        await one.close()
        await two.close()
      }
    }))
}
