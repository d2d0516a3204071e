/** A log with a history that tests know, and what it takes to back it up and restore it. */
import assert from 'node:assert/strict'
import { createSeededRandom, silentLogger, type Clock, type Disk, type Timer } from '@millrace/core'
import { openNodeDisk } from '../../disk/index.ts'
import { openFileLog, type FileEventLog } from '../../file/index.ts'
import type { EventLog, NewEvent } from '../../log.ts'
import { readAll } from '../../suite/harness.ts'
import type { ObjectStore } from '../../objects/objects.ts'
import { takeBackup, type BackupResult } from '../take.ts'

/** Small enough that a few hundred events are split and merged. */
export const TINY = {
  firstSegmentBytes: 8_192,
  segmentBytes: 8_192,
  blockBytes: 1_024,
  mergeFiles: 3,
  idMemoryBytesMax: 4 * 1024 * 1024,
}
const STREAM = 'clicks'
const TARGET = 'clip.from-clicks'
const KEYS = 7

/** A moment of the log, after one of its commits. */
export interface Moment {
  readonly ends: ReadonlyMap<string, number>
  readonly timeMs: number
  /** How far the processor was, by source partition. */
  readonly steps: readonly number[]
}

/** A disk whose syncs are left out: nothing here loses its power. */
export function openQuickDisk(root: string): Disk {
  const disk = openNodeDisk(root)
  return {
    ...disk,
    syncDirectory: async () => undefined,
    async open(path, mode) {
      const file = await disk.open(path, mode)
      return {
        read: (...args) => file.read(...args),
        write: (...args) => file.write(...args),
        sync: async () => undefined,
        truncate: size => file.truncate(size),
        size: () => file.size(),
        close: () => file.close(),
      }
    },
  }
}

/** The partitions of a position that have records. */
export function withRecords(position: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...position].filter(([, end]) => end > 0))
}

/** A clock that goes on by hand; timers run on the loop, at once. */
export function handClock(
  startMs = 1_700_000_000_000,
): Clock & { nowMs: () => number; pass(ms: number): void } {
  let nowMs = startMs
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    pass(ms) {
      nowMs += ms
    },
    after(_, task): Timer {
      const timer = setImmediate(task)
      return { cancel: () => clearImmediate(timer) }
    },
    soon: task => void setImmediate(task),
  }
}

/** The options with which tests open a log. */
export function openHistory(disk: Disk, clock: Clock, directory = 'log'): Promise<FileEventLog> {
  return openFileLog({
    disk,
    clock: { ...clock, after: () => ({ cancel: () => undefined }) },
    random: createSeededRandom(5),
    logger: silentLogger,
    directory,
    options: TINY,
  })
}

/** Commits events and steps; gives the moment behind each commit. */
export async function grow(
  log: FileEventLog,
  clock: ReturnType<typeof handClock>,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Moment[]> {
  await log.declare([
    { name: STREAM, partitions: 3 },
    { name: TARGET, partitions: 2, latenessMs: 5 },
  ])
  const moments: Moment[] = []
  const note = (): void => {
    const steps = [0, 1, 2].map(partition => stepOf(log, partition))
    moments.push({ ends: new Map(log.ends()), timeMs: clock.nowMs(), steps })
  }
  for (let number = from; number < to; number++) {
    // Some commits share a millisecond: a position tells them apart, a time does not.
    if (number % 3 > 0) clock.pass(1)
    const events = Array.from({ length: 1 + (number % 3) }, (_, index) => eventOf(number, index))
    await log.commit({ events })
    note()
    if (number % 4 !== 3) continue
    clock.pass(1)
    const partition = number % 3
    const first = stepOf(log, partition)
    const end = log.ends().get(`${STREAM}/${partition}`) ?? 0
    const emitted = Array.from({ length: end - first }, (_, index): NewEvent => ({
      stream: TARGET,
      type: 'seen',
      key: `clip-${index % 3}`,
      keys: [`clip-${index % 3}`, `clip-${(index + 1) % 3}`],
      id: `e-${partition}-${first + index}`,
      eventTimeMs: number,
      generation: 1,
      isUnique: true,
      data: { from: first + index },
    }))
    const parked =
      number % 8 === 3 ? [{ key: `k${partition}`, offset: first, error: 'x', attempts: 1 }] : []
    await log.commit({
      step: {
        processor: 'seen',
        generation: 1,
        source: { stream: STREAM, partition },
        from: first,
        to: end,
        emitted,
        parked,
      },
    })
    note()
  }
  return moments
}

/** An event of the history. */
export function eventOf(number: number, index: number): NewEvent {
  return {
    stream: STREAM,
    type: index === 0 ? 'clicked' : 'looked',
    key: `k${(number + index) % KEYS}`,
    id: `${number}-${index}`,
    eventTimeMs: number * 10,
    definition: number % 50 === 0 ? 'v2' : 'v1',
    headers: { number: String(number) },
    data: { number, text: 'x'.repeat(number % 40) },
  }
}

function stepOf(log: EventLog, partition: number): number {
  return (
    log.steps({ processor: 'seen', generation: 1, stream: STREAM, partition })[0]?.consumed ?? 0
  )
}

/** Waits until the journal is down to one segment. */
export async function settled(log: FileEventLog): Promise<void> {
  while ((log.stats().gauges['journalSegments'] as number) > 1) {
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}

/** Everything that a reader of the log sees, for comparisons. */
export async function contentOf(log: EventLog): Promise<readonly unknown[]> {
  const found: unknown[] = []
  for (const [stream, partitions] of [
    [STREAM, 3],
    [TARGET, 2],
  ] as const) {
    for (let partition = 0; partition < partitions; partition++) {
      found.push(await readAll(log, partition, { stream }))
    }
  }
  return found
}

/** Takes a backup of a log that is open. */
export async function backUp(
  { store, disk, clock, log }: { store: ObjectStore; disk: Disk; clock: Clock; log: FileEventLog },
  more: Partial<Parameters<typeof takeBackup>[0]> = {},
): Promise<BackupResult> {
  const hold = log.hold()
  try {
    return await takeBackup({
      store,
      disk,
      clock,
      random: createSeededRandom(9),
      hold,
      beside: ['millrace.json'],
      identity: { app: 'clips', origin: 'here', term: 0, dataFormat: 2 },
      ...more,
    })
  } finally {
    await hold.release()
  }
}

/** A restored log is what the first one was at a moment, and goes on as it would have. */
export async function assertAt(
  disk: Disk,
  clock: Clock,
  moment: Moment,
  first: EventLog,
): Promise<void> {
  const log = await openHistory(disk, clock)
  try {
    assert.deepEqual(withRecords(log.ends()), withRecords(moment.ends))
    assert.deepEqual(
      [0, 1, 2].map(partition => stepOf(log, partition)),
      moment.steps,
    )
    const restored = await contentOf(log)
    const whole = await contentOf(first)
    whole.forEach((records, index) => {
      const here = restored[index] as unknown[]
      assert.deepEqual(here, (records as unknown[]).slice(0, here.length))
    })
    const watermarks = log
      .stats()
      .streams.flatMap(({ partitions }) => partitions.map(({ watermarkMs }) => watermarkMs))
    assert.equal(watermarks.length, [...log.ends()].length)
    for (const key of ['k1', 'k4']) {
      const history = []
      for await (const { offset } of log.history({ stream: STREAM, keys: [key] }))
        history.push(offset)
      const expected = restored
        .slice(0, 3)
        .flatMap(each =>
          (each as { key: string; offset: number }[])
            .filter(record => record.key === key)
            .map(({ offset }) => offset),
        )
      assert.deepEqual(history, expected)
    }
  } finally {
    await log.close()
  }
}
