/** What the importer's tests share: files in memory, and a log, a disk and a clock to import into. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createSeededRandom, type App, type Disk } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { createSimClock, createSimDisk, type SimDisk } from '@millrace/sim'
import type { KnownIds } from './checks.ts'
import { genericApp } from './generic-app.ts'
import { IMPORT_LIMITS, type ImportLimits } from './limits.ts'
import { planFile, type FileOptions } from './plan.ts'
import { runImport, type ImportReport } from './run.ts'
import { createLogSink, type ImportSink } from './sink.ts'
import { identityOf, unpack, unpackedName, type ImportFile } from './import-file.ts'

/** A file of this content; a name that ends in `.gz` packs it. */
export function memoryFile(name: string, content: string | Uint8Array): ImportFile {
  const plain = Buffer.from(content as string)
  const bytes = name.endsWith('.gz') ? gzipSync(plain) : plain
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
  }
  return {
    name: unpackedName(name),
    label: name,
    bytes: bytes.length,
    identity: identityOf([bytes.length], bytes),
    async *read(onBytes) {
      onBytes?.(bytes.length)
      yield* unpack(chunks(), name, IMPORT_LIMITS)
    },
  }
}

/** Small enough that tests see many runs, batches and notes. */
export const SMALL_LIMITS: ImportLimits = {
  ...IMPORT_LIMITS,
  runBytes: 8_000,
  batchEvents: 7,
  checkpointRows: 20,
  rowMax: 2_000,
}

/** A place to import into. */
export interface World {
  readonly app: App
  readonly log: EventLog
  readonly disk: SimDisk
  readonly sink: ImportSink
  /** Drives virtual time until the work is done. */
  drive<T>(work: () => Promise<T>): Promise<T>
  importFile(
    file: ImportFile,
    options?: FileOptions & {
      format?: 'csv' | 'jsonl'
      disk?: Disk
      sink?: ImportSink
      isDryRun?: boolean
      knownIds?: KnownIds
    },
  ): Promise<ImportReport>
  records(): Promise<readonly LogRecord[]>
}

/** An empty world. */
export async function createWorld(app: App): Promise<World> {
  const clock = createSimClock({ seed: 1 })
  const disk = createSimDisk({ clock, random: createSeededRandom(1) })
  const log = openMemoryLog({ clock })
  await log.declare(app.streams)
  const sink = createLogSink({ log, app, clock })
  const drive = <T>(work: () => Promise<T>): Promise<T> => clock.drive(work)
  return {
    app,
    log,
    disk,
    sink,
    drive,
    importFile: (file, options = {}) =>
      drive(async () => {
        const {
          format = 'csv',
          disk: ownDisk = disk,
          sink: ownSink = sink,
          isDryRun,
          knownIds,
          ...said
        } = options
        const limits = SMALL_LIMITS
        const planned = await planFile({ app, file, format, options: said, limits })
        const inputs = [planned.input]
        return runImport({
          app,
          inputs,
          disk: ownDisk,
          sink: ownSink,
          clock,
          limits,
          ...(isDryRun === true && { isDryRun }),
          ...(knownIds !== undefined && { knownIds }),
        })
      }),
    records: () => drive(() => allRecords(log)),
  }
}

/** Every record of a log, stream by stream, partition by partition. */
export async function allRecords(log: EventLog): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = []
  for (const { stream, partitions } of log.stats().streams) {
    for (const partition of partitions.keys()) {
      let from = 0
      for (;;) {
        const batch = await log.read({ stream, partition, from })
        if (batch.length === 0) break
        records.push(...batch)
        from += batch.length
      }
    }
  }
  return records
}

/** What must be equal in two logs of the same history. */
export function essence(records: readonly LogRecord[]): readonly string[] {
  return records.map(record =>
    JSON.stringify([
      record.stream,
      record.partition,
      record.offset,
      record.type,
      record.id,
      record.key,
      record.eventTimeMs,
      record.isHistory,
      record.data,
    ]),
  )
}
/** A row as RFC 4180 writes it: every cell quoted, so that any text survives. */
export function stringifyRow(cells: readonly string[], delimiter: string): string {
  return cells.map(cell => `"${cell.replaceAll('"', '""')}"`).join(delimiter)
}

test('a world begins empty', async () => {
  const world = await createWorld(genericApp)
  assert.deepEqual(await world.records(), [])
  assert.deepEqual(world.disk.paths(), [])
})
