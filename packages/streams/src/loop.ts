/**
 * The view loop: reads durable batches of every source partition and hands each record to every fold
 * of that source.
 *
 * Promise: folds pull, nothing is buffered; other work gets its turn after every time slice; a
 * lane that stands still (failed, being restored, snapshotted or rebuilt) holds up no other, nor does
 * a partition that cannot be read. Lanes at different offsets are fed by reads of their own until
 * they meet.
 */
import {
  Backoff,
  isError,
  partitionName,
  type Clock,
  type Logger,
  type Random,
} from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { CORRECTIONS_STREAM } from './corrections/contract.ts'
import { errorText } from './lane.ts'
import type { StreamsSettings } from './options.ts'
import { restoreFailed, type RefoldPorts } from './refold.ts'
import type { Retries } from './retries.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'
import { Slices } from './slices.ts'
import { Stalls, type LoopStatus } from './stalls.ts'
import type { TableWatch } from './table-watch.ts'

/** Records folded between two looks at the clock. */
const CHUNK_RECORDS = 64
const EMITTED_FLUSH = 1_000

interface SourceLane {
  readonly runner: FoldRunner
  readonly laneRunner: LaneRunner
}

interface SourcePartition {
  readonly stream: string
  readonly partition: number
  readonly name: string
  readonly lanes: readonly SourceLane[]
  /** Batches of a turn: as many as the partitions that feed it may have emitted, and one. */
  readonly batches: number
}

type Source = SourcePartition & { readonly backoff: Backoff }

export interface LoopOptions {
  readonly log: EventLog
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
  readonly settings: StreamsSettings
  readonly runners: readonly FoldRunner[]
  readonly watch: TableWatch
  readonly retries: Retries
  /** Called before each turn: what other processes did is taken over. */
  readonly onBegin: () => void
  /** Called after each turn and after each slice: tell listeners, look whether anybody's position was reached. */
  readonly onTurn: () => void
}

/** See the head of the file. */
export class ViewLoop {
  readonly #options: LoopOptions
  readonly #sources: readonly Source[]
  readonly #slices: Slices
  readonly #ports: RefoldPorts
  readonly #stalls: Stalls
  #isAwake = false
  #isClosing = false
  #resume: (() => void) | undefined
  #running: Promise<void> | undefined
  /** True when it no longer folds: stopped, or its log was closed. */
  isStopped = false

  constructor(options: LoopOptions) {
    this.#options = options
    const { clock, random } = options
    const wake = (): void => this.wake()
    this.#sources = sourcesOf(options.runners, options.watch).map(source => ({
      ...source,
      backoff: new Backoff({ clock, random, wake }),
    }))
    this.#slices = new Slices(options.clock, options.settings.sliceMs)
    const { log, settings } = options
    this.#ports = { log, clock, sliceMs: settings.sliceMs }
    const behind = (): readonly string[] => behindOf(options.runners, log)
    this.#stalls = new Stalls({ ...options, measure: () => this.#measure(), behind })
  }

  start(): void {
    this.#running = this.#run().finally(() => {
      this.isStopped = true
      this.#options.onTurn()
    })
  }

  /** There may be something to do. */
  wake(): void {
    this.#isAwake = true
    this.#resume?.()
    this.#resume = undefined
  }

  /** True for a partition, `stream/partition`, that could not be read; it is tried again. */
  isUnread(partition: string): boolean {
    return this.#sources.some(({ name, backoff }) => name === partition && backoff.hasFailed)
  }

  /** How its turns come out. */
  status(): LoopStatus {
    return this.#stalls.status()
  }

  /** Ends after the current batch. */
  async stop(): Promise<void> {
    this.#isClosing = true
    this.#stalls.close()
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      this.#isAwake = false
      let hasMore = false
      try {
        hasMore = await this.#turn()
      } catch (error) {
        if (isError(error, 'LOG_CLOSED')) return
        throw error
      }
      this.#options.onTurn()
      if (this.#slices.isOver()) await this.#slices.next()
      if (this.#stalls.note() && !this.#isClosing) await this.#stalls.pause()
      if (!hasMore && !this.#isAwake && !this.#isClosing) {
        const sinceMs = this.#options.clock.monotonicMs()
        await new Promise<void>(resolve => (this.#resume = resolve))
        this.#stalls.slept(this.#options.clock.monotonicMs() - sinceMs)
        // A fresh slice: the time asleep is nobody's work.
        this.#slices.restart()
      }
    }
  }

  /** How far everything is that a turn may bring on: the log, the lanes, their steps. */
  #measure(): number {
    let sum = 0
    for (const end of this.#options.log.ends().values()) sum += end
    for (const { lanes } of this.#sources) {
      for (const { laneRunner } of lanes) {
        const { lane, writer } = laneRunner
        sum += lane.consumed + lane.revision + lane.corrections.position + (writer?.committed ?? 0)
      }
    }
    return sum
  }

  /** One batch of every source partition; true when there may be more. */
  async #turn(): Promise<boolean> {
    const { watch, log, onBegin } = this.#options
    onBegin()
    watch.beginTurn(log.ends())
    let hasMore = false
    for (const source of this.#sources) {
      if (this.#isClosing) return false
      if (await this.#drain(source)) hasMore = true
      const end = log.ends().get(source.name) ?? 0
      for (const { laneRunner } of source.lanes) laneRunner.writer?.flush(end)
    }
    return hasMore
  }

  /** The batches of one partition in a turn; true when anything was folded. */
  async #drain(source: Source): Promise<boolean> {
    const { stream, partition, backoff } = source
    if (backoff.isPausing) return false
    let didFold = false
    try {
      for (let batch = 0; batch < source.batches && !this.#isClosing; batch++) {
        if (!(await this.#pump(source))) break
        didFold = true
      }
      backoff.succeed()
    } catch (error) {
      if (isError(error, 'LOG_CLOSED')) throw error
      if (!backoff.hasFailed) {
        const reason = errorText(error)
        this.#options.logger.error('the log cannot be read', { stream, partition, reason })
      }
      backoff.fail()
    }
    return didFold
  }

  /**
   * Feeds the lanes of a partition, each one batch from where it stands: a lane that is far behind
   * does not keep other partitions waiting. True when anything was folded.
   */
  async #pump(source: SourcePartition): Promise<boolean> {
    const { log, settings } = this.#options
    let didFold = false
    const starts = new Set(source.lanes.map(({ laneRunner }) => laneRunner.lane.consumed))
    let fed = 0
    for (const from of [...starts].sort((a, b) => a - b)) {
      if (from < fed || this.#nextOffset(source, from) !== from) continue
      const batch = await this.#read(source, from, settings.batchRecords)
      if (batch === undefined) return true
      if (batch.length === 0) break
      fed = from + batch.length
      for (let start = 0; start < batch.length && !this.#isClosing; start += CHUNK_RECORDS) {
        const end = Math.min(start + CHUNK_RECORDS, batch.length)
        for (const lane of source.lanes) {
          if (this.#feed(lane, batch, from, start, end)) didFold = true
        }
        if (this.#slices.isOver()) {
          this.#options.onTurn()
          await this.#slices.next()
        }
      }
      if (this.#isClosing) return false
    }
    const end = log.ends().get(source.name) ?? 0
    for (const { laneRunner, runner } of source.lanes) {
      if (laneRunner.lane.consumed >= end) this.#options.watch.noteCaughtUp(runner, log.ends())
    }
    return didFold
  }

  #feed(
    { runner, laneRunner }: SourceLane,
    batch: readonly LogRecord[],
    from: number,
    start: number,
    end: number,
  ): boolean {
    const { lane, writer } = laneRunner
    const at = lane.consumed - from
    const until = Math.min(end, laneRunner.limit - from)
    if (at < start || at >= until || !this.#canRun(runner, laneRunner)) return false
    try {
      lane.run(batch, at, until)
    } catch (error) {
      this.#fail(runner, laneRunner, error)
      return false
    }
    this.#options.watch.noteFolded(runner, lane, batch, at, lane.consumed - from)
    if (lane.failure !== undefined) void this.#restore(runner, laneRunner)
    if (writer !== undefined && lane.emitted.length >= EMITTED_FLUSH) writer.flush()
    return true
  }

  #canRun(runner: FoldRunner, laneRunner: LaneRunner): boolean {
    if (!laneRunner.isFree()) return false
    if (runner.definition.tables === undefined) return true
    return this.#options.watch.mayRun(runner, laneRunner)
  }

  /** The least offset at or after `least` at which a lane waits for records. */
  #nextOffset(source: SourcePartition, least: number): number | undefined {
    const end = this.#options.log.ends().get(source.name) ?? 0
    let next: number | undefined
    for (const { runner, laneRunner } of source.lanes) {
      const { consumed } = laneRunner.lane
      if (consumed < least || consumed >= Math.min(end, laneRunner.limit)) continue
      if (next !== undefined && next <= consumed) continue
      if (this.#canRun(runner, laneRunner)) next = consumed
    }
    return next
  }

  async #read(
    source: SourcePartition,
    from: number,
    recordsMax: number,
  ): Promise<readonly LogRecord[] | undefined> {
    const { stream, partition, lanes } = source
    try {
      return await this.#options.log.read({ stream, partition, from, recordsMax })
    } catch (error) {
      if (isError(error, 'LOG_DAMAGED')) {
        // What is damaged stays so: the lanes that come to it stop, and say why.
        for (const { runner, laneRunner } of lanes) {
          if (laneRunner.lane.consumed === from) this.#fail(runner, laneRunner, error)
        }
        return undefined
      }
      if (!isError(error, 'LOG_OFFSET_GONE')) throw error
      // A transient stream lost the records that a lane had not seen: it goes on where they begin.
      const start = Number(error.details['start'])
      this.#options.logger.warn('records were removed before they were folded', {
        stream,
        partition,
        from,
        start,
      })
      for (const { laneRunner } of lanes) {
        if (laneRunner.lane.consumed < start) laneRunner.lane.skipTo(start)
      }
      return undefined
    }
  }

  async #restore(runner: FoldRunner, laneRunner: LaneRunner): Promise<void> {
    const failure = laneRunner.lane.failure
    this.#options.logger.warn('a record could not be folded', {
      fold: runner.name,
      partition: laneRunner.lane.partition,
      offset: failure?.record.offset,
      reason: failure?.reason,
      policy: runner.definition.onFailure,
    })
    try {
      await this.#options.retries.persist(runner, laneRunner, () =>
        restoreFailed(this.#ports, laneRunner.lane),
      )
    } catch (error) {
      this.#fail(runner, laneRunner, error)
    }
    this.wake()
  }

  #fail(runner: FoldRunner, laneRunner: LaneRunner, error: unknown): void {
    laneRunner.error = error
    this.#options.logger.error('a fold stopped', {
      fold: runner.name,
      partition: laneRunner.lane.partition,
      reason: laneRunner.lane.stopText(error),
    })
  }
}

/** Folds that have not folded all, or not all that was corrected. */
function behindOf(runners: readonly FoldRunner[], log: EventLog): readonly string[] {
  const ends = log.ends()
  const corrected = ends.get(partitionName(CORRECTIONS_STREAM, 0)) ?? 0
  const isBehind = ({ definition, lanes }: FoldRunner): boolean =>
    definition.isRekeying !== true &&
    lanes.some(({ lane }) => lane.corrections.position < corrected)
  return runners.filter(each => each.lag(ends) > 0 || isBehind(each)).map(({ name }) => name)
}

function sourcesOf(runners: readonly FoldRunner[], watch: TableWatch): readonly SourcePartition[] {
  const lanes = new Map<string, SourceLane[]>()
  const places = new Map<string, { stream: string; partition: number }>()
  // Tables first: whoever joins them then finds them current.
  const ordered = [...runners].sort((a, b) => Number(watch.isTable(b)) - Number(watch.isTable(a)))
  for (const runner of ordered) {
    for (const laneRunner of runner.lanes) {
      const stream = runner.definition.source
      const { partition } = laneRunner.lane
      const name = partitionName(stream, partition)
      const others = lanes.get(name)
      if (others === undefined) lanes.set(name, [{ runner, laneRunner }])
      else others.push({ runner, laneRunner })
      places.set(name, { stream, partition })
    }
  }
  return [...lanes].map(([name, list]) => {
    const place = places.get(name) as { stream: string; partition: number }
    return { name, lanes: list, ...place, batches: 1 + feedersOf(place.stream, runners) }
  })
}

/** How many partitions emit to one partition of a stream. Records that wait long are decoded again. */
function feedersOf(stream: string, runners: readonly FoldRunner[]): number {
  const own = runners.find(({ definition }) => definition.source === stream)?.lanes.length ?? 1
  const feeding = runners.filter(({ definition }) => definition.targets?.includes(stream))
  return Math.ceil(feeding.reduce((sum, { lanes }) => sum + lanes.length, 0) / own)
}
