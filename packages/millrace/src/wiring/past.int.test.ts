/** Reads of the past over PostgreSQL: by time and by position, of events and of what they were re-keyed to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@millrace/core'
import { withDatabase } from '../testing/database.ts'
import { openForTest, watchedBy } from '../testing/clips.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'
const CLIPS = ['a', 'b', 'c']
const ROUNDS = 6

/** Time that no event arrived in. */
async function quietMs(): Promise<number> {
  const timeMs = systemClock.nowMs() + 1
  while (systemClock.nowMs() <= timeMs) {
    await new Promise<void>(resolve => systemClock.after(1, resolve))
  }
  return timeMs
}

if (server === undefined) {
  test('the past on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  test('the past on PostgreSQL is what was read then', () =>
    withDatabase(server, async data => {
      const millrace = await openForTest({ data })
      try {
        const plays = millrace.view('plays')
        const time = millrace.view('time')
        const seen: {
          timeMs: number
          position: Awaited<ReturnType<typeof track>>
          values: unknown
        }[] = []
        const track = async (round: number) => {
          const events = CLIPS.map((clip, at) => watchedBy(`p${(round + at) % 4}`, clip))
          const { position } = await millrace.trackMany(events as never)
          await millrace.reached(position, { timeoutMs: 60_000 })
          return millrace.reflected()
        }
        for (let round = 0; round < ROUNDS; round++) {
          const position = await track(round)
          const values = [...CLIPS.map(clip => plays.get(clip).value), time.get('p0').value]
          seen.push({ timeMs: await quietMs(), position, values })
        }
        for (const { timeMs, position, values } of seen) {
          for (const at of [{ timeMs }, { position }]) {
            const past = await Promise.all(
              CLIPS.map(async clip => (await plays.at(at).get(clip)).value),
            )
            assert.deepEqual([...past, (await time.at(at).get('p0')).value], values)
          }
        }
        const { changes } = await millrace.streams.past.changes({
          fold: 'view.plays',
          key: 'a',
          to: { position: millrace.reflected() },
          limit: 100,
        })
        assert.deepEqual(
          changes.map(({ after }) => after),
          Array.from({ length: ROUNDS }, (_, at) => at + 1),
        )
      } finally {
        await millrace.close()
      }
    }))
}
