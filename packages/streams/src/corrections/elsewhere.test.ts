/** Corrections where another process corrects what a fold has emitted: it is waited for, and gone on with when it dies. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isError, partitionName, silentLogger, systemClock } from '@millrace/core'
import type { CommitRequest, EventLog, NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { openStreams } from '../runtime.ts'
import type { Streams } from '../streams.ts'
import { assertExact, assertRebuilds, compiled } from '../testing/oracle.ts'
import { SharedLog, type LogMember } from '../testing/shared-log.ts'
import { settle } from '../testing/stack.ts'
import { PARTITIONS, turn } from '../testing/world.ts'
import { CORRECTIONS_STREAM, type CorrectionData } from './contract.ts'

const facts = { reason: 'a test', by: 'nobody' }
const CORRECTIONS = partitionName(CORRECTIONS_STREAM, 0)
/** Long enough to be reached by whoever does not wait. */
const PATIENCE_MS = 300

interface Process {
  readonly member: LogMember
  readonly streams: Streams
}

/** Two processes over a log of some events, of which the first leads everything. */
async function openTwo(): Promise<{
  log: EventLog
  shared: SharedLog
  leader: Process
  other: Process
}> {
  const log = openMemoryLog({ clock: systemClock })
  const streams = ['person', 'clip'].map(name => ({ name, partitions: PARTITIONS }))
  await log.declare([...streams, ...compiled.streams])
  const shared = new SharedLog({ log, clock: systemClock, partitions: PARTITIONS, delayMs: () => 0 }) // prettier-ignore
  const open = async (): Promise<Process> => {
    const member = shared.enter()
    const ports = { log: member.log, leases: member, snapshots: createMemorySnapshotStore() }
    const { folds, tables } = compiled
    const options = { folds, tables, clock: systemClock, logger: silentLogger }
    return { member, streams: await openStreams({ ...ports, ...options }) }
  }
  const [leader, other] = [await open(), await open()]
  const events = Array.from({ length: 12 }, (_, number): NewEvent => {
    const data = { viewer: `p${number % 2}`, clip: `c${number % 5}`, friend: 'p3', ms: 1 }
    const id = `e${number}`
    return { stream: 'person', type: 'watched', key: data.viewer, id, eventTimeMs: number, data }
  })
  await log.commit({ events })
  for (const one of [leader, other]) await settle(log, one.streams)
  return { log, shared, leader, other }
}

/** Looks at each commit of what follows from corrections before it is made. */
function beforeFollowing(
  { member }: Process,
  look: (data: CorrectionData) => Promise<unknown>,
): void {
  const { commit } = member.log
  member.log.commit = async (request: CommitRequest) => {
    const following = request.events
      ?.filter(({ type }) => type === 'corrected')
      .map(({ data }) => data as CorrectionData)
      .find(({ by }) => by !== facts.by)
    if (following !== undefined) await look(following)
    return await commit(request)
  }
}

async function assertSame(log: EventLog, processes: readonly Process[]): Promise<void> {
  for (const { streams } of processes) {
    await settle(log, streams)
    await assertExact(log, streams)
    await assertRebuilds(streams)
    await streams.close()
  }
}

it('is not reflected before the process that leads has corrected what was emitted', async () => {
  const { log, leader, other } = await openTwo()
  const passing = Promise.withResolvers<undefined>()
  beforeFollowing(leader, () => passing.promise)
  const corrections = [{ id: 'e2', action: 'retract' as const }]
  const correcting = leader.streams.corrections.apply({ corrections, ...facts })
  const reached = (timeoutMs: number): Promise<void> =>
    other.streams.reached({ position: new Map([[CORRECTIONS, 1]]), folds: ['view.moves'], timeoutMs }) // prettier-ignore
  while ((log.ends().get(CORRECTIONS) ?? 0) === 0) await turn()
  await assert.rejects(reached(PATIENCE_MS), error => isError(error, 'POSITION_NOT_REACHED'))
  passing.resolve(undefined)
  await correcting
  await reached(60_000)
  await assertSame(log, [leader, other])
})

it('is done to the end by another process before what was corrected since, when the one that led dies in the middle', async () => {
  const { log, shared, leader, other } = await openTwo()
  const dead = Promise.withResolvers<undefined>()
  beforeFollowing(leader, async ({ begins }) => {
    if (begins !== undefined) return
    dead.resolve(undefined)
    // It never gets so far.
    await new Promise(() => undefined)
  })
  // What is emitted because of it has another key.
  const data = { viewer: 'p0', clip: 'c9', friend: 'p3', ms: 1 }
  const correct = { corrections: [{ id: 'e2', action: 'correct' as const, data }], ...facts }
  void leader.streams.corrections.apply(correct).catch(() => undefined)
  await dead.promise
  // The other one knows of both when it comes to lead.
  const restore = { corrections: [{ id: 'e2', action: 'restore' as const }], ...facts }
  const restoring = other.streams.corrections.apply(restore)
  while ((log.ends().get(CORRECTIONS) ?? 0) < 3) await turn()
  await assert.rejects(other.streams.reached({ position: new Map(log.ends()), timeoutMs: PATIENCE_MS })) // prettier-ignore
  leader.member.kill()
  for (let partition = 0; partition < PARTITIONS; partition++) shared.give(partition, other.member)
  await restoring
  await assertSame(log, [other])
})
