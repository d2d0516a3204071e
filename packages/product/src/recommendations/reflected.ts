/**
 * The position that answers reflect, with its token: taken before the state is read, so that it
 * never promises too much, and kept for a moment, because an older position is still true.
 */
import { encodePosition, type Clock, type Position } from '@millrace/core'
import type { FoldHandle, Streams } from '@millrace/streams'

const KEEP_MS = 20

/** See the head of the file. */
export class ReflectedPosition {
  readonly #streams: Streams
  readonly #clock: Clock
  readonly #folds: readonly string[]
  readonly #handles: readonly FoldHandle[]
  #revision = -1
  #takenMs = -Infinity
  #position: Position = new Map()
  #token = encodePosition(new Map())

  constructor(ports: { streams: Streams; clock: Clock; folds: readonly string[] }) {
    this.#streams = ports.streams
    this.#clock = ports.clock
    this.#folds = ports.folds
    this.#handles = ports.folds.map(name => ports.streams.fold(name))
  }

  /** Brings the position up to date, at most every 20 ms while anything changes. */
  refresh(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#takenMs < KEEP_MS) return
    this.#takenMs = nowMs
    let revision = 0
    for (const handle of this.#handles) revision += handle.revision()
    if (revision === this.#revision) return
    this.#revision = revision
    this.#position = new Map(this.#streams.reflected(this.#folds))
    this.#token = encodePosition(this.#position)
  }

  get position(): Position {
    return this.#position
  }

  get token(): string {
    return this.#token
  }
}
