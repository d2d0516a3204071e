/**
 * Keeps what requests were served, without making anybody wait: collected for a moment, appended
 * together, and dropped, counted, when the log takes no more. A crash loses the last moments.
 */
import type { Clock, Logger, Timer } from '@millrace/core'
import type { Served } from '@millrace/features'
import type { EventLog, NewEvent, StreamSpec } from '@millrace/log'

/** The stream of what was served; its records are keyed by their request. */
export const SERVED_STREAM = 'features.served'
/** Type of its records. */
export const SERVED = 'served'
/** How long what was served can be checked. */
export const SERVED_KEPT_MS = 7 * 86_400_000
/** Rows of more values are not kept. */
export const SERVED_VALUES_MAX = 4_096

const COLLECT_MS = 50
const WAITING_MAX = 1_024

/** The stream; old records go, since they are of use for a check alone. */
export const servedStream: StreamSpec = {
  name: SERVED_STREAM,
  partitions: 1,
  transient: { maxAgeMs: SERVED_KEPT_MS },
}

/** See the head of the file. */
export class ServedWriter {
  readonly counters = { written: 0, dropped: 0 }
  readonly #ports: {
    readonly log: EventLog
    readonly clock: Clock
    readonly logger: Logger
    readonly definition: string
  }
  #collected: NewEvent[] = []
  #waiting = 0
  #timer: Timer | undefined
  #flight: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(ports: { log: EventLog; clock: Clock; logger: Logger; definition: string }) {
    this.#ports = ports
  }

  /** Takes what a request was served, or drops it; returns at once. */
  write(id: string, data: Served): void {
    if (this.#isClosed || this.#waiting >= WAITING_MAX) {
      this.counters.dropped += 1
      return
    }
    const { definition, clock } = this.#ports
    const eventTimeMs = data.t
    this.#collected.push({ stream: SERVED_STREAM, type: SERVED, key: id, id, eventTimeMs, data, definition, isUnique: true }) // prettier-ignore
    this.#waiting += 1
    this.#timer ??= clock.after(COLLECT_MS, () => this.#send())
  }

  #send(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const events = this.#collected
    if (events.length === 0) return
    this.#collected = []
    this.#flight = Promise.all([this.#flight, this.#append(events)]).then(() => undefined)
  }

  async #append(events: readonly NewEvent[]): Promise<void> {
    try {
      await this.#ports.log.commit({ events })
      this.counters.written += events.length
    } catch (error) {
      // Whatever the log says: what cannot be written is dropped and counted.
      this.counters.dropped += events.length
      const reason = error instanceof Error ? error.message : String(error)
      this.#ports.logger.warn('served feature rows are dropped', { dropped: events.length, reason })
    } finally {
      this.#waiting -= events.length
    }
  }

  /** Appends what was collected and waits for what is on its way. */
  async flush(): Promise<void> {
    this.#send()
    await this.#flight
  }

  /** Flushes; what comes later is dropped. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }
}
