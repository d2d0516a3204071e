import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createSeededRandom, isError, silentLogger, systemClock } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import { openFileLog, openFileLogView } from '../file/index.ts'
import type { EventLog, NewEvent } from '../log.ts'
import { openPostgresLog, type PostgresLog } from '../postgres/index.ts'
import { withPostgres } from '../testing/postgres.ts'
import { Move, type MovedPartition, type MoveSource } from './index.ts'

const PARTITIONS = 3
const STREAMS = [
  { name: 'person', partitions: PARTITIONS, latenessMs: 5, skewMs: 100 },
  { name: 'items', partitions: PARTITIONS },
]
const event = (number: number, more: Partial<NewEvent> = {}): NewEvent => ({
  stream: 'person',
  type: 'seen',
  key: `p${number % 7}`,
  id: `e${number}`,
  eventTimeMs: 1_700_000_000_000 + ((number * 7919) % 1_000),
  data: { number, text: 'ö"\n' },
  ...more,
})

/** Events of every kind, and steps of a processor, of which one key waits. */
async function fill(log: EventLog, from: number, count: number): Promise<void> {
  await log.declare(STREAMS)
  for (let number = from; number < from + count; number += 5) {
    const envelope = { type: 'seen', data: { number } }
    await log.commit({
      events: [
        event(number),
        event(number + 1, { tenant: 't', headers: { a: 'b' }, isHistory: true, definition: 'd1' }),
        event(number + 2, { keys: ['p1', 'x'], key: 'p1', sealed: { person: 'p', bytes: Uint8Array.of(0, 255) } }), // prettier-ignore
        event(number + 3, { data: { number }, payload: Buffer.from(JSON.stringify(envelope)), isEnvelope: true }), // prettier-ignore
        event(number, { id: 'u', isUnique: true }),
      ],
    })
  }
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const source = { stream: 'person', partition }
    const [before] = log.steps({ processor: 'fold', generation: 2, ...source })
    const start = before?.consumed ?? 0
    const to = log.ends().get(`person/${partition}`) ?? 0
    const emitted = [event(partition, { stream: 'items', key: 'i', id: `m${from}`, generation: 2 })]
    const parked = [{ key: `p${from}`, offset: start, error: 'no', attempts: 3 }]
    const released = from > 0 ? ['p0'] : []
    await log.commit({
      step: {
        processor: 'fold',
        generation: 2,
        source,
        from: start,
        to,
        emitted,
        parked,
        released,
      },
    })
  }
}

/** A log in a directory, read as a command does beside the server that owns it. */
async function withDirectory(
  run: (place: { open(): Promise<EventLog>; view(): ReturnType<typeof openFileLogView> }) => Promise<void>, // prettier-ignore
): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-move-'))
  const disk = openNodeDisk(root)
  const options = { firstSegmentBytes: 8_192, segmentBytes: 8_192 }
  try {
    await run({
      open: () => openFileLog({ disk, clock: systemClock, random: createSeededRandom(1), logger: silentLogger, directory: 'log', options }), // prettier-ignore
      view: () => openFileLogView({ disk, directory: 'log' }),
    })
  } finally {
    await rm(root, { recursive: true })
  }
}

async function moveAll(source: MoveSource, target: EventLog): Promise<readonly MovedPartition[]> {
  const move = new Move({ source, target })
  await move.catchUp()
  await move.moveSteps()
  assert.equal(move.left, 0)
  return move.moved()
}

const stepsOf = (log: EventLog): unknown =>
  Array.from({ length: PARTITIONS }, (_, partition) => {
    const [newest] = log.steps({ processor: 'fold', generation: 2, stream: 'person', partition })
    return { ...newest, ends: [...(newest?.ends ?? [])].sort() }
  })

withPostgres('a log moves between a directory and PostgreSQL', create => {
  const withLog = async (run: (log: PostgresLog) => Promise<void>): Promise<void> => {
    const { database, dispose } = await create()
    const options = { recentBytesMax: 0 }
    const log = await openPostgresLog({ database, clock: systemClock, logger: silentLogger, options }) // prettier-ignore
    try {
      await run(log)
    } finally {
      await log.close()
      await dispose()
    }
  }

  describe('a log moves between a directory and PostgreSQL', () => {
    it('while it is written, and back, record for record; ids and steps are known there', () =>
      withDirectory(directory =>
        withLog(async database => {
          const first = await directory.open()
          await fill(first, 0, 100)
          const view = await directory.view()
          const move = new Move({ source: view, target: database })
          await move.catchUp()
          await fill(first, 100, 1_500)
          await move.catchUp()
          const wanted = stepsOf(first)
          await first.close()
          await move.catchUp()
          await move.moveSteps()
          await view.close()
          assert.deepEqual(stepsOf(database), wanted)
          assert.equal(move.left, 0)
          const records = move.moved().reduce((sum, each) => sum + each.records, 0)
          assert.equal(records, 1_600 + 2 * PARTITIONS)
          // Sent again: recognised, but for the one whose id was promised to be new.
          const again = await database.commit({ events: [event(1_590), event(1_590, { data: 1 })] })
          assert.deepEqual(
            again.results.map(({ status }) => status),
            ['duplicate', 'conflict'],
          )
          assert.equal((await database.find('e1590'))?.id, 'e1590')
          assert.equal(await database.find('u'), undefined)

          await withDirectory(async other => {
            const target = await other.open()
            const back = await moveAll(database, target)
            assert.deepEqual(back, move.moved())
            assert.deepEqual(stepsOf(target), wanted)
            const sent = await target.commit({ events: [event(1_590)] })
            assert.deepEqual(
              sent.results.map(({ status }) => status),
              ['duplicate'],
            )
            await fill(target, 2_000, 10)
            await target.close()
            const reopened = await other.open()
            const [step] = reopened.steps({ processor: 'fold', generation: 2, stream: 'person', partition: 0 }) // prettier-ignore
            assert.equal(step?.consumed, reopened.ends().get('person/0'))
            await reopened.close()
          })
        }),
      ))

    it('a move that was cut off goes on, and ends as if it had not been', () =>
      withDirectory(directory =>
        withLog(async database => {
          const first = await directory.open()
          await fill(first, 0, 1_200)
          await first.close()
          const source = await directory.view()
          const cut = new Move({
            source,
            target: database,
            onProgress: moved => {
              if (moved >= 1_000) throw new Error('cut off')
            },
          })
          await assert.rejects(cut.catchUp(), /cut off/)
          const moved = await moveAll(source, database)
          // Once more: everything is there already.
          assert.deepEqual(await moveAll(source, database), moved)
          assert.equal(moved.length, 2 * PARTITIONS)
          await source.close()
        }),
      ))

    it('a target that holds something else, or more, is refused', () =>
      withDirectory(directory =>
        withLog(async database => {
          const first = await directory.open()
          await fill(first, 0, 50)
          const source = await directory.view()
          await moveAll(source, database)
          await database.commit({ events: [event(9_000)] })
          const refusal = { code: 'MOVE_DIFFERS' }
          const isRefused = (error: unknown): boolean => isError(error, refusal.code)
          await assert.rejects(moveAll(source, database), isRefused)
          await first.commit({ events: [event(9_000, { data: 'other' })] })
          await assert.rejects(moveAll(source, database), isRefused)
          await source.close()
          await first.close()
        }),
      ))
  })
})
