/**
 * The journal: takes groups of units, makes each durable with one write and one sync, and goes on
 * in the next segment, which is preallocated in the background.
 *
 * Promise: groups become durable in order, and nothing is acknowledged before its sync. After a
 * failed write or sync the journal takes nothing more, for ever: what a failed sync left on the
 * disk is unknown, and asking again would only hide it (Rebello et al., ATC 2020).
 */
import { invariant } from '@millrace/core'
import type { Logger } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { createBytes } from './bytes.ts'
import type { Bytes } from './bytes.ts'
import { Group } from './group.ts'
import type { FileLogLimits } from './options.ts'
import { createSegment } from './segment.ts'
import type { Segment, SegmentPorts } from './segment.ts'

const POOL_BUFFERS = 4
const POOL_BUFFER_BYTES_FIRST = 256 * 1024
const POOL_BUFFER_BYTES_MAX = 8 * 1024 * 1024
const DRAIN_WEIGHT = 0.2
/** The share of the active segment that is filled when the next one is preallocated. */
const PREPARE_AT = 1 / 8
const PREALLOCATE_RETRY_MS = 1_000
const RETRY_MS_MIN = 5
const RETRY_MS_MAX = 5_000

/** What the journal tells its owner. */
export interface JournalEvents {
  /** A group is durable. */
  onDurable(group: Group): void
  /** The journal takes nothing more. */
  onFailed(error: unknown): void
  /** Frames what a new segment must begin with. */
  onSegment(group: Group): void
  /** All of a segment is durable, and so is the beginning of the next one. */
  onClosed(segment: Segment): void
}

/** See the head of the file. */
export class Journal {
  readonly #ports: SegmentPorts
  readonly #logger: Logger
  readonly #directory: string
  readonly #limits: FileLogLimits
  readonly #events: JournalEvents
  /** Segments that are not removed yet, in order; the last one is written to. */
  readonly segments: Segment[]
  readonly counters = { units: 0, syncs: 0, writtenBytes: 0, segments: 0 }
  durableUnit: number
  /** Ingest time of that unit. */
  durableIngestMs: number
  nextUnit: number
  failure: unknown
  #next: Segment | undefined
  #preallocating: Promise<void> | undefined
  #preallocateAfterMs = 0
  #waiting: Group[] = []
  #filling: Group
  #pool: Bytes[] = []
  #writing: Group | undefined
  #isScheduled = false
  #queuedBytes = 0
  #bytesPerMs = 0
  #idle: (() => void)[] = []

  constructor(options: {
    ports: SegmentPorts
    logger: Logger
    directory: string
    limits: FileLogLimits
    events: JournalEvents
    segments: Segment[]
    spare: Segment | undefined
    nextUnit: number
    lastIngestMs: number
  }) {
    this.#ports = options.ports
    this.#logger = options.logger
    this.#directory = options.directory
    this.#limits = options.limits
    this.#events = options.events
    this.segments = options.segments
    this.nextUnit = options.nextUnit
    this.durableUnit = options.nextUnit - 1
    this.durableIngestMs = options.lastIngestMs
    this.#next = options.spare
    this.#filling = this.#createGroup()
    this.#prepare()
  }

  get active(): Segment {
    return this.segments.at(-1) as Segment
  }

  /** Bytes accepted and not durable. */
  get queuedBytes(): number {
    return this.#queuedBytes + this.#filling.at
  }

  /** When a queue of this size will be gone, judged from how fast it drained lately. */
  retryAfterMs(bytes: number): number {
    const estimate = this.#bytesPerMs > 0 ? bytes / this.#bytesPerMs : RETRY_MS_MIN
    return Math.ceil(Math.min(Math.max(estimate, RETRY_MS_MIN), RETRY_MS_MAX))
  }

  /** The group that the next unit of about `bytes` bytes goes to; in the next segment when this one is full. */
  begin(bytes: number): Group {
    const { active } = this
    if (active.fill + bytes > active.capacity && active.lastUnit > 0) {
      if (this.#next !== undefined) this.#roll(this.#next)
      else if (this.#ports.clock.monotonicMs() >= this.#preallocateAfterMs) this.#preallocate()
    }
    this.#filling.beginUnit()
    return this.#filling
  }

  /** The group that takes units now; a new one after every turn of the loop. */
  get filling(): Group {
    return this.#filling
  }

  /** What refuses commits after a failure. */
  refusal(): Error {
    const { failure } = this
    const reason = failure instanceof Error ? failure.message : String(failure)
    return logErrors.create('LOG_READ_ONLY', { reason }, failure)
  }

  /** Takes nothing more: the volume failed. */
  fail(error: unknown): void {
    if (this.failure !== undefined) return
    this.failure = error
    this.#events.onFailed(error)
    const refusal = this.refusal()
    const lost = [...this.#waiting, this.#filling]
    if (this.#writing === undefined) for (const resolve of this.#idle.splice(0)) resolve()
    for (const group of lost) for (const waiter of group.waiters.splice(0)) waiter.reject(refusal)
  }

  /** Accepts the unit that `begin` began. */
  end(records: number, ingestTimeMs: number): void {
    const group = this.#filling
    const number = this.nextUnit++
    group.endUnit(number, records, ingestTimeMs)
    const segment = this.active
    segment.fill = group.position + group.at
    segment.lastUnit = number
    this.counters.units += 1
    this.#schedule()
  }

  /** The newest group that is not durable, or undefined. */
  get newest(): Group | undefined {
    if (this.#filling.unitStarts.length > 0) return this.#filling
    return this.#waiting.at(-1) ?? this.#writing
  }

  /** Resolves when every unit accepted so far is durable; rejects when that will never be. */
  durable(): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.refusal())
    const { newest } = this
    if (newest === undefined) return Promise.resolve()
    return new Promise((resolve, reject) => newest.waiters.push({ resolve, reject }))
  }

  /** Resolves when nothing waits to become durable, or the journal failed. */
  async settled(): Promise<void> {
    while (this.newest !== undefined && this.failure === undefined) {
      await new Promise<void>(resolve => this.#idle.push(resolve))
    }
  }

  /** Removes the oldest segment. Readers that are in it finish first. */
  async remove(segment: Segment): Promise<void> {
    invariant(
      segment === this.segments[0] && segment !== this.active,
      'the oldest segment goes first',
    )
    segment.isLeaving = true
    await this.#ports.disk.remove(segment.path)
    await this.#ports.disk.syncDirectory(this.#directory)
    this.segments.shift()
    while (segment.readers > 0) {
      await new Promise<void>(resolve => this.#ports.clock.soon(resolve))
    }
    await segment.file.close()
  }

  /** Closes the files. Nothing may be in flight. */
  async close(): Promise<void> {
    await this.#preallocating
    await this.#next?.file.close()
    for (const segment of this.segments) await segment.file.close()
  }

  #createGroup(): Group {
    const bytes = this.#pool.pop() ?? createBytes(POOL_BUFFER_BYTES_FIRST)
    return new Group(this.active, this.active.fill, bytes)
  }

  #roll(next: Segment): void {
    if (this.#filling.unitStarts.length > 0) this.#park()
    this.segments.push(next)
    this.#next = undefined
    this.counters.segments += 1
    this.#filling = this.#createGroup()
    this.#filling.beginUnit()
    this.#events.onSegment(this.#filling)
    this.#prepare()
  }

  /** Puts the group being filled behind the others; a unit being framed moves to its successor. */
  #park(): Group {
    const full = this.#filling
    const rest = full.at - full.unitStart
    this.#queuedBytes += full.unitStart
    this.#filling = this.#createGroup()
    if (rest > 0) {
      this.#filling.reserve(rest)
      full.bytes.u8.copy(this.#filling.bytes.u8, 0, full.unitStart, full.at)
      this.#filling.at = rest
      full.at = full.unitStart
    }
    this.#waiting.push(full)
    return full
  }

  #schedule(): void {
    if (this.#isScheduled || this.#writing !== undefined || this.failure !== undefined) return
    this.#isScheduled = true
    // After a turn of the loop: commits that arrived together share one sync.
    this.#ports.clock.soon(() => {
      this.#isScheduled = false
      void this.#drain()
    })
  }

  async #drain(): Promise<void> {
    if (this.#writing !== undefined || this.failure !== undefined) return
    if (this.#waiting.length === 0 && this.#filling.unitStarts.length > 0) this.#park()
    const group = this.#waiting.shift()
    if (group === undefined) return
    this.#writing = group
    let failure: unknown
    try {
      const started = this.#ports.clock.monotonicMs()
      group.seal(this.durableUnit)
      const { file } = group.segment
      if (file.writeThrough !== undefined) {
        // One call: a busy loop would come to the sync only long after the write was done.
        await file.writeThrough(group.bytes.u8, 0, group.at, group.position)
      } else {
        await file.write(group.bytes.u8, 0, group.at, group.position)
        await file.sync()
      }
      this.#writing = undefined
      this.#settle(group, this.#ports.clock.monotonicMs() - started)
    } catch (error) {
      failure = error
    }
    this.#writing = undefined
    if (failure !== undefined) {
      this.fail(failure)
      for (const waiter of group.waiters.splice(0)) waiter.reject(this.refusal())
    }
    if (this.newest !== undefined) this.#schedule()
    if (this.newest === undefined || this.failure !== undefined) {
      for (const resolve of this.#idle.splice(0)) resolve()
    }
  }

  #settle(group: Group, elapsedMs: number): void {
    this.counters.syncs += 1
    this.counters.writtenBytes += group.at
    this.#queuedBytes -= group.at
    if (elapsedMs > 0) {
      const rate = group.at / elapsedMs
      this.#bytesPerMs += (rate - this.#bytesPerMs) * (this.#bytesPerMs === 0 ? 1 : DRAIN_WEIGHT)
    }
    this.durableUnit = group.lastUnit
    this.durableIngestMs = group.lastIngestMs
    group.segment.durableTo = group.position + group.at
    this.#events.onDurable(group)
    for (const waiter of group.waiters) waiter.resolve()
    this.#prepare()
    if (!group.segment.isBegun) {
      group.segment.isBegun = true
      const before = this.segments[this.segments.indexOf(group.segment) - 1]
      if (before !== undefined) this.#events.onClosed(before)
    }
    if (this.#pool.length < POOL_BUFFERS && group.bytes.u8.length <= POOL_BUFFER_BYTES_MAX) {
      this.#pool.push(group.bytes)
    }
  }

  /** Preallocates the next segment in time: a small log, or one that is only read, needs none. */
  #prepare(): void {
    const { fill, capacity } = this.active
    if (fill >= capacity * PREPARE_AT) this.#preallocate()
  }

  #preallocate(): void {
    if (this.#preallocating !== undefined || this.#next !== undefined) return
    const number = this.active.number + 1
    const { segmentBytes: bytes, preallocateChunkBytes: chunkBytes } = this.#limits
    this.#preallocating = createSegment(this.#ports, this.#directory, number, { bytes, chunkBytes })
      .then(segment => {
        this.#next = segment
      })
      .catch((error: unknown) => {
        // The active segment goes on growing instead; a disk that is full will say so there.
        this.#preallocateAfterMs = this.#ports.clock.monotonicMs() + PREALLOCATE_RETRY_MS
        this.#logger.warn('the next journal segment could not be preallocated', { error })
      })
      .finally(() => {
        this.#preallocating = undefined
      })
  }
}
