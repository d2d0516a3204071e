/**
 * JSON, written as bytes that go to a socket or the log as they are. A text put together from two
 * hundred pieces would be copied three times on that way: to be one string, to be UTF-8, to be sent.
 *
 * Values lie one behind the other in slabs that are never written again, so what `end` gave stays as
 * it is for as long as somebody holds it.
 */

const SLAB_BYTES = 256 * 1024
/** A value that outgrows its slab moves to one with this much room beyond what it has. */
const SPARE_BYTES = 16 * 1024
const NUMBER_BYTES_MAX = 32
/** Up to so many bytes a loop is faster than a call that copies. */
const LOOPED_MAX = 128
const ZERO = 0x30
const POINT = 0x2e

/** Writes one value at a time: `begin`, pieces, `end`. */
export class JsonBytes {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #begin = 0
  #at = 0

  begin(): this {
    this.#begin = this.#at
    return this
  }

  /** The bytes written since `begin`. */
  end(): Buffer {
    return this.#slab.subarray(this.#begin, this.#at)
  }

  /** The bytes written since `begin`, as a text of one character for each (latin1). Their place is free again. */
  endText(): string {
    const text = this.#slab.toString('latin1', this.#begin, this.#at)
    this.#at = this.#begin
    return text
  }

  /** A piece that is JSON in UTF-8. */
  bytes(piece: Buffer): this {
    return this.part(piece, 0, piece.length)
  }

  /** The bytes of a piece from `from` to `to`. */
  part(piece: Buffer, from: number, to: number): this {
    this.#room(to - from)
    const slab = this.#slab
    let at = this.#at
    this.#at += to - from
    if (to - from > LOOPED_MAX) piece.copy(slab, at, from, to)
    else for (let place = from; place < to; place++) slab[at++] = piece[place] as number
    return this
  }

  /** Takes back the last byte of the value: the comma behind the last of many. */
  takeBack(): this {
    this.#at -= 1
    return this
  }

  /** A piece that is JSON, with any characters. */
  text(piece: string): this {
    this.#room(piece.length * 3)
    this.#at += this.#slab.write(piece, this.#at, 'utf8')
    return this
  }

  /** A piece that is JSON, of ASCII characters alone. */
  ascii(piece: string): this {
    this.#room(piece.length)
    this.#at += this.#slab.write(piece, this.#at, 'latin1')
    return this
  }

  /** A whole number from 0 to 2^31 - 1. */
  count(value: number): this {
    let digits = 1
    for (let limit = 10; limit <= value; limit *= 10) digits += 1
    this.#room(NUMBER_BYTES_MAX)
    this.#digits(value, digits)
    return this
  }

  /** A number with at least six significant digits; its places do not depend on its last bits. */
  score(value: number): this {
    let places = 6
    let scale = 1e6
    while (value * scale < 1e5 && places < 9) {
      places += 1
      scale *= 10
    }
    const scaled = Math.round(value * scale)
    // Beyond this range scores are not usual; NaN is none.
    if (!(scaled >= 1e5 && scaled < 1e9)) return this.ascii(String(Number(value.toPrecision(6))))
    const whole = Math.floor(scaled / scale)
    this.count(whole)
    this.#slab[this.#at++] = POINT
    this.#digits(scaled - whole * scale, places)
    return this
  }

  #digits(value: number, digits: number): void {
    const slab = this.#slab
    let rest = value | 0
    for (let at = this.#at + digits - 1; at >= this.#at; at--) {
      const next = (rest / 10) | 0
      slab[at] = ZERO + rest - next * 10
      rest = next
    }
    this.#at += digits
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return
    const written = this.#at - this.#begin
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, written + bytes + SPARE_BYTES))
    slab.set(this.#slab.subarray(this.#begin, this.#at))
    this.#slab = slab
    this.#begin = 0
    this.#at = written
  }
}
