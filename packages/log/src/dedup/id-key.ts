/**
 * What an event id becomes in the index: a kind and four 32-bit words.
 *
 *   kind 1  ordered   a canonical (lower-case) UUID of version 7 or 8: its own 16 bytes
 *   kind 2  random    any other canonical UUID: its own 16 bytes
 *   kind 3  text      anything else: 64 bits of keyed hash, then where its text is kept
 *
 * A UUID is its own key, so equal keys are equal ids. A text is found by its hash and then
 * compared character by character; its bytes are Latin-1 when all characters fit, UTF-16 otherwise,
 * with a bit that says which, so that no two texts have the same bytes and bit.
 *
 * Words are signed 32-bit numbers, because V8 keeps those unboxed; order is that of the unsigned
 * values. Hash: HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, 2012) under a
 * secret of the directory, so that nobody outside can choose texts that collide.
 */
import { invariant } from '@millrace/core'

export const ORDERED = 1
export const RANDOM = 2
export const TEXT = 3

/** The most bytes that the text of an id may have in the index. */
export const TEXT_BYTES_MAX = 1024

/** The value of a lower-case hexadecimal digit by its character code, -1 for any other character. */
const NIBBLES = new Int8Array(65_536).fill(-1)
for (let value = 0; value < 16; value++) NIBBLES[value.toString(16).charCodeAt(0)] = value

/** The secrets of a directory: `hash` places UUIDs in tables and filters, `text` keys the hash of texts. */
export interface Secrets {
  readonly hash: Int32Array
  readonly text: Int32Array
}

/** Bytes that `secretsOf` takes. */
export const SECRET_BYTES = 48

/** Splits random bytes into the secrets of a directory. */
export function secretsOf(bytes: Uint8Array): Secrets {
  invariant(bytes.length === SECRET_BYTES, 'the secret of a duplicate index has 48 bytes')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const words = Int32Array.from({ length: SECRET_BYTES / 4 }, (_, index) =>
    view.getInt32(index * 4),
  )
  const hash = words.slice(0, 10)
  // Multipliers must be odd to lose nothing.
  for (let index = 5; index < 10; index++) hash[index] = (hash[index] as number) | 1
  return { hash, text: words.slice(10, 12) }
}

/** An id made ready for tables, filters and runs. One object is used again and again. */
export class IdKey {
  kind = 0
  w0 = 0
  w1 = 0
  w2 = 0
  w3 = 0
  /** Hash of the key: places it in tables and filters. */
  hash = 0
  /** Of a text: its bytes, valid up to `textBytes`. */
  readonly text = new Uint8Array(TEXT_BYTES_MAX)
  textBytes = 0
  isWide = 0
  #id: string | undefined
  readonly #secrets: Secrets
  /** Keeps all bits of a hash; tests keep fewer, to force collisions: not the lowest, so that keys of unlike hash do not queue for the same slots. */
  readonly #mask: number

  constructor(secrets: Secrets, hashBits = 32) {
    this.#secrets = secrets
    this.#mask = hashBits >= 32 ? -1 : ((1 << hashBits) - 1) << 4
  }

  /** Takes an id. An id that follows itself, as in a lookup and its insertion, costs nothing. */
  set(id: string): void {
    if (id === this.#id) return
    this.#id = id
    if (id.length !== 36 || !this.#setUuid(id)) this.#setText(id)
  }

  /** Takes the words of an entry, as `set` would have made them. */
  setWords(kind: number, words: Int32Array, at: number): void {
    this.#id = undefined
    this.kind = kind
    this.w0 = words[at] as number
    this.w1 = words[at + 1] as number
    this.w2 = words[at + 2] as number
    this.w3 = words[at + 3] as number
    this.#finish()
  }

  /** Takes the bytes of a text, after `setWords`. */
  setTextBytes(source: Uint8Array, start: number, bytes: number, isWide: number): void {
    for (let byte = 0; byte < bytes; byte++) this.text[byte] = source[start + byte] as number
    this.textBytes = bytes
    this.isWide = isWide
  }

  #setUuid(id: string): boolean {
    const a = hex(id, 0)
    const b = hex(id, 4)
    const c = hex(id, 9)
    const d = hex(id, 14)
    const e = hex(id, 19)
    const f = hex(id, 24)
    const g = hex(id, 28)
    const h = hex(id, 32)
    if ((a | b | c | d | e | f | g | h) < 0) return false
    if (
      id.charCodeAt(8) !== 45 ||
      id.charCodeAt(13) !== 45 ||
      id.charCodeAt(18) !== 45 ||
      id.charCodeAt(23) !== 45
    ) {
      return false
    }
    this.w0 = (a << 16) | b
    this.w1 = (c << 16) | d
    this.w2 = (e << 16) | f
    this.w3 = (g << 16) | h
    const version = d >>> 12
    this.kind = (version === 7 || version === 8) && e >>> 14 === 2 ? ORDERED : RANDOM
    this.#finish()
    return true
  }

  #setText(id: string): void {
    const { length } = id
    let all = 0
    for (let at = 0; at < length; at++) all |= id.charCodeAt(at)
    const isWide = all > 0xff ? 1 : 0
    const bytes = isWide === 1 ? length * 2 : length
    invariant(bytes <= TEXT_BYTES_MAX, 'an event id is longer than the duplicate index can keep')
    for (let at = 0; at < length; at++) {
      const code = id.charCodeAt(at)
      if (isWide === 0) {
        this.text[at] = code
      } else {
        this.text[at * 2] = code & 0xff
        this.text[at * 2 + 1] = code >>> 8
      }
    }
    this.kind = TEXT
    this.textBytes = bytes
    this.isWide = isWide
    this.#hashText()
    this.w2 = 0
    this.w3 = 0
    this.#finish()
  }

  #finish(): void {
    const s = this.#secrets.hash
    let h = (s[0] as number) ^ this.kind
    h = Math.imul(h ^ this.w0, s[5] as number)
    h = Math.imul(h ^ (h >>> 15) ^ this.w1 ^ (s[1] as number), s[6] as number)
    h ^= h >>> 15
    if (this.kind !== TEXT) {
      h = Math.imul(h ^ this.w2 ^ (s[2] as number), s[7] as number)
      h = Math.imul(h ^ (h >>> 15) ^ this.w3 ^ (s[3] as number), s[8] as number)
      h ^= h >>> 15
    }
    h = Math.imul(h ^ (s[4] as number), s[9] as number)
    this.hash = (h ^ (h >>> 16)) & this.#mask
  }

  #hashText(): void {
    const [k0, k1] = this.#secrets.text as unknown as [number, number]
    let v0 = k0
    let v1 = k1 ^ 0xee
    let v2 = 0x6c796765 ^ k0
    let v3 = 0x74656462 ^ k1
    const { text, textBytes } = this
    const round = (): void => {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    const whole = textBytes & ~3
    for (let at = 0; at <= whole; at += 4) {
      let word = 0
      const end = at === whole ? textBytes : at + 4
      for (let byte = at; byte < end; byte++) word |= (text[byte] as number) << ((byte & 3) * 8)
      // The last word carries the length and which of the two encodings the bytes are.
      if (at === whole) word |= ((textBytes << 1) | this.isWide) << 24
      v3 ^= word
      round()
      round()
      v0 ^= word
    }
    v2 ^= 0xee
    for (let count = 0; count < 4; count++) round()
    this.w0 = (v1 ^ v3) & this.#mask
    v1 ^= 0xdd
    for (let count = 0; count < 4; count++) round()
    this.w1 = this.#mask === -1 ? v1 ^ v3 : 0
  }
}

/** The value of 4 lower-case hexadecimal digits; negative when one of them is not. */
function hex(id: string, at: number): number {
  return (
    ((NIBBLES[id.charCodeAt(at)] as number) << 12) |
    ((NIBBLES[id.charCodeAt(at + 1)] as number) << 8) |
    ((NIBBLES[id.charCodeAt(at + 2)] as number) << 4) |
    (NIBBLES[id.charCodeAt(at + 3)] as number)
  )
}

/** Compares two keys of four words as unsigned numbers: negative, 0 or positive. */
export function compareKeys(a: Int32Array, at: number, b: Int32Array, bt: number): number {
  for (let index = 0; index < 4; index++) {
    const x = (a[at + index] as number) >>> 0
    const y = (b[bt + index] as number) >>> 0
    if (x !== y) return x < y ? -1 : 1
  }
  return 0
}
