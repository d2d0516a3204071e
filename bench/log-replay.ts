/**
 * Reading the embedded log from disk, and folding it: `records` and `recordsWithData` are counted by
 * a plain loop, `folded` by the streams runtime with one fold that counts the records of each key,
 * until it is current. Prints one JSON object.
 *
 *   node bench/log-replay.ts [--events 1000000] [--rounds 5] [--directory <where>]
 *
 * The log is opened anew before each round, so that nothing is in its memory; the files are in the
 * page cache of the system. `openMs` is the time until a log of this size is ready. `perCpuSecond`
 * counts the processor time of the reading thread only, which other processes do not slow down.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { silentLogger, systemClock, systemRandom } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { createSplitThread, openFileLog } from '@millrace/log/file'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { openStreams } from '@millrace/streams'
import { countingFold } from './log/counting.ts'
import { STREAM, createEventSource, median } from './log/events.ts'

const PARTITIONS = 8
const BATCH = 1_000
const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '5' },
    directory: { type: 'string', default: tmpdir() },
  },
})
const events = Number(values.events)
const root = mkdtempSync(join(values.directory, 'millrace-bench-replay-'))

function open(): Promise<EventLog> {
  return openFileLog({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    directory: 'log',
    splitWork: createSplitThread(root),
  })
}

async function fill(): Promise<number> {
  const log = await open()
  await log.declare([{ name: STREAM, partitions: PARTITIONS }])
  const make = createEventSource(1)
  let elapsedMs = 0
  for (let sent = 0; sent < events; sent += 8 * BATCH) {
    const batches = Array.from({ length: 8 }, () => make(BATCH))
    const started = systemClock.monotonicMs()
    await Promise.all(batches.map(batch => log.commit({ events: batch })))
    elapsedMs += systemClock.monotonicMs() - started
  }
  await log.close()
  return elapsedMs
}

interface Rate {
  readonly perSecond: number
  readonly perCpuSecond: number
}

/** Counts the records of each key; `touch` says what is read of a record. */
async function replay(log: EventLog, touch: 'key' | 'data'): Promise<Rate> {
  const counts = new Map<string, number>()
  let total = 0
  const started = systemClock.monotonicMs()
  const cpuBefore = process.threadCpuUsage()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    for (let from = 0; ;) {
      const records = await log.read({ stream: STREAM, partition, from, recordsMax: 4_000 })
      if (records.length === 0) break
      for (const record of records) {
        const key = touch === 'key' ? record.key : (record.data as { clip: string }).clip
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      from += records.length
      total += records.length
    }
  }
  const cpu = process.threadCpuUsage(cpuBefore)
  return {
    perSecond: (1_000 * total) / (systemClock.monotonicMs() - started),
    perCpuSecond: (1_000_000 * total) / (cpu.user + cpu.system),
  }
}

const counting = countingFold(STREAM)

/** From the opening of the runtime, without a snapshot, until the fold has counted every record. */
async function fold(log: EventLog): Promise<Rate> {
  const started = systemClock.monotonicMs()
  const cpuBefore = process.threadCpuUsage()
  const streams = await openStreams({
    log,
    snapshots: createMemorySnapshotStore(),
    clock: systemClock,
    logger: silentLogger,
    folds: [counting],
    options: { snapshotEveryRecords: Infinity, snapshotEveryMs: 1e9 },
  })
  await streams.reached({ position: new Map(log.ends()), timeoutMs: 600_000 })
  const elapsedMs = systemClock.monotonicMs() - started
  const cpu = process.threadCpuUsage(cpuBefore)
  await streams.close()
  return {
    perSecond: (1_000 * events) / elapsedMs,
    perCpuSecond: (1_000_000 * events) / (cpu.user + cpu.system),
  }
}

function medians(rates: readonly Rate[]): Rate {
  return {
    perSecond: Math.round(median(rates.map(rate => rate.perSecond))),
    perCpuSecond: Math.round(median(rates.map(rate => rate.perCpuSecond))),
  }
}

try {
  const fillMs = await fill()
  const openMs: number[] = []
  const keyRates: Rate[] = []
  const dataRates: Rate[] = []
  const foldRates: Rate[] = []
  let stats: Readonly<Record<string, number>> = {}
  for (let round = 0; round < Number(values.rounds); round++) {
    const started = systemClock.monotonicMs()
    const log = await open()
    openMs.push(systemClock.monotonicMs() - started)
    // What was closed while filling is split first: a replay of long history reads split files.
    while (round === 0 && (log.stats().gauges['journalSegments'] ?? 1) > 1) {
      await new Promise<void>(resolve => systemClock.soon(resolve))
    }
    keyRates.push(await replay(log, 'key'))
    dataRates.push(await replay(log, 'data'))
    foldRates.push(await fold(log))
    stats = { ...log.stats().counters, ...log.stats().gauges, bytes: log.stats().bytes }
    await log.close()
  }
  console.log(
    JSON.stringify(
      {
        bench: 'log-replay',
        events,
        fillEventsPerSecond: Math.round((1_000 * events) / fillMs),
        records: medians(keyRates),
        recordsWithData: medians(dataRates),
        folded: medians(foldRates),
        openMs: Math.round(median(openMs)),
        diskBytesPerEvent: Math.round((stats['bytes'] ?? 0) / events),
        journalSegments: stats['journalSegments'],
        rssMiB: Math.round(process.memoryUsage().rss / 1024 / 1024),
      },
      null,
      2,
    ),
  )
} finally {
  rmSync(root, { recursive: true })
}
