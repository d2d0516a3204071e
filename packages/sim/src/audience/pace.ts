/** Lets an audience live at a rate of events, for a product that runs on the wall clock. */
import type { Clock, Timer } from '@millrace/core'
import type { AudienceBatch } from './events.ts'
import type { Host, RecommendRequest, Slate, World } from './world.ts'

/** A paced run. */
export interface PacedRun {
  /** Ends it and resolves when the last events were taken or given up. */
  stop(): Promise<void>
  setRate(eventsPerSecond: number): void
  /** Events handed over, calls of the product that failed, and seconds of virtual time per second of the clock since the start. */
  stats(): { readonly sent: number; readonly failures: number; readonly speed: number }
}

/** How a paced run goes. */
export interface PaceOptions {
  readonly clock: Clock
  readonly eventsPerSecond: number
  /** Time between batches. Default 50. */
  readonly tickMs?: number
  /** Hears of each failed call of the product. */
  readonly onFailure?: (error: unknown) => void
}

/** What has left the world and was not handed over. */
export interface Outbox {
  readonly host: Host
  readonly size: number
  /** Whether people or items wait: the product must know them before anybody asks. */
  readonly hasNews: boolean
  take(): AudienceBatch
}

const RETRY_MS = 1_000
/** A late tick catches up for at most this long, so that a pause is not followed by a flood. */
const CATCH_UP_MS = 1_000
const BATCH_EVENTS_MAX = 1_000

/** Lets the world happen at a rate of events. */
export class Pace implements PacedRun {
  readonly #world: World
  readonly #options: PaceOptions
  readonly #outbox: Outbox
  readonly #hand: (batch: AudienceBatch) => Promise<void>
  readonly #onEnd: () => void
  readonly #began: { monotonicMs: number; virtualMs: number }
  #perSecond: number
  #owed = 0
  #lastMs: number
  #unsent: AudienceBatch | undefined
  #sent = 0
  #failures = 0
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(
    world: World,
    options: PaceOptions,
    createOutbox: (stampMs: () => number) => Outbox,
    hand: (batch: AudienceBatch) => Promise<void>,
    onEnd: () => void,
  ) {
    this.#world = world
    this.#options = options
    this.#outbox = createOutbox(() => options.clock.nowMs())
    this.#hand = hand
    this.#onEnd = onEnd
    this.#perSecond = options.eventsPerSecond
    this.#lastMs = options.clock.monotonicMs()
    this.#began = { monotonicMs: this.#lastMs, virtualMs: world.nowMs }
    this.#plan(options.tickMs ?? 50)
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return await this.#running
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#running
    this.#onEnd()
  }

  setRate(eventsPerSecond: number): void {
    this.#perSecond = eventsPerSecond
  }

  stats(): { sent: number; failures: number; speed: number } {
    const passedMs = this.#options.clock.monotonicMs() - this.#began.monotonicMs
    const speed = passedMs > 0 ? (this.#world.nowMs - this.#began.virtualMs) / passedMs : 0
    return { sent: this.#sent, failures: this.#failures, speed }
  }

  #plan(delayMs: number): void {
    if (this.#isStopped) return
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#running = this.#tick().then(
        () => this.#plan(this.#options.tickMs ?? 50),
        error => {
          this.#failures += 1
          this.#options.onFailure?.(error)
          this.#plan(RETRY_MS)
        },
      )
    })
  }

  async #tick(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs()
    const owed = this.#owed + ((nowMs - this.#lastMs) / 1_000) * this.#perSecond
    this.#owed = Math.min(owed, (CATCH_UP_MS / 1_000) * this.#perSecond)
    this.#lastMs = nowMs
    await this.#flush()
    const wanted = Math.floor(this.#owed)
    const host: Host = { ...this.#outbox.host, recommend: request => this.#ask(request) }
    for (let made = 0; made < wanted && !this.#isStopped;) {
      const before = this.#outbox.size
      const step = this.#world.step(host)
      if (step !== undefined) await step
      const fresh = this.#outbox.size - before
      made += fresh
      this.#owed -= fresh
      if (this.#outbox.hasNews || this.#outbox.size >= BATCH_EVENTS_MAX) await this.#flush()
    }
    await this.#flush()
  }

  /** A product that does not answer shows nothing: the person leaves. */
  async #ask(request: RecommendRequest): Promise<Slate> {
    try {
      return await this.#outbox.host.recommend(request)
    } catch (error) {
      this.#failures += 1
      this.#options.onFailure?.(error)
      return []
    }
  }

  /** Hands over what is waiting; on failure it stays for the next tick. */
  async #flush(): Promise<void> {
    this.#unsent ??= this.#outbox.size > 0 || this.#outbox.hasNews ? this.#outbox.take() : undefined
    const batch = this.#unsent
    if (batch === undefined) return
    await this.#hand(batch)
    this.#sent += batch.events.length
    this.#unsent = undefined
  }
}
