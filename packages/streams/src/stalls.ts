/**
 * Keeps a loop that is woken again and again, and does nothing, from taking a processor: whatever
 * wakes it without getting on is a fault, which is counted, told, and slowed down.
 *
 * Turns that come to nothing are set off against those that did something; a loop that sleeps begins
 * anew. After too many it pauses, longer each time, up to a second.
 */
import { Backoff, type Clock, type Logger, type Random } from '@millrace/core'

/** How a loop is doing. */
export interface LoopStatus {
  /** How often it was stopped because its turns came to nothing. */
  readonly stalls: number
  /** Present while they do: the folds that are not where they should be. */
  readonly behind?: readonly string[]
}

/** What it stands on. */
export interface StallPorts {
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
  /** Changes whenever anything got on. */
  readonly measure: () => number
  /** The folds that are not where they should be. */
  readonly behind: () => readonly string[]
}

/** Turns for nothing before the loop pauses; each that was not makes up for some. */
const IDLE_TURNS_MAX = 200
const MADE_UP = 10
/** Whoever sleeps so long is not spinning, milliseconds. */
const SLEEP_MS = 50
const PAUSE_MS_MAX = 1_000

/** See the head of the file. */
export class Stalls {
  readonly #ports: StallPorts
  readonly #backoff: Backoff
  #measured = NaN
  #idle = 0
  #count = 0
  #resume: () => void = () => undefined

  constructor(ports: StallPorts) {
    this.#ports = ports
    const { clock, random } = ports
    this.#backoff = new Backoff({ clock, random, wake: () => this.#resume(), lastMs: PAUSE_MS_MAX })
  }

  /** Called after each turn: true when the loop should pause. */
  note(): boolean {
    const measured = this.#ports.measure()
    const isIdle = measured === this.#measured
    this.#measured = measured
    this.#idle = isIdle ? this.#idle + 1 : Math.max(this.#idle - MADE_UP, 0)
    return this.#idle > IDLE_TURNS_MAX
  }

  /** The loop slept. */
  slept(forMs: number): void {
    if (forMs < SLEEP_MS) return
    this.#idle = 0
    this.#backoff.succeed()
  }

  /** Waits a while. */
  async pause(): Promise<void> {
    const { logger, behind } = this.#ports
    this.#idle = 0
    this.#count += 1
    const facts = { folds: behind().join(', '), stalls: this.#count }
    if (!this.#backoff.hasFailed) logger.error('the folds are woken and get no further', facts)
    await new Promise<void>(resolve => {
      this.#resume = resolve
      this.#backoff.fail()
    })
  }

  /** Ends a pause. */
  close(): void {
    this.#backoff.stop()
    this.#resume()
  }

  status(): LoopStatus {
    const stalls = this.#count
    return this.#backoff.hasFailed ? { stalls, behind: this.#ports.behind() } : { stalls }
  }
}
