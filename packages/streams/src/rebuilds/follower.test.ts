/** Several runtimes over one log: a switch in one of them is followed by all. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError, silentLogger, systemClock, type AnyView, type Clock } from '@millrace/core'
import type { NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { openStreams } from '../runtime.ts'
import type { Streams } from '../streams.ts'
import { readAll } from '../testing/folds.ts'
import { doubled, notes, plays } from '../testing/plays.ts'
import { SharedLog, type LogMember } from '../testing/shared-log.ts'
import { settle } from '../testing/stack.ts'
import { PARTITIONS } from '../testing/world.ts'
import { compileViews } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'

const PEOPLE = 8
const FOLD = 'view.plays'

/** A hundred times as fast as the clock on the wall. */
const fastClock: Clock = {
  ...systemClock,
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs() * 100,
  after: (ms, run) => systemClock.after(ms / 100, run),
  soon: run => systemClock.soon(run),
}

interface Process {
  readonly member: LogMember
  readonly streams: Streams
}

class Processes {
  readonly log = openMemoryLog({ clock: systemClock })
  readonly snapshots = createMemorySnapshotStore()
  readonly clock: Clock
  readonly shared: SharedLog
  #sent = 0

  constructor(clock: Clock = systemClock) {
    this.clock = clock
    const delayMs = (): number => 0
    this.shared = new SharedLog({ log: this.log, clock, partitions: PARTITIONS, delayMs })
  }

  async open(own: AnyView): Promise<Process> {
    const views = { plays: own, notes }
    const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
    await this.log.declare([{ name: 'person', partitions: PARTITIONS }, ...compiled.streams])
    const member = this.shared.enter()
    const streams = await openStreams({
      log: member.log,
      leases: member,
      snapshots: this.snapshots,
      clock: this.clock,
      logger: silentLogger,
      folds: compiled.folds,
      tables: compiled.tables,
      options: { batchRecords: 7, snapshotEveryRecords: 50 },
    })
    return { member, streams }
  }

  /** So many events of each person. */
  async send(times: number): Promise<void> {
    const events = Array.from({ length: times * PEOPLE }, (_, at): NewEvent => {
      const number = this.#sent + at
      const viewer = `p${number % PEOPLE}`
      const data = { viewer, ms: number }
      return { stream: 'person', type: 'watched', key: viewer, id: `w${number}`, eventTimeMs: 1_000 + number, data } // prettier-ignore
    })
    this.#sent += events.length
    await this.log.commit({ events })
  }

  async settle(...processes: readonly Process[]): Promise<void> {
    for (const { streams } of processes) await settle(this.log, streams)
  }
}

const refused = (code: string) => (error: unknown) => isError(error, code)
const valuesOf = ({ streams }: Process): unknown[] => {
  const reader = createViewReader(streams, 'plays')
  return Array.from({ length: PEOPLE }, (_, at) => reader.get(`p${at}`).value)
}
const all = (value: number): number[] => Array.from({ length: PEOPLE }, () => value)
const buildOf = ({ streams }: Process, fold = FOLD): number => streams.rebuilds.status(fold).live.build // prettier-ignore

/** Resolves when a process serves a build. */
async function serves(process: Process, build: number, fold = FOLD): Promise<void> {
  while (buildOf(process, fold) !== build) {
    await new Promise<void>(resolve => systemClock.after(2, resolve))
  }
}

async function rebuilt({ streams }: Process, fold = FOLD): Promise<void> {
  await streams.rebuilds.start({ fold, maxDifferences: PEOPLE })
  const { error } = await streams.rebuilds.settled(fold)
  assert.equal(error, undefined, error?.message)
}

describe('a switch, where several processes share the log', () => {
  it('is followed by all of them, there and back, while events come', async () => {
    const processes = new Processes()
    const first = await processes.open(plays)
    await processes.send(20)
    await processes.settle(first)
    await first.streams.close()
    first.member.kill()
    const [one, two, three] = [
      await processes.open(doubled),
      await processes.open(doubled),
      await processes.open(doubled),
    ]
    await processes.settle(one, two, three)
    for (const process of [one, two, three]) assert.deepEqual(valuesOf(process), all(20))
    const sending = processes.send(5)
    await rebuilt(one)
    await sending
    // The others held it when it was decided.
    await Promise.all([serves(two, 1), serves(three, 1)])
    await processes.settle(one, two, three)
    for (const process of [one, two, three]) assert.deepEqual(valuesOf(process), all(50))
    await two.streams.rebuilds.back(FOLD)
    await Promise.all([serves(one, 0), serves(three, 0)])
    await processes.send(1)
    await processes.settle(one, two, three)
    for (const process of [one, two, three]) assert.deepEqual(valuesOf(process), all(26))
    // Who starts later serves the same, and a view that emits goes on without a word twice.
    await rebuilt(three, 'view.notes')
    await Promise.all([serves(one, 1, 'view.notes'), serves(two, 1, 'view.notes')])
    const late = await processes.open(doubled)
    await processes.send(2)
    const living = [one, two, three, late]
    await processes.settle(...living)
    for (const process of living) {
      assert.deepEqual(valuesOf(process), all(28))
      assert.deepEqual([buildOf(process), buildOf(process, 'view.notes')], [0, 1])
      for (const fold of [FOLD, 'view.notes']) {
        assert.deepEqual((await process.streams.rebuild({ fold })).different, [])
      }
    }
    const emitted = (await readAll(processes.log, 'person', PARTITIONS)).filter(({ type }) => type === 'noted') // prettier-ignore
    assert.equal(emitted.length, 28 * PEOPLE)
    assert.equal(new Set(emitted.map(record => record.id)).size, emitted.length)
    for (const { streams } of living) await streams.close()
  })

  it('is refused while one of them has not the version, and made once that one is gone', async () => {
    const processes = new Processes(fastClock)
    const old = await processes.open(plays)
    await processes.send(10)
    await processes.settle(old)
    await old.streams.snapshot()
    const next = await processes.open(doubled)
    await processes.settle(next)
    await next.streams.rebuilds.start({ fold: FOLD, maxDifferences: PEOPLE })
    const stopped = await next.streams.rebuilds.settled(FOLD)
    assert.deepEqual([stopped.error?.code, stopped.state], ['REBUILD_SHARED', 'ready'])
    assert.deepEqual([valuesOf(old), valuesOf(next)], [all(10), all(10)])
    await old.streams.close()
    await next.streams.rebuilds.switch({ fold: FOLD, maxDifferences: PEOPLE })
    assert.deepEqual(valuesOf(next), all(20))
    await next.streams.close()
  })

  it('is made by the process that makes the build; another one takes over when that is gone', async () => {
    const processes = new Processes()
    const [one, two] = [await processes.open(plays), await processes.open(plays)]
    await processes.send(10)
    await processes.settle(one, two)
    await one.streams.rebuilds.start({ fold: FOLD, isDryRun: true })
    await one.streams.rebuilds.settled(FOLD)
    for (const act of ['start', 'drop'] as const) {
      const asked = act === 'start' ? two.streams.rebuilds.start({ fold: FOLD }) : two.streams.rebuilds.drop(FOLD) // prettier-ignore
      await assert.rejects(asked, refused('REBUILD_ELSEWHERE'))
    }
    assert.equal(two.streams.rebuilds.status(FOLD).where, `http://${one.member.member}`)
    assert.equal(one.streams.rebuilds.status(FOLD).where, undefined)
    // The first one is taken for dead; it is held up alone.
    processes.shared.members.delete(one.member)
    await rebuilt(two)
    assert.equal(buildOf(two), 1)
    await assert.rejects(one.streams.rebuilds.switch({ fold: FOLD }), refused('REBUILD_NOT_READY'))
    // When it goes on it follows.
    await serves(one, 1)
    await processes.settle(one, two)
    assert.deepEqual([valuesOf(one), valuesOf(two)], [all(10), all(10)])
    await one.streams.close()
    await two.streams.close()
  })

  it('is decided once, whoever decides at the same time', async () => {
    const processes = new Processes()
    const [one, two] = [await processes.open(plays), await processes.open(plays)]
    await processes.send(10)
    await processes.settle(one, two)
    const ends = await Promise.all(
      [one, two].map(async ({ streams: { rebuilds } }) => {
        await rebuilds.start({ fold: FOLD })
        return (await rebuilds.settled(FOLD)).error?.code
      }),
    )
    assert.ok(ends.includes(undefined), ends.join())
    const [build] = [Math.max(buildOf(one), buildOf(two))]
    await Promise.all([serves(one, build), serves(two, build)])
    assert.deepEqual([valuesOf(one), valuesOf(two)], [all(10), all(10)])
    await one.streams.close()
    await two.streams.close()
  })
})
