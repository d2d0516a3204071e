/**
 * Several runtimes fold one log, and partitions go from one to another at random moments: handed
 * over, taken away while steps are on their way, or left behind by a process that was killed, while
 * events arrive and others are corrected. What was emitted is there once, and every runtime has the
 * views that a naive computation gives.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, silentLogger } from '@millrace/core'
import { openMemoryLog } from '@millrace/log/memory'
import { simulate, type SimWorld } from '@millrace/sim'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { openStreams } from './runtime.ts'
import type { Streams } from './streams.ts'
import { assertExact, assertRebuilds, compiled } from './testing/oracle.ts'
import { SharedLog, type LogMember } from './testing/shared-log.ts'
import { eventOf, settle } from './testing/stack.ts'
import { PARTITIONS } from './testing/world.ts'

const PROCESSES = 2
const MOVES = 40
const EVENTS = 400
const BATCH = 10
const ACTIONS = ['retract', 'retract', 'restore'] as const
/** How corrections end whose process is killed, or does not wait for the views. */
const ENDINGS = ['LOG_CLOSED', 'STREAMS_CLOSED', 'POSITION_NOT_REACHED']

interface Process {
  readonly member: LogMember
  readonly streams: Streams
}

async function open(
  shared: SharedLog,
  snapshots: ReturnType<typeof createMemorySnapshotStore>,
): Promise<Process> {
  // prettier-ignore
  const member = shared.enter()
  const streams = await openStreams({
    log: member.log,
    leases: member,
    snapshots,
    clock: shared.clock,
    logger: silentLogger,
    folds: compiled.folds,
    tables: compiled.tables,
    options: { batchRecords: 16, snapshotEveryRecords: 150 },
  })
  return { member, streams }
}

async function send(shared: SharedLog, world: SimWorld): Promise<void> {
  for (let first = 0; first < EVENTS; first += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => eventOf(first + index))
    await shared.log.commit({ events })
    await world.clock.sleep(world.random.between(0, 8))
  }
}

/** Of an event that is not there yet nothing becomes; whoever was killed answers nobody. */
async function correct(
  streams: Streams,
  event: number,
  action: 'retract' | 'restore',
): Promise<void> {
  const corrections = [{ id: eventOf(event).id, action }]
  try {
    await streams.corrections.apply(
      { corrections, reason: 'a test', by: 'nobody' },
      { timeoutMs: 1 },
    )
  } catch (error) {
    assert.ok(isError(error) && ENDINGS.includes(error.code), String(error))
  }
}

test('views and emissions are exact wherever the partitions are', async () => {
  await simulate({
    name: 'views and emissions are exact wherever the partitions are',
    file: import.meta.url,
    seeds: 3,
    environment: process.env,
    async scenario(world) {
      const { clock, random } = world
      const log = openMemoryLog({ clock })
      await log.declare([
        ...['person', 'clip'].map(name => ({ name, partitions: PARTITIONS })),
        ...compiled.streams,
      ])
      const delayMs = (): number => random.between(0, 6)
      const shared = new SharedLog({ log, clock, partitions: PARTITIONS, delayMs })
      const snapshots = createMemorySnapshotStore()
      const processes: Process[] = []
      for (let index = 0; index < PROCESSES; index++) processes.push(await open(shared, snapshots))
      const sending = send(shared, world)
      const correcting: Promise<unknown>[] = []
      for (let move = 0; move < MOVES; move++) {
        await clock.sleep(random.between(0, 15))
        const partition = random.integer(PARTITIONS)
        const { member } = random.pick(processes)
        const before = shared.leases[partition]?.holder
        const kind = random.integer(10)
        if (random.integer(4) === 0) {
          const { streams } = random.pick(processes)
          correcting.push(correct(streams, random.integer(EVENTS), random.pick(ACTIONS)))
        }
        if (kind < 4) {
          await shared.handOver(partition, member)
        } else if (kind < 9) {
          shared.give(partition, member)
          // The one before finds out later, by a refusal or by looking.
          clock.after(random.between(0, 20), () => before?.notice())
        } else {
          const at = random.integer(PROCESSES)
          processes[at]?.member.kill()
          processes[at] = await open(shared, snapshots)
        }
      }
      await sending
      await Promise.all(correcting)
      for (const { member } of processes) member.notice()
      for (const { streams } of processes) {
        await settle(log, streams)
        await assertExact(log, streams)
        await assertRebuilds(streams)
        for (const { name, state, error } of streams.status()) assert.equal(state, 'live', `${name}: ${error}`) // prettier-ignore
      }
      for (const { streams } of processes) await streams.close()
      const again = await open(shared, snapshots)
      await settle(log, again.streams)
      await assertExact(log, again.streams)
      await again.streams.close()
    },
  })
})
