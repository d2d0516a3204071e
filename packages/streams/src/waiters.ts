/** Who waits for something to become so: looked at after each turn of the loop. */
import type { Clock } from '@millrace/core'
import { streamsErrors } from './errors.ts'

/** See the head of the file. */
export class Waiters {
  readonly #clock: Clock
  /** Each is true when it was answered. */
  readonly #checks = new Set<() => boolean>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Looks at all of them. */
  check(): void {
    for (const check of this.#checks) if (check()) this.#checks.delete(check)
  }

  /** Those that wait for a position are refused. */
  close(): void {
    this.#isClosed = true
    this.check()
  }

  /** Resolves at the end of the turn of the loop in which it is so. */
  async until(isSo: () => boolean): Promise<void> {
    if (isSo()) return
    await new Promise<void>(resolve => {
      this.#checks.add(() => isSo() && (resolve(), true))
    })
  }

  /** Resolves when a position is reached. Throws POSITION_NOT_REACHED, with what `describe` says, and STREAMS_CLOSED. */
  async within(
    timeoutMs: number,
    isReached: () => boolean,
    describe: () => Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        this.#checks.delete(check)
        reject(streamsErrors.create('POSITION_NOT_REACHED', { timeoutMs, ...describe() }))
      })
      const check = (): boolean => {
        if (!this.#isClosed && !isReached()) return false
        timer.cancel()
        if (this.#isClosed) reject(streamsErrors.create('STREAMS_CLOSED'))
        else resolve()
        return true
      }
      this.#checks.add(check)
    })
  }
}
