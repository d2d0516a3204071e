/** A buffer with the typed arrays over it; `u8[0]` is aligned for all of them. */
export interface Bytes {
  readonly u8: Buffer
  readonly u16: Uint16Array
  readonly u32: Uint32Array
  readonly f64: Float64Array
}

/** A new buffer of at least `size` bytes. Its content is arbitrary. */
export function createBytes(size: number): Bytes {
  const u8 = Buffer.allocUnsafeSlow((size + 7) & ~7)
  return {
    u8,
    u16: new Uint16Array(u8.buffer),
    u32: new Uint32Array(u8.buffer),
    f64: new Float64Array(u8.buffer),
  }
}

const LOOP_CHARACTERS_MAX = 64

/**
 * Writes text as UTF-8 and returns its bytes. Room for three bytes a character must be there. Ids
 * and keys are mostly short ASCII, for which a loop beats a call into the runtime.
 */
export function writeText(target: Buffer, at: number, text: string): number {
  const { length } = text
  if (length > LOOP_CHARACTERS_MAX) return target.write(text, at, 'utf8')
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index)
    if (code > 0x7f) return target.write(text, at, 'utf8')
    target[at + index] = code
  }
  return length
}

/** Reads text of `length` bytes. */
export function readText(source: Buffer, at: number, length: number): string {
  const end = at + length
  for (let index = at; index < end; index++) {
    if ((source[index] as number) > 0x7f) return source.toString('utf8', at, end)
  }
  return source.toString('latin1', at, end)
}

const RECENT_SLOTS = 65_536
const RECENT_BYTES_MAX = 48

/**
 * Short texts that were read lately. Keys come again and again: giving out the string that was made
 * before costs less than making one, and it brings its hash along to whoever looks it up.
 */
const recent: string[] = new Array<string>(RECENT_SLOTS).fill('')

/** Reads text that is likely to have been read before. */
export function readKey(source: Buffer, at: number, length: number): string {
  if (length > RECENT_BYTES_MAX) return readText(source, at, length)
  let hash = length
  for (let index = 0; index < length; index++) {
    hash = Math.imul(hash ^ (source[at + index] as number), 0x01000193)
  }
  const slot = (hash ^ (hash >>> 15)) & (RECENT_SLOTS - 1)
  const text = recent[slot] as string
  if (text.length === length && isAscii(source, at, text)) return text
  const read = readText(source, at, length)
  recent[slot] = read
  return read
}

/** True when the bytes are this ASCII text. */
function isAscii(source: Buffer, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code !== source[at + index] || code > 0x7f) return false
  }
  return true
}
