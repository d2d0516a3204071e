/** The leases of a log in PostgreSQL: who commits whose steps, and who cannot any more. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isError, silentLogger, systemClock, type Clock } from '@millrace/core'
import type { CommitRequest, Step } from '../log.ts'
import { event } from '../suite/harness.ts'
import { withPostgres, type TestDatabase } from '../testing/postgres.ts'
import { openPostgresLog, type Database, type PostgresLog } from './index.ts'

const STREAM = 'clicks'
const PARTITIONS = 4
const LEASE_MS = 2_000

/** A process: its log, and what a test does to it. */
interface Process {
  readonly log: PostgresLog
  readonly database: Database
  /** Stops its timers, as a paused process has none. */
  freeze(): void
  thaw(): void
  /** Keeps its commits back until `release`. */
  hold(): void
  release(): void
  /** Partitions that it may commit steps of. */
  owned(): number[]
}

withPostgres('leases', create => {
  async function open(context: TestDatabase): Promise<Process> {
    const database = context.open()
    const waiting: (() => void)[] = []
    let isFrozen = false
    let gate: Promise<void> | undefined
    let openGate: (() => void) | undefined
    const clock: Clock = {
      ...systemClock,
      after: (ms, run) =>
        systemClock.after(ms, () => {
          if (isFrozen) waiting.push(run)
          else run()
        }),
    }
    const log = await openPostgresLog({
      database,
      clock,
      logger: silentLogger,
      options: { leaseMs: LEASE_MS, pollMs: 50, beforeCommit: async () => gate },
    })
    await log.declare([{ name: STREAM, partitions: PARTITIONS }])
    return {
      log,
      database,
      freeze: () => void (isFrozen = true),
      thaw() {
        isFrozen = false
        for (const run of waiting.splice(0)) run()
      },
      hold: () => void (gate = new Promise(resolve => (openGate = resolve))),
      release() {
        gate = undefined
        openGate?.()
      },
      owned: () =>
        Array.from({ length: PARTITIONS }, (_, index) => index).filter(
          index => log.leases.tokenOf(index) !== undefined,
        ),
    }
  }

  /** Runs a test with some processes; those that it leaves open are closed. */
  async function withProcesses(
    count: number,
    run: (processes: readonly Process[], context: TestDatabase) => Promise<void>,
  ): Promise<void> {
    const context = await create()
    const processes: Process[] = []
    try {
      for (let index = 0; index < count; index++) processes.push(await open(context))
      await run(processes, context)
    } finally {
      for (const one of processes) {
        one.thaw()
        one.release()
        await one.log.close()
        await one.database.close()
      }
      await context.dispose()
    }
  }

  const stand = (one: Process, lineage = 'same'): Promise<void> =>
    one.log.leases.stand({ lineage, onRelease: async () => undefined })

  async function until(isSo: () => boolean, what: string): Promise<void> {
    for (let turn = 0; turn < 6_000; turn++) {
      if (isSo()) return
      await new Promise<void>(resolve => systemClock.after(10, resolve))
    }
    assert.fail(`${what} did not come about`)
  }

  /** A step over the first records of a partition, under the token that a process has now. */
  function step(one: Process, partition: number, from: number, to: number): CommitRequest {
    const token = one.log.leases.tokenOf(partition)
    const made: Step = {
      processor: 'totals',
      generation: 1,
      source: { stream: STREAM, partition },
      from,
      to,
      emitted: [event({ stream: STREAM, partition, isUnique: true })],
      ...(token === undefined ? {} : { token }),
    }
    return { step: made }
  }

  const lost = (error: unknown): boolean => isError(error, 'LEASE_LOST')
  const consumed = async (one: Process, partition: number): Promise<number | undefined> => {
    await one.log.leases.refresh()
    const source = { stream: STREAM, partition }
    return one.log.steps({ processor: 'totals', generation: 1, ...source })[0]?.consumed
  }

  it('are shared evenly, and given up one by one when another process joins', () =>
    withProcesses(3, async ([a, b, c]) => {
      const [first, second, third] = [a, b, c] as [Process, Process, Process]
      await stand(first)
      assert.deepEqual(first.owned(), [0, 1, 2, 3])
      const released: number[] = []
      await first.log.leases.stand({
        lineage: 'same',
        onRelease: async partition => {
          released.push(partition)
          assert.equal(first.log.leases.tokenOf(partition), undefined, 'it starts nothing new')
        },
      })
      await stand(second)
      await until(() => second.owned().length === 2, 'an even share')
      assert.deepEqual(released.sort(), second.owned())
      await stand(third)
      await until(() => third.owned().length === 1, 'a share of the third')
      first.log.leases.announce('http://first')
      await until(
        () => second.log.leases.list().some(({ address }) => address === 'http://first'),
        'the address of the first',
      )
      await third.log.leases.leave()
      await until(() => first.owned().length + second.owned().length === PARTITIONS, 'hand-over')
      assert.equal(first.log.stats().gauges['leases'], 2)
    }))

  it('a step that was on its way when its lease was given away is refused, and changes nothing', () =>
    withProcesses(2, async ([a, b]) => {
      const [first, second] = [a, b] as [Process, Process]
      await stand(first)
      const events = [0, 1, 2, 3].map(partition => event({ partition }))
      await first.log.commit({ events })
      first.hold()
      const late = [0, 1, 2, 3].map(partition => first.log.commit(step(first, partition, 0, 1)))
      const refused = late.map(commit => commit.then(() => false, lost))
      await stand(second)
      await until(() => second.owned().length === 2, 'an even share')
      const [theirs, alsoTheirs] = second.owned() as [number, number]
      await second.log.commit(step(second, theirs, 0, 1))
      first.release()
      const [kept] = first.owned() as [number]
      const isRefused = await Promise.all(refused)
      assert.deepEqual([theirs, alsoTheirs, kept].map(partition => isRefused[partition]), [true, true, false]) // prettier-ignore
      assert.equal(await consumed(first, theirs), 1)
      assert.equal(await consumed(first, alsoTheirs), undefined, 'nobody committed there')
      assert.equal(first.log.ends().get(`${STREAM}/${theirs}`), 2, 'one emission')
      assert.equal(first.log.ends().get(`${STREAM}/${alsoTheirs}`), 1, 'none')
    }))

  it('a process that was frozen for longer than a lease commits no step late, and enters again', () =>
    withProcesses(2, async ([a, b]) => {
      const [frozen, other] = [a, b] as [Process, Process]
      await stand(frozen)
      await stand(other)
      await until(() => other.owned().length === 2, 'an even share')
      await frozen.log.commit({ events: [0, 1, 2, 3].map(partition => event({ partition })) })
      const [partition] = frozen.owned() as [number]
      frozen.freeze()
      frozen.hold()
      const late = frozen.log.commit(step(frozen, partition, 0, 1)).then(() => false, lost)
      const sent = frozen.log.commit({ events: [event({ id: 'late', partition })] })
      await until(() => other.owned().length === PARTITIONS, 'the take-over')
      await other.log.commit(step(other, partition, 0, 1))
      frozen.release()
      assert.equal(await late, true)
      // It had not begun: the event is taken, once, under the new name.
      assert.equal((await sent).results[0]?.status, 'appended')
      frozen.thaw()
      await until(() => frozen.owned().length === 2, 'its share again')
      assert.equal(await consumed(other, partition), 1)
      assert.ok((frozen.log.stats().counters['leasesLost'] ?? 0) >= 2)
      await assert.rejects(frozen.log.commit({ step: { ...step(frozen, partition, 1, 1).step, token: 1 } as Step }), lost) // prettier-ignore
    }))

  it('whoever stands commits no step without a lease', () =>
    withProcesses(1, async ([a]) => {
      const one = a as Process
      await stand(one)
      await one.log.commit({ events: [event({ partition: 0 })] })
      const { token: _, ...bare } = step(one, 0, 0, 1).step as Step
      await assert.rejects(one.log.commit({ step: bare }), lost)
    }))

  it('an outcome that nobody knows any more is told so, and sending again settles it', () =>
    withProcesses(1, async ([a], { database }) => {
      const { log } = a as Process
      const sent = event({ id: 'unknown', partition: 0 })
      let commit: Promise<unknown> | undefined
      await database.transaction(async query => {
        // The commit waits for the row of its process while its session is ended, and again then.
        await query('SELECT 1 FROM $schema.members FOR UPDATE')
        commit = log.commit({ events: [sent] }).catch((error: unknown) => error)
        const blocked = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%' || $1 || '.append(%'`
        for (;;) {
          const ended = await database.query(blocked, [database.schema])
          if (ended.length > 0) break
          await new Promise<void>(resolve => systemClock.after(10, resolve))
        }
        await query('DELETE FROM $schema.members')
      })
      assert.ok(isError(await commit, 'COMMIT_UNKNOWN'))
      const [again] = (await log.commit({ events: [sent] })).results
      assert.equal(again?.status, 'appended')
    }))

  it('of another lineage go to the process that joined last', () =>
    withProcesses(2, async ([a, b]) => {
      const [old, fresh] = [a, b] as [Process, Process]
      await stand(old, 'v1')
      await stand(fresh, 'v2')
      await until(() => fresh.owned().length === PARTITIONS, 'the take-over')
      assert.deepEqual(old.owned(), [])
    }))
})
