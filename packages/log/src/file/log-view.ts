/**
 * The embedded log as another thread reads it while its owner writes: straight from the split files
 * and the journal, without a word to the owner.
 *
 * Promise: what is read is what the owner would give. What was appended since is seen after
 * `refresh`, and by a read at the end of what is known; the durable end is the owner's to tell: read
 * no further than it says. Nothing is written. Cost: `refresh` reads the journal segments that are
 * not split yet.
 */
import { isError, type Disk } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type { EventLog, LogRecord, StreamSpec } from '../log.ts'
import type { StepRecord } from '../step-book.ts'
import { limitsOf } from './options.ts'
import { Reader } from './reader.ts'
import { readJournal } from './recovery.ts'
import type { Segment } from './segment.ts'
import { loadSplits } from './split-directory.ts'
import { SplitStore } from './split-store.ts'
import { createState, type LogState } from './state.ts'

/** The parts of the contract that only read. */
export type LogView = Pick<EventLog, 'read' | 'history' | 'ends' | 'stats' | 'close'> & {
  /** Sees what was appended since it was opened or last refreshed. */
  refresh(): Promise<void>
  /** The streams as they were declared. */
  streams(): readonly StreamSpec[]
  /** The newest step of every processor, generation and source partition. */
  stepHeads(): readonly StepRecord[]
}

/** The owner may take a file away between its name and its bytes; it does so a few times an hour. */
const TRIES = 8

/** Opens a log for reading. Refuses damage (LOG_DAMAGED) and newer formats (LOG_FORMAT_UNKNOWN). */
export async function openFileLogView(ports: {
  readonly disk: Disk
  readonly directory: string
}): Promise<LogView> {
  const view = new FileLogView(ports)
  await view.refresh()
  return view
}

interface Opened {
  readonly state: LogState
  readonly store: SplitStore
  readonly reader: Reader
  readonly segments: readonly Segment[]
}

class FileLogView implements LogView {
  readonly #disk: Disk
  readonly #directory: string
  #opened: Opened | undefined
  #ends = new Map<string, number>()

  constructor({ disk, directory }: { disk: Disk; directory: string }) {
    this.#disk = disk
    this.#directory = directory
  }

  async refresh(): Promise<void> {
    const opened = await again(() => this.#open())
    await this.close()
    this.#opened = opened
    for (const partition of opened.state.streams.partitions()) {
      this.#ends.set(partition.name, partition.durableEnd)
    }
  }

  async read(request: Parameters<EventLog['read']>[0]): Promise<readonly LogRecord[]> {
    const { stream, from } = request
    const read = async (isFirst: boolean): Promise<readonly LogRecord[] | undefined> => {
      if (!isFirst) await this.refresh()
      const { state, reader } = this.#current()
      const partition = state.streams.partition(stream, request.partition)
      const { start, durableEnd } = partition
      if (from >= durableEnd && isFirst) return undefined
      if (from < start) {
        const details = { stream, partition: partition.number, start, from }
        throw logErrors.create('LOG_OFFSET_GONE', details)
      }
      return await reader.serve(partition, request)
    }
    // At the end of what is known there may be more by now.
    return (await again(read)) ?? (await again(() => read(false))) ?? []
  }

  async *history(request: Parameters<EventLog['history']>[0]): AsyncIterable<LogRecord> {
    const { tenant = DEFAULT_TENANT, keys, from = 0, to = Infinity, isByOffset = false } = request
    const records = await again(async isFirst => {
      if (!isFirst) await this.refresh()
      const { state, reader } = this.#current()
      const { partitions } = state.streams.get(request.stream)
      const found: LogRecord[] = []
      const wanted = { tenant, keys, from, to, isByOffset }
      for await (const record of reader.history(partitions, wanted)) found.push(record)
      return found
    })
    yield* records
  }

  ends(): ReadonlyMap<string, number> {
    return this.#ends
  }

  stats(): ReturnType<EventLog['stats']> {
    const streams = this.#current().state.streams.stats()
    const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0)
    return { streams, bytes, queuedBytes: 0, readOnlyReason: undefined, counters: {}, gauges: {} }
  }

  streams(): readonly StreamSpec[] {
    return this.#current()
      .state.streams.list()
      .map(({ declared }) => declared)
  }

  stepHeads(): readonly StepRecord[] {
    return this.#current().state.steps.newest()
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    if (opened === undefined) return
    await opened.store.close()
    for (const { file } of opened.segments) await file.close()
  }

  #current(): Opened {
    if (this.#opened === undefined) throw logErrors.create('LOG_CLOSED')
    return this.#opened
  }

  async #open(): Promise<Opened> {
    const limits = limitsOf({})
    const state = createState(1)
    const disk = this.#disk
    // The journal first: what leaves it meanwhile is in the split files that are listed then.
    const segments = await readJournal({ disk, directory: `${this.#directory}/journal`, state })
    const store = new SplitStore({
      disk,
      names: state.names,
      openMax: limits.openFilesMax,
      blockCacheMax: limits.blockCacheMax,
    })
    try {
      await loadSplits(disk, this.#directory, state.streams, store, { isReadOnly: true })
      return { state, store, reader: new Reader(state, limits), segments }
    } catch (error) {
      for (const { file } of segments) await file.close()
      throw error
    }
  }
}

/** Runs `work` again when a file of it was taken away, or was not whole yet. */
async function again<T>(work: (isFirst: boolean) => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await work(left === TRIES)
    } catch (error) {
      const mayPass = isError(error, 'DISK_NOT_FOUND') || isError(error, 'LOG_DAMAGED')
      if (!mayPass || left === 1) throw error
    }
  }
}
