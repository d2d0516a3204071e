import type { Clock } from '@millrace/core'

/**
 * Cuts long work into slices, so that requests get their turn: await `pause` often; it gives way
 * once the slice is used up and costs next to nothing before.
 */
export class Slices {
  readonly #clock: Clock
  readonly #sliceMs: number
  #startedMs: number

  constructor(clock: Clock, sliceMs: number) {
    this.#clock = clock
    this.#sliceMs = sliceMs
    this.#startedMs = clock.monotonicMs()
  }

  /** True when the slice is used up. */
  isOver(): boolean {
    return this.#clock.monotonicMs() - this.#startedMs >= this.#sliceMs
  }

  /** Gives way to pending I/O, and begins the next slice. */
  async next(): Promise<void> {
    await new Promise<void>(resolve => this.#clock.soon(resolve))
    this.#startedMs = this.#clock.monotonicMs()
  }

  /** Begins a slice now. */
  restart(): void {
    this.#startedMs = this.#clock.monotonicMs()
  }

  /** Gives way when the slice is used up. */
  async pause(): Promise<void> {
    if (this.isOver()) await this.next()
  }
}
