/**
 * The bytes of a body as they arrive. A piece as the network gives it is kept as it is; small pieces
 * are copied together, because a piece is an object with a buffer of its own: a body sent byte by
 * byte would cost some hundred times its length. Memory: at most three times the bytes received.
 */

/** Pieces below this are copied together. */
const SMALL_BYTES = 4096
const SLAB_BYTES_MIN = 1024
const SLAB_BYTES_MAX = 256 * 1024

/** See the head of the file. */
export class BodyBytes {
  #pieces: Buffer[] = []
  #slab: Buffer | undefined
  /** The part of the slab that is in no piece yet. */
  #from = 0
  #to = 0
  /** Bytes received. */
  length = 0

  /** Takes the next bytes. */
  push(chunk: Buffer): void {
    const isFirst = this.length === 0
    this.length += chunk.length
    // Most bodies are one piece, whatever its size.
    if (isFirst || chunk.length >= SMALL_BYTES) {
      this.#seal()
      this.#pieces.push(chunk)
      return
    }
    for (let at = 0; at < chunk.length;) {
      const slab = this.#open()
      const copied = chunk.copy(slab, this.#to, at)
      this.#to += copied
      at += copied
    }
  }

  /** The whole body; nothing is held any more. */
  take(): Buffer {
    this.#seal()
    const pieces = this.#pieces
    const { length } = this
    this.clear()
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, length)
  }

  /** Lets go of what was received. */
  clear(): void {
    this.#pieces = []
    this.#slab = undefined
    this.length = 0
  }

  /** How many objects hold the bytes. */
  get pieces(): number {
    return this.#pieces.length + (this.#slab === undefined ? 0 : 1)
  }

  /** The slab, with room in it. */
  #open(): Buffer {
    if (this.#slab !== undefined && this.#to < this.#slab.length) return this.#slab
    this.#seal()
    const bytes = Math.min(Math.max(this.length, SLAB_BYTES_MIN), SLAB_BYTES_MAX)
    this.#slab = Buffer.allocUnsafeSlow(bytes)
    this.#from = 0
    this.#to = 0
    return this.#slab
  }

  #seal(): void {
    if (this.#slab === undefined || this.#from === this.#to) return
    this.#pieces.push(this.#slab.subarray(this.#from, this.#to))
    this.#from = this.#to
  }
}
