/**
 * The lives of a real log on a simulated disk that loses power, tears and reorders writes, fails syncs
 * and runs full. After every restart all that was acknowledged must be there, once and in place.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, silentLogger } from '@millrace/core'
import type { Disk, DiskFile } from '@millrace/core'
import { simulate } from '@millrace/sim'
import type { SimProcess, SimWorld } from '@millrace/sim'
import type { AppendResult, EventLog, LogRecord, NewEvent } from '../log.ts'
import { openFileLog } from '../file/index.ts'

const STREAM = 'clicks'
const TARGET = 'totals'
const PARTITIONS = 4
const LIVES = 4
const CLIENTS = 4
const OPTIONS = {
  firstSegmentBytes: 2_048,
  segmentBytes: 4_096,
  preallocateChunkBytes: 2_048,
  tailBytesMax: 2_000,
  readBytes: 1_500,
  blockBytes: 700,
  mergeFiles: 3,
  openFilesMax: 4,
  blockCacheMax: 2,
  idMemoryBytesMax: 4 * 1024 * 1024,
  idsPerCheckpoint: 5,
}

/** What the clients know across lives. */
interface Ledger {
  /** Every event that was ever sent. */
  readonly sent: Map<string, NewEvent>
  /** Where acknowledged events are. */
  readonly placed: Map<string, { partition: number; offset: number }>
  /** Ids of one commit: all or none of them. */
  readonly units: string[][]
  /** Ids that were sent again before they were acknowledged: they may have come with another unit. */
  readonly sentAgain: Set<string>
  /** Consumed offset of the last acknowledged step, by source partition. */
  readonly consumed: Map<number, number>
  nextId: number
  /** What went wrong in a client, which nobody waits for. */
  readonly faults: unknown[]
}

/** Under which a log lives. */
interface Conditions {
  /** What goes wrong in a life, besides its end. */
  readonly trouble: (world: SimWorld) => void
  /** A fault of the log, planted to see that it is found. */
  readonly plant?: (disk: Disk) => Disk
  /** Whether the power goes with the process. */
  readonly losesPower: boolean
}

/** Some lives of one log, with clients that send, and all that must hold after each. */
export async function lives(world: SimWorld, conditions: Conditions): Promise<void> {
  const ledger: Ledger = {
    sent: new Map(),
    placed: new Map(),
    units: [],
    sentAgain: new Set(),
    consumed: new Map(),
    nextId: 0,
    faults: [],
  }
  for (let life = 0; life < LIVES; life++) {
    const machine = world.startProcess()
    const log = await open(machine, conditions)
    await check(log, ledger, world)
    conditions.trouble(world)
    const fault = (error: unknown): void => void ledger.faults.push(error)
    for (let client = 0; client < CLIENTS; client++) {
      runClient(log, machine, ledger, world).catch(fault)
    }
    runProcessor(log, machine, ledger).catch(fault)
    await world.clock.sleep(world.random.between(5, 150))
    const isClosed = world.random.next() < 0.2
    if (isClosed) await Promise.race([log.close(), world.clock.sleep(500)])
    machine.kill()
    if (conditions.losesPower) world.disk.crash()
    world.disk.repair()
    if (ledger.faults.length > 0) throw ledger.faults[0]
    world.trace('life', life, ledger.placed.size, isClosed)
  }
  const machine = world.startProcess()
  const log = await open(machine, conditions)
  await check(log, ledger, world)
  const last = await log.commit({ events: [newEvent(ledger, world)] })
  assert.equal(last.results[0]?.status, 'appended', 'the log goes on after all')
}

async function open(machine: SimProcess, conditions: Conditions): Promise<EventLog> {
  const { clock, random } = machine
  const disk = conditions.plant?.(machine.disk) ?? machine.disk
  const log = await openFileLog({
    disk,
    clock,
    random,
    logger: silentLogger,
    directory: 'log',
    options: OPTIONS,
  })
  await log.declare([
    { name: STREAM, partitions: PARTITIONS },
    { name: TARGET, partitions: 2 },
  ])
  return log
}

function newEvent(ledger: Ledger, world: SimWorld): NewEvent {
  const number = ledger.nextId++
  const event: NewEvent = {
    stream: STREAM,
    type: 'clicked',
    key: `k${world.random.integer(12)}`,
    id: `e${number}`,
    eventTimeMs: number,
    data: { number, text: 'x'.repeat(world.random.integer(200)) },
  }
  ledger.sent.set(event.id, event)
  return event
}

async function runClient(
  log: EventLog,
  machine: SimProcess,
  ledger: Ledger,
  world: SimWorld,
): Promise<void> {
  while (machine.isAlive) {
    const { random } = machine
    const events = Array.from({ length: 1 + random.integer(4) }, () => newEvent(ledger, world))
    const known = [...ledger.sent.values()]
    ledger.units.push(events.map(event => event.id))
    if (random.next() < 0.3) {
      const again = known[random.integer(known.length)] as NewEvent
      events.push(again)
      if (!ledger.placed.has(again.id)) ledger.sentAgain.add(again.id)
    }
    try {
      const { results } = await log.commit({ events })
      results.forEach((result, index) => note(ledger, events[index] as NewEvent, result))
    } catch (error) {
      assert.ok(isError(error, 'LOG_READ_ONLY') || isError(error, 'LOG_CLOSED'), String(error))
      return
    }
    await new Promise<void>(resolve => machine.clock.after(random.between(0, 4), resolve))
  }
}

function note(ledger: Ledger, event: NewEvent, result: AppendResult): void {
  if (result.status === 'conflict') {
    // The stored record could not be read to compare: the event is refused, not judged.
    assert.match(result.code, /^DISK_/, result.reason)
    return
  }
  const before = ledger.placed.get(event.id)
  const { partition, offset } = result
  if (before === undefined) ledger.placed.set(event.id, { partition, offset })
  else assert.deepEqual({ partition, offset }, before, `${event.id} has one place`)
  if (before !== undefined) assert.equal(result.status, 'duplicate', `${event.id} was acknowledged`)
}

/** Emits one record for each that it consumes. */
async function runProcessor(log: EventLog, machine: SimProcess, ledger: Ledger): Promise<void> {
  const partition = 0
  const query = { processor: 'p', generation: 1, stream: STREAM, partition }
  let from = log.steps(query)[0]?.consumed ?? 0
  while (machine.isAlive) {
    const records = await log
      .read({ stream: STREAM, partition, from, recordsMax: 5 })
      .catch(() => [])
    const to = from + records.length
    const emitted = records.map(record => ({
      stream: TARGET,
      type: 'counted',
      key: record.key,
      id: `t-${record.offset}`,
      eventTimeMs: record.eventTimeMs,
      data: record.offset,
    }))
    try {
      const source = { stream: STREAM, partition }
      if (records.length > 0) {
        await log.commit({ step: { processor: 'p', generation: 1, source, from, to, emitted } })
        ledger.consumed.set(partition, to)
      }
    } catch (error) {
      assert.ok(isError(error, 'LOG_READ_ONLY') || isError(error, 'LOG_CLOSED'), String(error))
      return
    }
    from = to
    await new Promise<void>(resolve => machine.clock.after(3, resolve))
  }
}

async function readStream(log: EventLog, stream: string, partitions: number): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (let from = 0; ;) {
      const records = await log.read({ stream, partition, from, recordsMax: 17 })
      if (records.length === 0) break
      for (const record of records) assert.equal(record.offset, from++)
      found.push(...records)
    }
  }
  return found
}

/** Everything acknowledged is there once and in place, nothing is there that was not sent. */
async function check(log: EventLog, ledger: Ledger, world: SimWorld): Promise<void> {
  const records = await readStream(log, STREAM, PARTITIONS)
  const byId = new Map(records.map(record => [record.id, record]))
  assert.equal(byId.size, records.length, 'nothing is there twice')
  for (const record of records) {
    assert.deepEqual(record.data, ledger.sent.get(record.id)?.data, `${record.id} was sent`)
  }
  for (const [id, { partition, offset }] of ledger.placed) {
    const record = byId.get(id)
    assert.deepEqual([record?.partition, record?.offset], [partition, offset], `${id} is in place`)
  }
  for (const unit of ledger.units) {
    const fresh = unit.filter(id => !ledger.sentAgain.has(id))
    const there = fresh.filter(id => byId.has(id))
    assert.ok(
      there.length === 0 || there.length === fresh.length,
      `a part of ${unit.join()} is there`,
    )
  }
  const [step] = log.steps({ processor: 'p', generation: 1, stream: STREAM, partition: 0 })
  const consumed = step?.consumed ?? 0
  assert.ok(consumed >= (ledger.consumed.get(0) ?? 0), 'an acknowledged step is there')
  const emitted = await readStream(log, TARGET, 2)
  assert.deepEqual(
    emitted.map(record => record.data as number).toSorted((a, b) => a - b),
    Array.from({ length: consumed }, (_, offset) => offset),
    'each record was folded once',
  )
  await checkIndexes(log, ledger, world, records)
}

/** Ids and keys are found: a sample, because each is a read. */
async function checkIndexes(
  log: EventLog,
  ledger: Ledger,
  world: SimWorld,
  records: readonly LogRecord[],
): Promise<void> {
  const again = records.filter(() => world.random.next() < 0.1)
  const events = again.map(record => ledger.sent.get(record.id) as NewEvent)
  const { results } = await log.commit({ events })
  again.forEach(({ partition, offset }, index) => {
    assert.deepEqual(results[index], { status: 'duplicate', partition, offset })
  })
  const key = `k${world.random.integer(12)}`
  const history: number[] = []
  for await (const record of log.history({ stream: STREAM, keys: [key] }))
    history.push(record.offset)
  assert.deepEqual(
    history,
    records.filter(record => record.key === key).map(record => record.offset),
  )
}

/** Wraps the files of the journal. */
export function overJournal(disk: Disk, change: (file: DiskFile) => Partial<DiskFile>): Disk {
  const open: Disk['open'] = async (path, mode) => {
    const file = await disk.open(path, mode)
    if (!path.includes('.jnl')) return file
    return {
      read: (...args) => file.read(...args),
      write: (...args) => file.write(...args),
      sync: () => file.sync(),
      truncate: size => file.truncate(size),
      size: () => file.size(),
      close: () => file.close(),
      ...change(file),
    }
  }
  const rest: Omit<Disk, 'open'> = {
    list: path => disk.list(path),
    makeDirectory: path => disk.makeDirectory(path),
    rename: (from, to) => disk.rename(from, to),
    remove: path => disk.remove(path),
    syncDirectory: path => disk.syncDirectory(path),
    sizeOf: path => disk.sizeOf(path),
    freeBytes: () => disk.freeBytes(),
  }
  return { ...rest, open }
}

/** Registers the test of many seeds of a scenario of the file `file`. */
export function scenario(
  file: string,
  { name, seeds }: { readonly name: string; readonly seeds: number },
  conditions: Conditions,
): void {
  test(name, async () => {
    await simulate({
      name,
      file,
      environment: process.env,
      seeds,
      scenario: world => lives(world, conditions),
    })
  })
}

/** Nothing goes wrong but the end of a life. */
export const noTrouble = (): void => undefined
