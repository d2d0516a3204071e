/**
 * Events that come one to a request, a turn of the event loop at a time: those that arrived
 * together are taken apart together and are one commit of the log.
 *
 * Reading a request and appending an event are each a lot of code; in turns they push each other
 * out of the processor's caches, and each commit has its own unit, position and promises. Nothing
 * waits longer for it: the log writes at the end of the turn in any case. Each request has its own
 * answer; what is wrong with one does not touch the others. Its position may be later than its
 * own event, by what came with it.
 */
import { isError, type Clock, type Position } from '@millrace/core'
import type { AppendResult, EventLog, NewEvent } from '@millrace/log'

/** Requests in one commit, so that none waits for very many others. */
export const SINGLES_MAX = 256
/** Bytes of requests in one commit. */
const BYTES_MAX = 1024 * 1024

/** What became of one event. */
export interface SingleOutcome {
  readonly result: AppendResult
  readonly position: Position
}

interface Single {
  readonly bytes: number
  readonly prepare: () => NewEvent | undefined
  readonly resolve: (outcome: SingleOutcome | undefined) => void
  readonly reject: (error: unknown) => void
}

/** See the head of the file. */
export class Singles {
  readonly #log: Pick<EventLog, 'commit'>
  readonly #clock: Clock
  #waiting: Single[] = []
  readonly #run = (): void => this.#flush()

  constructor(log: Pick<EventLog, 'commit'>, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /**
   * Appends the event of one request of `bytes` bytes. `prepare` takes it apart, in the turn of the
   * commit: undefined when it holds no event that fits, and then so is the outcome. Rejects with
   * what `prepare` throws, or why the log refuses.
   */
  append(bytes: number, prepare: () => NewEvent | undefined): Promise<SingleOutcome | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ bytes, prepare, resolve, reject }) === 1) this.#clock.soon(this.#run)
    })
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    let singles: Single[] = []
    let events: NewEvent[] = []
    let bytes = 0
    for (const single of waiting) {
      const event = prepared(single)
      if (event === undefined) continue
      events.push(event)
      singles.push(single)
      bytes += single.bytes
      if (singles.length < SINGLES_MAX && bytes < BYTES_MAX) continue
      void this.#commit(singles, events)
      singles = []
      events = []
      bytes = 0
    }
    if (singles.length > 0) void this.#commit(singles, events)
  }

  async #commit(singles: readonly Single[], events: readonly NewEvent[]): Promise<void> {
    try {
      const { results, position } = await this.#log.commit({ events })
      singles.forEach(({ resolve }, index) => {
        resolve({ result: results[index] as AppendResult, position })
      })
    } catch (error) {
      // One event that cannot be stored refuses a commit whole: each has to be tried by itself.
      if (singles.length > 1 && isError(error, 'LOG_EVENT_INVALID')) {
        singles.forEach((single, index) => {
          void this.#commit([single], [events[index] as NewEvent])
        })
        return
      }
      for (const { reject } of singles) reject(error)
    }
  }
}

/** The event of a request; undefined when there is none, and the request knows. */
function prepared({ prepare, resolve, reject }: Single): NewEvent | undefined {
  try {
    const event = prepare()
    if (event === undefined) resolve(undefined)
    return event
  } catch (error) {
    reject(error)
    return undefined
  }
}
