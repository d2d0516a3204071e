/**
 * Binary state frames: little-endian numbers, LEB128 counts, text as a count of UTF-8 bytes and the
 * bytes. Canonical: equal values give equal bytes.
 */
import { invariant } from './errors.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Writes a frame. */
export class ByteWriter {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  /** Starts a new frame in the same buffer. */
  reset(): this {
    this.#length = 0
    return this
  }

  count(value: number): this {
    this.#reserve(10)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
    return this
  }

  float64(value: number): this {
    this.#reserve(8)
    this.#view.setFloat64(this.#length, value, true)
    this.#length += 8
    return this
  }

  float32(value: number): this {
    this.#reserve(4)
    this.#view.setFloat32(this.#length, value, true)
    this.#length += 4
    return this
  }

  text(value: string): this {
    const { length } = value
    // The length comes first, so short text (one byte of length) is written behind its place.
    this.#reserve(length * 3 + 10)
    if (length < 0x80 && this.#writeAscii(value)) return this
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#length + 1))
    if (written < 0x80) {
      this.#bytes[this.#length] = written
      this.#length += 1 + written
      return this
    }
    const bytes = encoder.encode(value)
    this.count(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** Keys are mostly short ASCII, for which a loop beats a call into the runtime. False, and nothing written, for other text. */
  #writeAscii(value: string): boolean {
    const bytes = this.#bytes
    const start = this.#length + 1
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index)
      if (code > 0x7f) return false
      bytes[start + index] = code
    }
    bytes[this.#length] = value.length
    this.#length = start + value.length
    return true
  }

  /** A copy of the frame. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const wider = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more))
    wider.set(this.#bytes)
    this.#bytes = wider
    this.#view = new DataView(wider.buffer)
  }
}

/** Reads a frame that `ByteWriter` wrote; a frame that ends too early breaks an invariant. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  count(): number {
    let value = 0
    let unit = 1
    for (;;) {
      this.#need(1)
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 0x7f) * unit
      if (byte < 0x80) return value
      unit *= 0x80
    }
  }

  float64(): number {
    this.#need(8)
    this.#at += 8
    return this.#view.getFloat64(this.#at - 8, true)
  }

  float32(): number {
    this.#need(4)
    this.#at += 4
    return this.#view.getFloat32(this.#at - 4, true)
  }

  text(): string {
    const length = this.count()
    this.#need(length)
    this.#at += length
    return decoder.decode(this.#bytes.subarray(this.#at - length, this.#at))
  }

  #need(more: number): void {
    invariant(this.#at + more <= this.#bytes.length, 'a state frame ends too early')
  }
}
