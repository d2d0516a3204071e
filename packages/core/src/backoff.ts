/**
 * When to try again what failed: after a pause that doubles with every failure in a row up to a limit,
 * less a random part of it, so that what failed together does not come back together. However often
 * others ask meanwhile, there is one attempt a pause.
 */
import type { Clock, Random, Timer } from './ports.ts'

const FIRST_MS = 250
const LAST_MS_DEFAULT = 10_000
/** The random part of a pause. */
const SPREAD = 0.5

/** What a pause stands on. */
export interface BackoffPorts {
  readonly clock: Clock
  /** Default: pauses are not spread. */
  readonly random?: Random | undefined
  /** Called at the end of each pause. */
  readonly wake: () => void
  /** The longest pause. Default 10,000. */
  readonly lastMs?: number
}

/** See the head of the file. */
export class Backoff {
  readonly #ports: BackoffPorts
  #pauseMs = FIRST_MS
  #timer: Timer | undefined

  constructor(ports: BackoffPorts) {
    this.#ports = ports
  }

  /** True while it is too early to try. */
  get isPausing(): boolean {
    return this.#timer !== undefined
  }

  /** True when the last attempt failed. */
  get hasFailed(): boolean {
    return this.#timer !== undefined || this.#pauseMs > FIRST_MS
  }

  /** Notes a failure: a pause begins. One that comes during a pause adds nothing. */
  fail(): void {
    if (this.#timer !== undefined) return
    const { clock, random, wake, lastMs = LAST_MS_DEFAULT } = this.#ports
    const share = 1 - SPREAD * (random?.next() ?? 0)
    this.#timer = clock.after(this.#pauseMs * share, () => {
      this.#timer = undefined
      wake()
    })
    this.#pauseMs = Math.min(2 * this.#pauseMs, lastMs)
  }

  /** Notes that it went well: the next failure is the first. */
  succeed(): void {
    this.#pauseMs = FIRST_MS
  }

  /** Ends a pause without a call. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
