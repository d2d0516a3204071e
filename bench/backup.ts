/**
 * What a backup under way costs ingest. Prints one JSON object.
 *
 *   node bench/backup.ts [--events 10000000] [--rounds 3] [--seconds 20] [--rate 32] [--restore]
 *                        [--directory <where>]
 *
 * A log of `events` records takes more, in batches of 1,000 with eight on their way, in turns of so
 * many seconds with nothing beside it and with a process beside it that backs all of it up to a new
 * place, as `millrace backup` does: `rate` MiB a second at most, 0 for as fast as it can. Which comes
 * first changes. Only the commits are timed, not the making of events. `costPercent` is the share of the
 * events per second that is missing while a backup runs, the middle of the rounds; `cpuCostPercent` the
 * same of the events per second of processor time of the main thread, which leaves out that other
 * processes take the core. Backups that last longer than the turn end with it, but the last one with
 * `--restore`: that is verified, restored to a position in the first half of the log, and the restored
 * log compared with the log by a hash of every record.
 */
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { partitionName, silentLogger, systemClock, systemRandom } from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { restoreBackup, verifyBackups } from '@millrace/log/backup'
import { openNodeDisk } from '@millrace/log/disk'
import { createSplitThread, openFileLog, type FileEventLog } from '@millrace/log/file'
import { openDirectoryStore } from '@millrace/log/objects/directory'
import type { BackupNews, BackupOrder } from './backup/take.ts'
import { STREAM, createEventSource, median } from './log/events.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '10000000' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '32' },
    restore: { type: 'boolean', default: false },
    directory: { type: 'string', default: tmpdir() },
  },
})

const PARTITIONS = 8
const BATCH = 1_000
const DEPTH = 8
/** Events made at a time, between the timed commits. */
const MADE = 20_000
const TURN_MS = Number(values.seconds) * 1000
const TAKE = fileURLToPath(new URL('backup/take.ts', import.meta.url))

const root = mkdtempSync(join(values.directory, 'millrace-bench-backup-'))
const make = createEventSource(1)
/** Where the last backup is. */
const LAST = join(root, 'place')

interface Rates {
  readonly perSecond: number
  readonly perCpuSecond: number
}

async function openLog(directory: string): Promise<FileEventLog> {
  return openFileLog({
    disk: openNodeDisk(directory),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    directory: 'log',
    splitWork: createSplitThread(directory),
  })
}

async function commitAll(log: EventLog, events: readonly NewEvent[]): Promise<void> {
  let next = 0
  const sender = async (): Promise<void> => {
    for (let from = next; from < events.length; from = next) {
      next += BATCH
      const { results } = await log.commit({ events: events.slice(from, from + BATCH) })
      if (results[0]?.status !== 'appended') throw new Error('an event was not appended')
    }
  }
  await Promise.all(Array.from({ length: DEPTH }, sender))
}

/** Appends until it is told to stop. */
async function ingest(log: EventLog, isOver: () => boolean): Promise<Rates> {
  let elapsedMs = 0
  let cpuMicros = 0
  let events = 0
  while (!isOver()) {
    const made = make(MADE)
    const cpu = process.threadCpuUsage()
    const startMs = systemClock.monotonicMs()
    await commitAll(log, made)
    elapsedMs += systemClock.monotonicMs() - startMs
    const used = process.threadCpuUsage(cpu)
    cpuMicros += used.user + used.system
    events += made.length
  }
  return { perSecond: (events * 1000) / elapsedMs, perCpuSecond: (events * 1e6) / cpuMicros }
}

interface Beside {
  readonly rates: Rates
  readonly backup: {
    readonly records: number
    readonly bytes: number
    /** Of them, while ingest was measured. */
    readonly readBytes: number
    readonly seconds: number
  }
}

/** Ingests while another process backs the log up to `place`; waits for its end when it is wanted whole. */
async function ingestBesideBackup(
  log: FileEventLog,
  { place, isWanted }: { readonly place: string; readonly isWanted: boolean },
): Promise<Beside> {
  const hold = log.hold()
  const { unit, ingestTimeMs, position, files } = hold
  const order: BackupOrder = {
    directory: root,
    place,
    bytesPerSecond: Number(values.rate) * 1024 * 1024,
    hold: { unit, ingestTimeMs, position: [...position], files },
  }
  const child = fork(TAKE)
  await once(child, 'message')
  let done = 0
  let isWhole = false
  let isOver = false
  child.on('message', (message: BackupNews) => {
    done = message.done
    isWhole = message.isWhole
  })
  // Behind the last message, whatever became of the process.
  const ended = once(child, 'disconnect').then(() => (isOver = true))
  const startMs = systemClock.monotonicMs()
  child.send(order)
  const rates = await ingest(log, () => isOver || systemClock.monotonicMs() >= startMs + TURN_MS)
  const backup = {
    records: [...position.values()].reduce((sum, end) => sum + end, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    readBytes: done,
    seconds: Math.round((systemClock.monotonicMs() - startMs) / 100) / 10,
  }
  if (isOver && !isWhole) throw new Error('the backup failed')
  if (!isWanted) child.kill()
  await ended
  await hold.release()
  return { rates, backup }
}

async function measure(log: FileEventLog): Promise<object> {
  const costs: number[] = []
  const cpuCosts: number[] = []
  const alone: number[] = []
  const beside: number[] = []
  const backups: object[] = []
  const quiet = (): Promise<Rates> => {
    const untilMs = systemClock.monotonicMs() + TURN_MS
    return ingest(log, () => systemClock.monotonicMs() >= untilMs)
  }
  const rounds = Number(values.rounds)
  for (let round = 0; round < rounds; round++) {
    const first = round % 2 === 1 ? await quiet() : undefined
    const isLast = round + 1 === rounds
    const place = isLast ? LAST : join(root, `place-${round}`)
    const { rates, backup } = await ingestBesideBackup(log, {
      place,
      isWanted: isLast && values.restore,
    })
    const without = first ?? (await quiet())
    costs.push(1 - rates.perSecond / without.perSecond)
    cpuCosts.push(1 - rates.perCpuSecond / without.perCpuSecond)
    alone.push(without.perSecond)
    beside.push(rates.perSecond)
    backups.push(backup)
    if (!isLast) rmSync(place, { recursive: true })
  }
  const percent = (share: number): number => Math.round(share * 1000) / 10
  return {
    eventsPerSecondAlone: Math.round(median(alone)),
    eventsPerSecondBeside: Math.round(median(beside)),
    costPercent: percent(median(costs)),
    costPercentByRound: costs.map(percent),
    cpuCostPercent: percent(median(cpuCosts)),
    backups,
  }
}

/** A hash of every record before some ends, in their order. */
async function hashOf(log: EventLog, ends: ReadonlyMap<string, number>): Promise<string> {
  const hash = createHash('sha256')
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const end = ends.get(partitionName(STREAM, partition)) ?? 0
    for (let from = 0; from < end;) {
      const recordsMax = Math.min(5_000, end - from)
      const records = await log.read({ stream: STREAM, partition, from, recordsMax })
      for (const { offset, id, key, ingestTimeMs, watermarkMs, payload } of records) {
        hash.update(`${partition} ${offset} ${id} ${key} ${ingestTimeMs} ${watermarkMs} `)
        hash.update(payload)
      }
      from += records.length
    }
  }
  return hash.digest('hex')
}

/** Verifies the last backup, and restores it to `position`. */
async function restore(log: EventLog, position: ReadonlyMap<string, number>): Promise<object> {
  const store = await openDirectoryStore(LAST)
  const startMs = systemClock.monotonicMs()
  const { faults, records } = await verifyBackups(store)
  const verifiedMs = systemClock.monotonicMs()
  const to = mkdtempSync(join(root, 'restored-'))
  const ports = { store, disk: openNodeDisk(to), clock: systemClock, random: systemRandom }
  const point = { kind: 'position', position } as const
  const restored = await restoreBackup({ ...ports, dataFormatMax: 2 }, { point })
  const restoredMs = systemClock.monotonicMs()
  const copy = await openLog(to)
  const isEqual = (await hashOf(copy, copy.ends())) === (await hashOf(log, restored.position))
  await copy.close()
  const seconds = (ms: number): number => Math.round(ms / 100) / 10
  return {
    faults: faults.length,
    recordsInBackup: records,
    verifySeconds: seconds(verifiedMs - startMs),
    restoreSeconds: seconds(restoredMs - verifiedMs),
    restoredRecords: [...restored.position.values()].reduce((sum, end) => sum + end, 0),
    isRestoredEqual: isEqual,
  }
}

try {
  const log = await openLog(root)
  await log.declare([{ name: STREAM, partitions: PARTITIONS }])
  const wanted = Number(values.events)
  let middle: ReadonlyMap<string, number> = new Map()
  for (let events = 0; events < wanted; events += MADE) {
    await commitAll(log, make(MADE))
    if (events < wanted / 2) middle = new Map(log.ends())
  }
  const measured = await measure(log)
  const restored = values.restore ? { restored: await restore(log, middle) } : {}
  await log.close()
  const figures = {
    events: wanted,
    rateMiBPerSecond: Number(values.rate),
    ...measured,
    ...restored,
  }
  console.log(JSON.stringify({ bench: 'backup', ...figures }, null, 2))
} finally {
  rmSync(root, { recursive: true, force: true })
}
