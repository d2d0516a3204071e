/**
 * Cuts a body of lines that is arriving into blocks of whole lines, so that one of any length is
 * taken in bounded memory: a block, a line and a chunk. A line that is longer than a line may be is
 * thrown away as it comes, and reported in its place.
 */

const NEWLINE = 0x0a
/** Pieces that are kept apart: a body that comes byte by byte must not cost an object for each. */
const PARTS_MAX = 1024

/** Some lines of a body, or one that is too long. */
export interface LineBlock {
  /** Whole lines; without a byte when there is one line that is too long. */
  readonly bytes: Buffer
  readonly lines: number
}

/** See the head of the file. */
export class LineBlocks {
  readonly #blockBytes: number
  readonly #lineBytesMax: number
  #parts: Buffer[] = []
  #bytes = 0
  /** Bytes behind the last newline. */
  #openBytes = 0
  #isSkipping = false
  /** Bytes of lines that were too long, thrown away so far. */
  skippedBytes = 0

  /** A block ends with the first line that fills `blockBytes`, or earlier. */
  constructor(options: { blockBytes: number; lineBytesMax: number }) {
    this.#blockBytes = options.blockBytes
    this.#lineBytesMax = options.lineBytesMax
  }

  /** The blocks that are whole with this chunk. */
  push(chunk: Buffer): readonly LineBlock[] {
    let rest = chunk
    if (this.#isSkipping) {
      const end = chunk.indexOf(NEWLINE)
      this.skippedBytes += end === -1 ? chunk.length : end + 1
      if (end === -1) return NO_BLOCKS
      this.#isSkipping = false
      rest = chunk.subarray(end + 1)
    }
    if (rest.length === 0) return NO_BLOCKS
    if (this.#parts.length === PARTS_MAX) this.#parts = [Buffer.concat(this.#parts)]
    this.#parts.push(rest)
    this.#bytes += rest.length
    const last = rest.lastIndexOf(NEWLINE)
    this.#openBytes = last === -1 ? this.#openBytes + rest.length : rest.length - last - 1
    const isTooLong = this.#openBytes > this.#lineBytesMax
    if (!isTooLong && this.#bytes - this.#openBytes < this.#blockBytes) return NO_BLOCKS
    const whole = this.#take()
    const bytes = whole.subarray(0, whole.length - this.#openBytes)
    const block = { bytes, lines: countLines(bytes) }
    if (isTooLong) {
      this.#isSkipping = true
      this.skippedBytes += this.#openBytes
      this.#openBytes = 0
      return bytes.length === 0 ? [TOO_LONG] : [block, TOO_LONG]
    }
    if (this.#openBytes > 0) this.#parts.push(whole.subarray(bytes.length))
    this.#bytes = this.#openBytes
    return [block]
  }

  /** The lines at the end of the body; undefined when there are none. */
  end(): LineBlock | undefined {
    if (this.#bytes === 0) return undefined
    const bytes = this.#take()
    return { bytes, lines: countLines(bytes) }
  }

  #take(): Buffer {
    const [first] = this.#parts
    const whole = this.#parts.length === 1 ? (first as Buffer) : Buffer.concat(this.#parts)
    this.#parts = []
    this.#bytes = 0
    return whole
  }
}

const NO_BLOCKS: readonly LineBlock[] = []
const TOO_LONG: LineBlock = { bytes: Buffer.alloc(0), lines: 1 }

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1
  return lines
}
