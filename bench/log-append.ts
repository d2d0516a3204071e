/**
 * Durable appends to the embedded log, against a bare loop of write and fdatasync. Prints one JSON
 * object.
 *
 *   node bench/log-append.ts [--rounds 7] [--directory <where>]
 *
 * Both are measured in turns in one run, batch by batch: the next batch is sent when the last one is
 * durable (`depth` 1), and for the log also with eight batches on their way. The bare loop writes
 * the bytes that the log writes for the same batch (`bareLogBytes`), and the bytes of the events
 * alone (`bareEventBytes`), to files that grow; and the former to a file of zeros (`barePreallocated`).
 * `cpuMicrosecondsPerEvent` is the processor time of the main thread.
 * The log checks duplicates, indexes keys, and splits its closed segments meanwhile, on a thread of
 * its own as in the server.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { silentLogger, systemClock, systemRandom } from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { createSplitThread, openFileLog } from '@millrace/log/file'
import { STREAM, bytesOf, createEventSource, median } from './log/events.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    directory: { type: 'string', default: tmpdir() },
  },
})

const CASES = [
  { batch: 1, events: 1_000 },
  { batch: 100, events: 30_000 },
  { batch: 1_000, events: 60_000 },
]
const DEPTHS = [1, 8]

/** Events per second of the bare loop with `bytes` a batch. */
function bare(path: string, batches: number, bytes: number, isPreallocated: boolean): number {
  const content = Buffer.alloc(bytes, 'x')
  const fd = openSync(path, 'w')
  if (isPreallocated) {
    const zeros = Buffer.alloc(1024 * 1024)
    for (let at = 0; at < batches * bytes; at += zeros.length)
      writeSync(fd, zeros, 0, zeros.length, at)
    fsyncSync(fd)
  }
  const started = systemClock.monotonicMs()
  for (let batch = 0; batch < batches; batch++) {
    writeSync(fd, content, 0, bytes, batch * bytes)
    fdatasyncSync(fd)
  }
  const elapsedMs = systemClock.monotonicMs() - started
  closeSync(fd)
  rmSync(path)
  return batches / elapsedMs
}

/** Batches per millisecond of the log. */
async function append(
  log: EventLog,
  batches: readonly NewEvent[][],
  depth: number,
): Promise<number> {
  let next = 0
  const sender = async (): Promise<void> => {
    for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
      const { results } = await log.commit({ events: batch })
      if (results[0]?.status !== 'appended') throw new Error('an event was not appended')
    }
  }
  const started = systemClock.monotonicMs()
  await Promise.all(Array.from({ length: depth }, sender))
  return batches.length / (systemClock.monotonicMs() - started)
}

function chunk(events: NewEvent[], size: number): NewEvent[][] {
  return Array.from({ length: events.length / size }, (_, index) =>
    events.slice(index * size, (index + 1) * size),
  )
}

async function measure(root: string, { batch, events }: (typeof CASES)[number]): Promise<object> {
  const log = await openFileLog({
    disk: openNodeDisk(root),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    directory: `log-${batch}`,
    splitWork: createSplitThread(root),
    options: { firstSegmentBytes: 64 * 1024 * 1024 },
  })
  await log.declare([{ name: STREAM, partitions: 8 }])
  const make = createEventSource(batch)
  await append(log, chunk(make(2 * events), batch), 8)
  const rates: Record<string, number[]> = {}
  const note = (name: string, batchesPerMs: number): void => {
    ;(rates[name] ??= []).push(batchesPerMs * batch * 1_000)
  }
  const cpuPerEvent: number[] = []
  let eventBytes = 0
  let logBytes = 0
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const depth of DEPTHS) {
      const made = make(events)
      eventBytes = made.reduce((sum, event) => sum + bytesOf(event), 0) / events
      const before = log.stats().counters['writtenBytes'] ?? 0
      const batches = chunk(made, batch)
      const cpuBefore = process.threadCpuUsage()
      note(`logDepth${depth}`, await append(log, batches, depth))
      const cpu = process.threadCpuUsage(cpuBefore)
      if (depth === 1) cpuPerEvent.push((cpu.user + cpu.system) / events)
      if (depth === 1) logBytes = ((log.stats().counters['writtenBytes'] ?? 0) - before) / events
    }
    const file = join(root, 'bare')
    const batches = events / batch
    note('bareLogBytes', bare(file, batches, Math.round(logBytes * batch), false))
    note('bareEventBytes', bare(file, batches, Math.round(eventBytes * batch), false))
    note('barePreallocated', bare(file, batches, Math.round(logBytes * batch), true))
  }
  await log.close()
  const medians = Object.fromEntries(
    Object.entries(rates).map(([name, all]) => [name, Math.round(median(all))]),
  )
  const ratio = (log: string, bare: string): number =>
    Math.round((100 * (medians[log] ?? 0)) / (medians[bare] ?? 1)) / 100
  return {
    batch,
    eventBytes: Math.round(eventBytes),
    logBytesPerEvent: Math.round(logBytes),
    eventsPerSecond: medians,
    cpuMicrosecondsPerEvent: Math.round(median(cpuPerEvent) * 100) / 100,
    ofBareLogBytes: ratio('logDepth1', 'bareLogBytes'),
    ofBareEventBytes: ratio('logDepth1', 'bareEventBytes'),
    ofBarePreallocated: ratio('logDepth1', 'barePreallocated'),
    depth8OfBareLogBytes: ratio('logDepth8', 'bareLogBytes'),
  }
}

const root = mkdtempSync(join(values.directory, 'millrace-bench-append-'))
try {
  const cases = []
  for (const one of CASES) cases.push(await measure(root, one))
  const rssMiB = Math.round(process.memoryUsage().rss / 1024 / 1024)
  console.log(JSON.stringify({ bench: 'log-append', rounds: Number(values.rounds), cases, rssMiB }, null, 2)) // prettier-ignore
} finally {
  rmSync(root, { recursive: true })
}
