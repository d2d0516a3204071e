/**
 * Events that are held because a check said so. The event is in the log, marked in a header by who
 * took it; the hold is a correction, so it keeps its place, and is folded there once it is released.
 *
 * Promise: an event that was taken marked is held, whoever is killed in between: the fold of the
 * checks knows the marked ones that count, and what nobody has decided on is held when it is looked at
 * again. What was released is not held again.
 */
import { StreamFollower, type EventLog, type LogRecord } from '@millrace/log'
import { isError } from '@millrace/core'
import { CORRECTED_TYPE, CORRECTIONS_STREAM, type CorrectionData, type Streams } from '@millrace/streams' // prettier-ignore

/** An event that is to be held, and where it is. */
export interface MarkedEvent {
  readonly id: string
  readonly check: string
  readonly stream: string
  readonly partition: number
  readonly offset: number
}

/** An event that was held. */
export interface HeldEvent extends MarkedEvent {
  readonly type: string
  /** When it was held, milliseconds since the epoch. */
  readonly atMs: number
}

/** Who holds. */
const BY = 'checks'
const PREFIX = 'check:'
/** Whoever sent the event hears of it when no view counts it, or after so long. */
const WAIT_MS = 5_000

/** See the head of the file. */
export class Quarantine {
  readonly #streams: Pick<Streams, 'corrections'>
  readonly #follower: StreamFollower
  readonly #held = new Map<string, HeldEvent>()

  constructor({
    log,
    streams,
  }: {
    readonly log: EventLog
    readonly streams: Pick<Streams, 'corrections'>
  }) {
    // prettier-ignore
    this.#streams = streams
    this.#follower = new StreamFollower(log, CORRECTIONS_STREAM)
  }

  /** Holds events; resolves when no view counts them, or when that takes long. What somebody decided on before is left. */
  async hold(events: readonly MarkedEvent[]): Promise<void> {
    const { corrections } = this.#streams
    const undecided = events.filter(({ id }) => corrections.of(id).length === 0)
    for (const [check, own] of Map.groupBy(undecided, each => each.check)) {
      const set = {
        changeset: `${PREFIX}${check}`,
        reason: `it failed the check ${check}`,
        by: BY,
        corrections: own.map(({ id, stream, partition, offset }) => ({
          id,
          action: 'hold' as const,
          place: { stream, partition, offset },
        })),
      }
      try {
        await corrections.apply(set, { timeoutMs: WAIT_MS })
      } catch (error) {
        // The hold is on the log, and the views are on their way.
        if (!isError(error, 'POSITION_NOT_REACHED')) throw error
      }
    }
  }

  /** Takes events back into the folds. Gives how many were held. */
  async release(
    ids: readonly string[],
    decided: { readonly by: string; readonly reason: string },
  ): Promise<number> {
    // prettier-ignore
    const corrections = ids.map(id => ({ id, action: 'restore' as const }))
    const { results } = await this.#streams.corrections.apply({ corrections, ...decided })
    return results.filter(({ status }) => status === 'corrected').length
  }

  /** Reads what was held since. */
  async follow(): Promise<void> {
    await this.#follower.follow(record => this.#add(record))
  }

  /** Events that are held now, by all checks or by one, the oldest first; as far as was read. */
  held(check?: string): readonly HeldEvent[] {
    const { corrections } = this.#streams
    return [...this.#held.values()].filter(
      event =>
        (check === undefined || event.check === check) &&
        corrections.of(event.id).at(-1)?.action === 'hold',
    )
  }

  #add({ type, data, eventTimeMs: atMs }: LogRecord): void {
    if (type !== CORRECTED_TYPE) return
    const { action, by, changeset = '', events } = data as CorrectionData
    if (action !== 'hold' || by !== BY) return
    const check = changeset.slice(PREFIX.length)
    for (const { id, stream, type: of, place } of events) {
      if (place !== undefined) this.#held.set(id, { id, check, stream, type: of, atMs, ...place })
    }
  }
}
