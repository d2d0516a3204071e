/** Puts what follows from corrections on the log, a part at a time, and waits as long as the log takes nothing more. */
import { isError, joinPositions, type Clock, type Position } from '@millrace/core'
import type { EventLog, NewEvent, Step } from '@millrace/log'

const PAUSE_MS = 50

/** See the head of the file. */
export class Appender {
  readonly #log: Pick<EventLog, 'commit'>
  readonly #clock: Clock
  #isClosed = false

  constructor({ log, clock }: { readonly log: Pick<EventLog, 'commit'>; readonly clock: Clock }) {
    this.#log = log
    this.#clock = clock
  }

  /** It waits no longer. */
  close(): void {
    this.#isClosed = true
  }

  /** Appends `events`, so many in one unit, and gives the position that contains them; each with a step, which the log may refuse. */
  async append(events: Iterable<NewEvent>, atOnce: number, step?: () => Step): Promise<Position> {
    let position: Position = new Map()
    let part: NewEvent[] = []
    for (const event of events) {
      part.push(event)
      if (part.length < atOnce) continue
      position = joinPositions(position, await this.#commit(part, step))
      part = []
    }
    return part.length === 0 ? position : joinPositions(position, await this.#commit(part, step))
  }

  async #commit(events: readonly NewEvent[], step?: () => Step): Promise<Position> {
    for (;;) {
      try {
        return (await this.#log.commit(step === undefined ? { events } : { events, step: step() }))
          .position
      } catch (error) {
        if (!isError(error, 'LOG_OVERLOADED') || this.#isClosed) throw error
        const delayMs = error.retryAfterMs ?? PAUSE_MS
        await new Promise<void>(resolve => this.#clock.after(delayMs, resolve))
      }
    }
  }
}
