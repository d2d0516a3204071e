/**
 * Finds the events in a body without decoding it: where each JSON object of an array or of an
 * NDJSON text begins and ends, so that its bytes can be kept as they came.
 *
 * The scan knows strings, brackets and white space, no more; `JSON.parse` of the whole text judges
 * the rest afterwards. The two agree on where elements lie: in a text that `JSON.parse` accepts,
 * strings and brackets are what the scan took them for, and between elements the scan accepts
 * nothing but the separators it knows. One pass, about half a nanosecond to two per byte.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const NEWLINE = 0x0a
const RETURN = 0x0d
const SPACE = 0x20
const TAB = 0x09

/** Where the elements are: `bounds[2 * i]` is the first byte of element `i`, `bounds[2 * i + 1]` the byte after its last. */
export interface Elements {
  readonly bounds: readonly number[]
  /** For NDJSON: the newline between element `i` and `i + 1`. */
  readonly separators: readonly number[]
}

/**
 * The elements of `bytes[from, to)`, or undefined when a careful look is needed: an element that is
 * not an object, more than `depthMax` levels, more than `elementsMax` elements, two elements on a
 * line, an open string or bracket at the end.
 */
export function scanElements(
  bytes: Uint8Array,
  options: {
    from: number
    to: number
    format: 'array' | 'ndjson'
    depthMax: number
    elementsMax: number
  },
): Elements | undefined {
  const { to, format, depthMax, elementsMax } = options
  const isArray = format === 'array'
  const bounds: number[] = []
  const separators: number[] = []
  let at = skipSpace(bytes, options.from, to)
  if (isArray) {
    if (bytes[at] !== OPEN_BRACKET) return undefined
    at = skipSpace(bytes, at + 1, to)
  }
  let isFirst = true
  while (at < to) {
    if (isArray && bytes[at] === CLOSE_BRACKET) {
      return skipSpace(bytes, at + 1, to) === to ? { bounds, separators } : undefined
    }
    if (!isFirst && isArray) {
      if (bytes[at] !== COMMA) return undefined
      at = skipSpace(bytes, at + 1, to)
    }
    if (bytes[at] !== OPEN_BRACE || bounds.length >= 2 * elementsMax) return undefined
    const end = objectEnd(bytes, at, to, depthMax, !isArray)
    if (end === -1) return undefined
    bounds.push(at, end)
    isFirst = false
    if (isArray) at = skipSpace(bytes, end, to)
    else {
      const newline = lineEnd(bytes, end, to)
      if (newline === -1) return undefined
      at = skipSpace(bytes, newline, to)
      if (at < to) separators.push(newline)
    }
  }
  return isArray ? undefined : { bounds, separators }
}

/** The first byte at or after `from` that is no white space of JSON; `to` when there is none. */
export function skipSpace(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to) {
    const byte = bytes[at]
    if (byte !== SPACE && byte !== NEWLINE && byte !== RETURN && byte !== TAB) break
    at += 1
  }
  return at
}

/** The newline that ends a line of which only white space is left; `to` for the last line; -1 for anything else. */
function lineEnd(bytes: Uint8Array, from: number, to: number): number {
  let at = from
  while (at < to) {
    const byte = bytes[at]
    if (byte === NEWLINE) return at
    if (byte !== SPACE && byte !== RETURN && byte !== TAB) return -1
    at += 1
  }
  return to
}

/** The byte after the object that begins at `from`; -1 when it does not end, nests too deep, or breaks its line. */
function objectEnd(
  bytes: Uint8Array,
  from: number,
  to: number,
  depthMax: number,
  isOneLine: boolean,
): number {
  let depth = 0
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE) {
      for (at += 1; at < to; at++) {
        const inner = bytes[at] as number
        if (inner === QUOTE) break
        if (inner === BACKSLASH) at += 1
      }
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1
      if (depth > depthMax) return -1
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1
      if (depth === 0) return at + 1
    } else if (byte === NEWLINE && isOneLine) return -1
  }
  return -1
}

/** The greatest nesting of a JSON text, as far as `depthMax + 1`; strings are passed over. */
export function depthOf(bytes: Uint8Array, depthMax: number): number {
  let depth = 0
  let deepest = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE) {
      for (at += 1; at < bytes.length; at++) {
        const inner = bytes[at] as number
        if (inner === QUOTE) break
        if (inner === BACKSLASH) at += 1
      }
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth += 1
      if (depth > deepest) deepest = depth
      if (deepest > depthMax) break
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth -= 1
  }
  return deepest
}
