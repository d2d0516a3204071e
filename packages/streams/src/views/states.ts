/**
 * States per key, without and with tiles of time. A state that is an object with one number, as
 * counts are, is kept as the number: half the memory, and nothing for the collector to trace.
 */
import { unlikeJson } from '@millrace/core'
import { streamsErrors } from '../errors.ts'
import { canonicalText } from './canonical.ts'

/** Makes and packs states of one view. */
export interface Packing<S> {
  readonly initial: () => S
  pack(state: S): unknown
  unpack(packed: unknown): S
  /** True for the initial state: it says nothing, so a key or tile that has it is as if never seen. */
  isBlank(packed: unknown): boolean
}

/** How the states of a view are kept. */
export function packingOf<S>(initial: () => S): Packing<S> {
  const first = initial()
  const field = onlyNumberField(first)
  const isFirst = equalityWith(first)
  if (field === undefined) {
    return { initial, pack: state => state, unpack: packed => packed as S, isBlank: isFirst }
  }
  const zero = (first as Record<string, unknown>)[field]
  return {
    initial,
    isBlank: packed => (typeof packed === 'number' ? packed === zero : isFirst(packed)),
    pack(state) {
      let value: unknown
      for (const name in state) {
        if (name !== field) return state
        value = state[name]
      }
      return typeof value === 'number' ? value : state
    },
    unpack: packed => (typeof packed === 'number' ? { [field]: packed } : packed) as S,
  }
}

/**
 * Packs what a fold made, or refuses it: a number that is not finite, or anything else that JSON
 * would change, would be another state after a restart. Looks at the whole state, each time: which
 * record is refused may depend on nothing but the records. Throws STATE_INVALID.
 */
export function packFolded(
  { name, packing }: { readonly name: string; readonly packing: Packing<unknown> },
  state: unknown,
): unknown {
  const packed = packing.pack(state)
  if (isJson(packed)) return packed
  throw streamsErrors.create('STATE_INVALID', { view: name, found: unlikeJson(state) })
}

/** Whether `unlikeJson` finds nothing, without a thought for where: it is asked after every event. */
function isJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value !== 'object') return false
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) if (!isJson(value[index])) return false
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const name in value) {
    const member = (value as Readonly<Record<string, unknown>>)[name]
    if (member !== undefined && !isJson(member)) return false
  }
  return true
}

/**
 * Whether a state is `first`, as snapshots have them. Reads of all keys ask it of each: nearly every
 * state differs in a member that is compared without making text of it.
 */
function equalityWith(first: unknown): (state: unknown) => boolean {
  if (typeof first !== 'object' || first === null) return state => state === first
  const members = Object.entries(first)
  const text = canonicalText(first)
  return state => {
    if (typeof state !== 'object' || state === null) return false
    for (const [name, value] of members) {
      const other = (state as Record<string, unknown>)[name]
      if (typeof value !== 'object' ? other !== value : lengthOf(other) !== lengthOf(value)) {
        return false
      }
    }
    return canonicalText(state) === text
  }
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : -1
}

function onlyNumberField(state: unknown): string | undefined {
  if (typeof state !== 'object' || state === null || Array.isArray(state)) return undefined
  const entries = Object.entries(state)
  const first = entries[0]
  return entries.length === 1 && typeof first?.[1] === 'number' ? first[0] : undefined
}

/** The states of tiles of one key, by start, ascending. */
export interface Tiles {
  readonly starts: number[]
  readonly packed: unknown[]
}

/** Index of the first start at or after `start`. */
export function tileIndex(tiles: Tiles, start: number): number {
  const { starts } = tiles
  let low = starts.length
  // Events mostly fall into the newest tile.
  while (low > 0 && (starts[low - 1] as number) >= start) low -= 1
  return low
}

/** Puts the state of a tile in its place, which `tileIndex` gave. */
export function putTile(tiles: Tiles, index: number, start: number, packed: unknown): void {
  if (tiles.starts[index] === start) {
    tiles.packed[index] = packed
    return
  }
  tiles.starts.splice(index, 0, start)
  tiles.packed.splice(index, 0, packed)
}

/** Drops tiles that start at or before `limit`. */
export function dropTiles(tiles: Tiles, limit: number): void {
  if (!((tiles.starts[0] as number) <= limit)) return
  let count = 0
  while (count < tiles.starts.length && (tiles.starts[count] as number) <= limit) count += 1
  tiles.starts.splice(0, count)
  tiles.packed.splice(0, count)
}
