/** Which key is looked at next for tiles that time has made void: few with each record, none while there is nothing to find. */

/** One key is looked at with so many records folded; keys with new tiles let go of theirs themselves. */
const SWEEP_RECORDS = 8
const NEVER = Number.NEGATIVE_INFINITY

/** See the head of the file. */
export class KeySweep {
  /** The shortest step; Infinity where no tile ever goes. */
  readonly #stepMs: number
  readonly #keys: () => Iterator<string>
  #sweep: Iterator<string> | undefined
  /** Records folded since a key was looked at. */
  #unswept = 0
  /** The step of the watermark when the sweep began, and that up to which all keys are clean. */
  #sweepTick = NEVER
  #cleaned = NEVER

  constructor(stepMs: number, keys: () => Iterator<string>) {
    this.#stepMs = stepMs
    this.#keys = keys
  }

  /** A record is folded: the key to look at, where it is time for one. */
  next(watermarkMs: number): string | undefined {
    const tick = Math.floor(watermarkMs / this.#stepMs)
    if (tick === this.#cleaned || ++this.#unswept < SWEEP_RECORDS) return undefined
    this.#unswept = 0
    if (this.#sweep === undefined) {
      this.#sweep = this.#keys()
      this.#sweepTick = tick
    }
    const next = this.#sweep.next()
    if (next.done !== true) return next.value
    this.#sweep = undefined
    this.#cleaned = this.#sweepTick
    return undefined
  }
}
