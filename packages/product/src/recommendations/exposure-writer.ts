/**
 * Writes exposures without making anybody wait: collected for a moment, appended in batches, and
 * dropped, counted, when the log takes no more. A crash loses the last moments of them.
 */
import type { Clock, Logger, Timer } from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import { EXPOSED, EXPOSURES } from './events.ts'

/** Exposures are collected at most this long... */
const COLLECT_MS = 50
/** ...and this many to a batch. */
const BATCH_MAX = 512
/** Exposures that may wait or be on their way; more are dropped. */
export const EXPOSURES_WAITING_MAX = 16_384

/** An exposure to write. */
export interface PendingExposure {
  /** Partition key: the person, or the answer id without one. */
  readonly key: string
  readonly answerId: string
  readonly atMs: number
  readonly definition: string
  /** JSON of the exposure. */
  readonly payload: Buffer
}

/** Counters for the metrics. */
export interface ExposureCounters {
  written: number
  dropped: number
  readonly waiting: number
}

/** See the head of the file. */
export class ExposureWriter {
  readonly #log: EventLog
  readonly #clock: Clock
  readonly #logger: Logger
  #collected: PendingExposure[] = []
  #waiting = 0
  #timer: Timer | undefined
  readonly #flights = new Set<Promise<void>>()
  #isTold = false
  #isClosed = false
  #written = 0
  #dropped = 0

  constructor(ports: { log: EventLog; clock: Clock; logger: Logger }) {
    this.#log = ports.log
    this.#clock = ports.clock
    this.#logger = ports.logger
  }

  get counters(): ExposureCounters {
    return { written: this.#written, dropped: this.#dropped, waiting: this.#waiting }
  }

  /** Takes an exposure, or drops it; returns at once. */
  write(exposure: PendingExposure): void {
    if (this.#isClosed || this.#waiting >= EXPOSURES_WAITING_MAX) {
      this.#dropped += 1
      return
    }
    this.#collected.push(exposure)
    this.#waiting += 1
    if (this.#collected.length >= BATCH_MAX) this.#send()
    else this.#timer ??= this.#clock.after(COLLECT_MS, () => this.#send())
  }

  #send(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const batch = this.#collected
    if (batch.length === 0) return
    this.#collected = []
    const flight = this.#append(batch).finally(() => {
      this.#waiting -= batch.length
      this.#flights.delete(flight)
    })
    this.#flights.add(flight)
  }

  async #append(batch: readonly PendingExposure[]): Promise<void> {
    try {
      const events = batch.map((exposure): NewEvent => ({
        stream: EXPOSURES,
        type: EXPOSED,
        key: exposure.key,
        id: exposure.answerId,
        eventTimeMs: exposure.atMs,
        data: undefined,
        payload: exposure.payload,
        definition: exposure.definition,
        isUnique: true,
      }))
      await this.#log.commit({ events })
      this.#written += batch.length
      this.#isTold = false
    } catch (error) {
      // Whatever the log says: an exposure that cannot be written is dropped and counted.
      this.#dropped += batch.length
      if (this.#isTold) return
      this.#isTold = true
      const reason = error instanceof Error ? error.message : String(error)
      this.#logger.warn('exposures are dropped', { dropped: batch.length, reason })
    }
  }

  /** Appends what was collected and waits for what is on its way. */
  async flush(): Promise<void> {
    this.#send()
    await Promise.all(this.#flights)
  }

  /** Flushes; later exposures are dropped. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }
}
