/**
 * Models as bytes, in the safetensors format (Hugging Face), which Python reads as well:
 *
 *   8  length of the header, little-endian
 *   n  header: JSON, padded with spaces to 8
 *      { "__metadata__": { millrace, items, models, checksum, what the caller adds },
 *        "<place in the blend>.<part>": { dtype, shape, data_offsets }, "itemIds": … }
 *      the arrays, one after the other, without gaps
 *
 * Reading trusts nothing: sizes, ids and settings are those of the families, every number is finite, and
 * the checksum (FNV-1a over words of 32 bits) tells a changed bit from a model.
 */
import { recommendErrors } from '../errors.ts'
import type { Floats, Ints, Workspace } from '../kernels/workspace.ts'
import { alsModel, type AlsSettings } from './als.ts'
import { listModel, type NeighbourSettings } from './lists.ts'
import type { Family, Model, Settings } from './model.ts'
import { popularityModel } from './popularity.ts'
import { denseModel, type EaseSettings } from './regression.ts'
import type { Weighted } from './scoring.ts'
import { filterModel, type BasisSettings, type FilterSettings } from './spectral.ts'

/** What is saved together. */
export interface SavedModels {
  readonly blend: readonly Weighted[]
  /** How many items the models know. */
  readonly items: number
  /** What the team calls them, by number. */
  readonly itemIds?: readonly string[]
  /** Anything else that a reader should know, such as how the models were trained. */
  readonly about?: Readonly<Record<string, string>>
}

/** Models that were read; `release` gives their arrays back. */
export interface LoadedModels extends SavedModels {
  release(): void
}

const VERSION = '1'
const HEADER_BYTES_MAX = 100_000_000
const OWN = new Set(['millrace', 'items', 'models', 'checksum'])

interface Tensor {
  readonly dtype: 'F32' | 'I32' | 'U8'
  readonly shape: readonly number[]
  readonly data_offsets: readonly [from: number, until: number]
}
type ModelHead = Pick<Model, 'family' | 'settings'> & { readonly weight: number }

/** The bytes of some models, in pieces; pieces may be views of the kernels' memory. */
export function saveModels(saved: SavedModels): Uint8Array[] {
  const { blend, items, itemIds, about = {} } = saved
  const header: Record<string, unknown> = {}
  const pieces: Uint8Array[] = []
  let end = 0
  const add = (
    name: string,
    array: Floats | Ints | Uint8Array,
    tensor: Omit<Tensor, 'data_offsets'>,
  ): void => {
    header[name] = { ...tensor, data_offsets: [end, end + array.byteLength] }
    pieces.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
    end += array.byteLength
  }
  blend.forEach(({ model }, at) => {
    for (const [part, array] of Object.entries(model.parts)) {
      const dtype = array instanceof Int32Array ? 'I32' : 'F32'
      const [rows, columns] = shapesOf(model.family, model.settings, items)[part] as readonly [number, number] // prettier-ignore
      // A basis may have more columns than its filter uses.
      add(`${at}.${part}`, array, { dtype, shape: [rows, rows === 0 ? columns : array.length / rows] }) // prettier-ignore
    }
  })
  if (itemIds !== undefined) {
    const text = JSON.stringify(itemIds)
    const bytes = new TextEncoder().encode(text)
    // The arrays are whole words.
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4).fill(SPACE)
    padded.set(bytes)
    add('itemIds', padded, { dtype: 'U8', shape: [padded.length] })
  }
  const models = blend.map(({ model: { family, settings }, weight }) => ({ family, weight, settings: Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, Number.isFinite(value) ? value : String(value)])) })) // prettier-ignore
  header['__metadata__'] = {
    ...about,
    millrace: VERSION,
    items: String(items),
    models: JSON.stringify(models),
    checksum: checksumOf(pieces),
  }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(SPACE)
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true)
  head.set(json, 8)
  return [head, ...pieces]
}

const SPACE = 32

/**
 * Reads what `saveModels` wrote, into the workspace. Throws MODEL_DAMAGED with the place, and
 * MODEL_UNSUPPORTED for another version.
 */
export function loadModels(workspace: Workspace, bytes: Uint8Array): LoadedModels {
  const { tensors, metadata, data } = readHeader(bytes)
  const { millrace, items: count, models: text = '', checksum } = metadata
  if (millrace === undefined) throw damaged('the header', 'it is of no model of Millrace')
  if (millrace !== VERSION) {
    throw recommendErrors.create('MODEL_UNSUPPORTED', { what: `version ${millrace}` })
  }
  if (checksumOf([data]) !== checksum) {
    throw damaged('the arrays', 'they are not those that were saved: the checksum differs')
  }
  const items = Number(count)
  if (!Number.isInteger(items) || items < 0)
    throw damaged('items', `there cannot be ${String(count)}`)
  const heads = readHeads(text)
  const itemIds = readItemIds(tensors.get('itemIds'), data, items)
  const reader = { workspace, tensors, data, items }
  const blend: Weighted[] = []
  const release = (): void => blend.forEach(({ model }) => model.release())
  try {
    heads.forEach((head, at) => blend.push({ model: restore(reader, head, at), weight: head.weight })) // prettier-ignore
  } catch (error) {
    release()
    throw error
  }
  const about = Object.fromEntries(Object.entries(metadata).filter(([name]) => !OWN.has(name)))
  return { blend, items, about, release, ...(itemIds === undefined ? {} : { itemIds }) }
}

interface Reader {
  readonly workspace: Workspace
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly data: Uint8Array
  readonly items: number
}

/** The arrays of a family: rows and columns; of a basis the columns are at least those. */
function shapesOf(
  family: Family,
  { width = 0, rank = 0, factors = 0 }: Settings,
  items: number,
): Readonly<Record<string, readonly [rows: number, columns: number]>> {
  const lists = { listIds: [items, width], listValues: [items, width] } as const
  const table = { table: [items, items] } as const
  return {
    popularity: { counts: [items, 1] as const },
    neighbours: lists,
    transitions: lists,
    ease: table,
    sequence: table,
    spectral: { vectors: [items, rank], entry: [items, 1], itemScale: [items, 1] } as const,
    als: { others: [items, factors], gram: [factors, factors] } as const,
  }[family]
}

function restore(reader: Reader, { family, settings }: ModelHead, at: number): Model {
  const { workspace, items } = reader
  const taken: (Floats | Ints)[] = []
  const parts: Record<string, Floats | Ints> = {}
  try {
    for (const [part, shape] of Object.entries(shapesOf(family, settings, items))) {
      const name = `${at}.${part}`
      const isBasis = part === 'vectors'
      parts[part] = part === 'listIds' ? readIds(reader, name, shape) : readFloats(reader, name, shape, isBasis) // prettier-ignore
      taken.push(parts[part])
    }
  } catch (error) {
    workspace.free(...taken)
    throw error
  }
  const as = <T>(value: unknown): T => value as T
  switch (family) {
    case 'popularity':
      return popularityModel(workspace, as(settings), as(parts))
    case 'neighbours':
    case 'transitions':
      return listModel(workspace, { family, items, settings: as<NeighbourSettings>(settings), parts: as(parts) }) // prettier-ignore
    case 'ease':
    case 'sequence':
      return denseModel(workspace, { family, items, settings: as<EaseSettings>(settings), parts: as(parts) }) // prettier-ignore
    case 'spectral':
      return filterModel(workspace, as<BasisSettings & FilterSettings>(settings), as(parts))
    case 'als':
      return alsModel(workspace, as<AlsSettings>(settings), as(parts))
  }
}

function readFloats(
  reader: Reader,
  name: string,
  shape: readonly [rows: number, columns: number],
  isWider: boolean,
): Floats {
  const { bytes, length } = find(reader, name, { dtype: 'F32', shape, isWider })
  const array = reader.workspace.floats(length)
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes)
  if (array.every(Number.isFinite)) return array
  reader.workspace.free(array)
  throw damaged(name, 'a number is not finite')
}

function readIds(
  reader: Reader,
  name: string,
  shape: readonly [rows: number, columns: number],
): Ints {
  const { bytes, length } = find(reader, name, { dtype: 'I32', shape, isWider: false })
  const array = reader.workspace.ints(length)
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(bytes)
  if (array.every(id => id >= -1 && id < reader.items)) return array
  reader.workspace.free(array)
  throw damaged(name, 'an item is not one of those')
}

function find(
  { tensors, data }: Reader,
  name: string,
  wanted: { readonly dtype: Tensor['dtype']; readonly shape: readonly [number, number]; readonly isWider: boolean }, // prettier-ignore
): { readonly bytes: Uint8Array; readonly length: number } {
  const [rows, columns] = wanted.shape
  const tensor = tensors.get(name)
  if (tensor === undefined) throw damaged(name, 'it is not there')
  const { dtype, shape, data_offsets: offsets } = tensor
  const [actualRows = 0, actual = 0] = shape
  const isFitting = wanted.isWider ? actual >= columns && actual % 4 === 0 : actual === columns
  if (dtype !== wanted.dtype || shape.length !== 2 || actualRows !== rows || !isFitting) {
    throw damaged(name, `${dtype} [${shape.join(', ')}], expected ${wanted.dtype} [${rows}, ${columns}]`) // prettier-ignore
  }
  return { bytes: data.subarray(...offsets), length: rows * actual }
}

function readHeader(bytes: Uint8Array): {
  readonly tensors: ReadonlyMap<string, Tensor>
  readonly metadata: Readonly<Record<string, string>>
  readonly data: Uint8Array
} {
  if (bytes.length < 8) throw damaged('the header', `the file has ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = Number(view.getBigUint64(0, true))
  if (length > Math.min(HEADER_BYTES_MAX, bytes.length - 8)) {
    throw damaged('the header', `it has ${length} bytes, the file ${bytes.length}`)
  }
  const header = parse(new TextDecoder().decode(bytes.slice(8, 8 + length)), 'the header')
  if (!isRecord(header)) throw damaged('the header', 'it is no object')
  const { __metadata__: metadata = {}, ...rest } = header
  if (!isRecord(metadata) || Object.values(metadata).some(value => typeof value !== 'string')) {
    throw damaged('__metadata__', 'it is no object of texts')
  }
  const data = bytes.subarray(8 + length)
  const tensors = new Map<string, Tensor>()
  for (const [name, tensor] of Object.entries(rest)) tensors.set(name, checkTensor(name, tensor))
  let end = 0
  const ordered = [...tensors].sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0])
  for (const [name, { data_offsets: offsets }] of ordered) {
    if (offsets[0] !== end) throw damaged(name, `it begins at ${offsets[0]}, expected ${end}`)
    end = offsets[1]
  }
  if (end !== data.length) {
    throw damaged('the arrays', `${data.length} bytes, the header says ${end}`)
  }
  return { tensors, metadata: metadata as Record<string, string>, data }
}

const BYTES = { F32: 4, I32: 4, U8: 1 } as const

function checkTensor(name: string, tensor: unknown): Tensor {
  const { dtype, shape, data_offsets: offsets } = isRecord(tensor) ? tensor : {}
  const areSizes = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every(n => Number.isSafeInteger(n) && n >= 0)
  const size = BYTES[dtype as keyof typeof BYTES] as number | undefined
  if (size === undefined || !areSizes(shape) || !areSizes(offsets) || offsets.length !== 2) {
    throw damaged(name, 'its header is not one of an array')
  }
  const bytes = shape.reduce((product, n) => product * n, size)
  const [from = 0, until = 0] = offsets
  if (until - from !== bytes) throw damaged(name, `${until - from} bytes, its shape has ${bytes}`)
  return { dtype: dtype as Tensor['dtype'], shape, data_offsets: [from, until] }
}

/** What each setting that scoring reads may be. */
const RULES: Readonly<Record<string, (value: number) => boolean>> = {
  halfLife: value => value > 0,
  width: value => Number.isInteger(value) && value > 0,
  rank: value => Number.isInteger(value) && value > 0 && value % 4 === 0,
  factors: value => Number.isInteger(value) && value > 0 && value % 16 === 0,
  unseen: value => value >= 0 && value < Infinity,
  lambda: value => value >= 0 && value < Infinity,
}
const NEEDED: Readonly<Record<Family, readonly string[]>> = {
  popularity: [],
  neighbours: ['halfLife', 'width'],
  transitions: ['halfLife', 'width'],
  spectral: ['halfLife', 'rank'],
  ease: ['halfLife'],
  sequence: ['halfLife'],
  als: ['halfLife', 'factors', 'unseen', 'lambda'],
}

function readHeads(text: string): ModelHead[] {
  const heads = parse(text, 'models')
  if (!Array.isArray(heads)) throw damaged('models', 'they are no list')
  return heads.map((head: unknown, at) => {
    const { family, settings, weight } = isRecord(head) ? head : {}
    const needed = Object.hasOwn(NEEDED, String(family)) ? NEEDED[family as Family] : undefined
    if (needed === undefined || !isRecord(settings) || !Number.isFinite(weight)) {
      throw damaged(`model ${at}`, 'it has no known family, no settings or no weight')
    }
    const numbers = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value === 'Infinity' ? Infinity : value])) // prettier-ignore
    for (const name of needed) {
      const value = numbers[name]
      if (typeof value !== 'number' || RULES[name]?.(value) !== true) {
        throw damaged(`model ${at}, setting ${name}`, `it cannot be ${String(value)}`)
      }
    }
    return { family: family as Family, settings: numbers as Settings, weight: weight as number }
  })
}

function readItemIds(
  tensor: Tensor | undefined,
  data: Uint8Array,
  items: number,
): readonly string[] | undefined {
  if (tensor === undefined) return undefined
  const ids = parse(new TextDecoder().decode(data.slice(...tensor.data_offsets)), 'itemIds')
  if (!Array.isArray(ids) || ids.length !== items || ids.some(id => typeof id !== 'string')) {
    throw damaged('itemIds', `they are not the names of ${items} items`)
  }
  return ids as string[]
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw damaged(place, 'it is no JSON')
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** FNV-1a (Fowler, Noll, Vo) with a word of 32 bits at a time. Every piece has whole words. */
function checksumOf(pieces: readonly Uint8Array[]): string {
  let hash = 0x811c9dc5
  for (const piece of pieces) {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength)
    for (let at = 0; at + 4 <= piece.length; at += 4)
      hash = Math.imul(hash ^ view.getUint32(at, true), 0x01000193)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}

function damaged(place: string, reason: string): Error {
  return recommendErrors.create('MODEL_DAMAGED', { place, reason })
}
