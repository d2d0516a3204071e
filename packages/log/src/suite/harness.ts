/** What the contract suite needs from an implementation, and short ways to write its tests. */
import assert from 'node:assert/strict'
import { systemClock } from '@millrace/core'
import type { Clock } from '@millrace/core'
import type { EventLog, HistoryRequest, LogRecord, NewEvent } from '../log.ts'

/** What the suite gives to the implementation under test. */
export interface LogConditions {
  /** Time that stands still until the suite moves it. */
  readonly clock: Clock
  /** Await before each sync of the journal, or what stands for it; a rejection is a failing sync. */
  readonly beforeSync: () => Promise<void>
  /** The queue limit of the log under test. */
  readonly queueBytesMax: number
}

/** A log under test. */
export interface LogUnderTest {
  /** Opens the log, again after a close, on the same data. */
  open(): Promise<EventLog>
  /** Removes what the test left behind. */
  dispose(): Promise<void>
}

/** Makes an empty log under test. */
export type LogFactory = (conditions: LogConditions) => Promise<LogUnderTest>

export const START_MS = 1_750_000_000_000
export const STREAM = 'clicks'
export const PARTITIONS = 5

/** A log, its clock and its gate, for the length of one test. */
export interface Bench {
  log: EventLog
  nowMs: number
  /** Keeps everything from becoming durable until `release`. */
  hold(): void
  release(): void
  /** Makes the next sync fail, and all after it. */
  failSyncs(): void
  /** Closes and opens again. */
  reopen(): Promise<void>
}

/** Runs one test on an empty log with the usual stream declared. */
export async function withLog(
  factory: LogFactory,
  test: (bench: Bench) => Promise<void>,
  options: { queueBytesMax?: number } = {},
): Promise<void> {
  let gate: Promise<void> | undefined
  let openGate: (() => void) | undefined
  let isFailing = false
  const clock: Clock = { ...systemClock, nowMs: () => bench.nowMs }
  const subject = await factory({
    clock,
    queueBytesMax: options.queueBytesMax ?? 64 * 1024 * 1024,
    beforeSync: async () => {
      await gate
      if (isFailing) throw new Error('the medium failed')
    },
  })
  const bench: Bench = {
    log: undefined as unknown as EventLog,
    nowMs: START_MS,
    hold() {
      gate = new Promise(resolve => (openGate = resolve))
    },
    release() {
      gate = undefined
      openGate?.()
    },
    failSyncs() {
      isFailing = true
    },
    async reopen() {
      await bench.log.close()
      bench.log = await subject.open()
    },
  }
  bench.log = await subject.open()
  try {
    await bench.log.declare([{ name: STREAM, partitions: PARTITIONS }])
    await test(bench)
  } finally {
    bench.release()
    await bench.log.close()
    await subject.dispose()
  }
}

let lastId = 0

/** An event with whatever the test does not care about filled in. */
export function event(fields: Partial<NewEvent> = {}): NewEvent {
  lastId += 1
  return {
    stream: STREAM,
    type: 'clicked',
    key: 'k1',
    id: `e${lastId}`,
    eventTimeMs: START_MS,
    data: { n: lastId },
    ...fields,
  }
}

/** The fields of a record that say what was stored. */
export function plain(record: LogRecord): Record<string, unknown> {
  return {
    tenant: record.tenant,
    stream: record.stream,
    partition: record.partition,
    offset: record.offset,
    type: record.type,
    key: record.key,
    keys: [...record.keys],
    id: record.id,
    eventTimeMs: record.eventTimeMs,
    ingestTimeMs: record.ingestTimeMs,
    watermarkMs: record.watermarkMs,
    definition: record.definition,
    generation: record.generation,
    isHistory: record.isHistory,
    isUnique: record.isUnique,
    headers: { ...record.headers },
    sealed:
      record.sealed === undefined
        ? undefined
        : { person: record.sealed.person, bytes: Buffer.from(record.sealed.bytes).toString('hex') },
    data: record.data,
    payload: JSON.parse(Buffer.from(record.payload).toString('utf8')) as unknown,
  }
}

/** Every record of a partition, in batches of `recordsMax`. */
export async function readAll(
  log: EventLog,
  partition: number,
  options: { stream?: string; from?: number; recordsMax?: number } = {},
): Promise<Record<string, unknown>[]> {
  const { stream = STREAM, recordsMax = 1_000 } = options
  const found: Record<string, unknown>[] = []
  for (let from = options.from ?? 0; ;) {
    const batch = await log.read({ stream, partition, from, recordsMax })
    assert.ok(batch.length <= recordsMax)
    if (batch.length === 0) return found
    for (const record of batch) {
      assert.equal(record.offset, from)
      found.push(plain(record))
      from += 1
    }
  }
}

/** The whole history of some keys. */
export async function historyOf(
  log: EventLog,
  keys: readonly string[],
  options: Partial<Omit<HistoryRequest, 'keys'>> = {},
): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = []
  for await (const record of log.history({ stream: STREAM, keys, ...options })) {
    found.push(plain(record))
  }
  return found
}

/** Lets everything that waits for nothing but its turn run. */
export function turns(): Promise<void> {
  return new Promise(resolve => systemClock.soon(() => systemClock.soon(resolve)))
}

/** Whether a promise is settled yet. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const mark = {}
  await turns()
  return (await Promise.race([promise, Promise.resolve(mark)])) === mark
}
