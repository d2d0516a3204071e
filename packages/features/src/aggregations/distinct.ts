/**
 * How many different values there were. HyperLogLog (Flajolet, Fusy, Gandouet, Meunier: HyperLogLog,
 * AofA 2007) over 53 bits of MurmurHash3, read by Ertl's estimator, which needs no tables of bias and
 * holds for any number (Otmar Ertl: New cardinality estimation algorithms for HyperLogLog sketches,
 * 2017, section 4). Standard error 1.04 / sqrt(m) for m registers, relative.
 *
 * Up to m / 8 hashes are kept as they are, sorted: few values are counted exactly, in no more bytes
 * than the registers take. Both forms depend on the set of values alone, so that neither the order of
 * events nor that of merges changes a bit.
 */
import { hashText, type Lanes } from '@millrace/streams'
import type { ObjectAggregation } from './aggregation.ts'

/** Sorted hashes, or registers. */
type Sketch = number[] | Uint8Array

const BITS = 53
const SEED: Lanes = new Int32Array([0x6d696c6c, 0x72616365, 0x64697374, 0x696e6374])
const lanes: Lanes = new Int32Array(4)

/** 53 bits of a text's hash, as a whole number. */
export function hashOf(text: string): number {
  hashText(lanes, SEED, text)
  return ((lanes[0] as number) >>> 0) * 2 ** 21 + ((lanes[1] as number) >>> 11)
}

/** The first bits of a hash name its register, of which there are `registers`; so many are left. */
function restBitsOf(registers: number): number {
  return BITS - (31 - Math.clz32(registers))
}

function registerOf(hash: number, registers: number): number {
  return Math.floor(hash / 2 ** restBitsOf(registers))
}

/** Place of the highest bit that is set behind those of the register, from 1 on. */
function rankOf(hash: number, registers: number): number {
  const restBits = restBitsOf(registers)
  const rest = hash % 2 ** restBits
  const high = Math.floor(rest / 2 ** 32)
  return restBits - (high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(rest))
}

function mark(dense: Uint8Array, hash: number): void {
  const register = registerOf(hash, dense.length)
  dense[register] = Math.max(dense[register] as number, rankOf(hash, dense.length))
}

/** See the head of the file; `error` is the relative standard error. */
export function distinct(error: number): ObjectAggregation<Sketch> {
  const registers = 2 ** Math.ceil(Math.log2((1.04 / error) ** 2))
  const sparseMax = registers / 8
  const denseOf = (hashes: readonly number[]): Uint8Array => {
    const dense = new Uint8Array(registers)
    for (const hash of hashes) mark(dense, hash)
    return dense
  }
  const put = (sketch: Sketch, hash: number): Sketch => {
    if (sketch instanceof Uint8Array) {
      mark(sketch, hash)
      return sketch
    }
    const place = placeOf(sketch, hash)
    if (sketch[place] === hash) return sketch
    sketch.splice(place, 0, hash)
    return sketch.length > sparseMax ? denseOf(sketch) : sketch
  }
  return {
    isObject: true,
    takes: 'key',
    init: () => [],
    add: (sketch, { other }) => put(sketch, hashOf(other as string)),
    copy: sketch => sketch.slice(),
    merge(into, from) {
      if (!(from instanceof Uint8Array)) return from.reduce(put, into)
      const dense = into instanceof Uint8Array ? into : denseOf(into)
      for (let at = 0; at < registers; at++) {
        dense[at] = Math.max(dense[at] as number, from[at] as number)
      }
      return dense
    },
    read: sketch => (sketch instanceof Uint8Array ? estimate(sketch) : sketch.length),
    invert(sketch, { other }, events) {
      const hash = hashOf(other as string)
      if (sketch instanceof Uint8Array) {
        // Other values have set the register, and would make registers of themselves.
        const others = sketch.reduce((sum, rank) => sum + Number(rank > 0), 0)
        return (
          others > sparseMax &&
          (sketch[registerOf(hash, registers)] as number) > rankOf(hash, registers)
        )
      }
      if (events !== sketch.length) return false
      sketch.splice(placeOf(sketch, hash), 1)
      return true
    },
    insert(sketch, { other }) {
      const hash = hashOf(other as string)
      if (!(sketch instanceof Uint8Array) && sketch.length === sparseMax && sketch[placeOf(sketch, hash)] !== hash) return false // prettier-ignore
      put(sketch, hash)
      return true
    },
    encode(writer, sketch) {
      writer.count(sketch instanceof Uint8Array ? 0 : sketch.length)
      for (const each of sketch) {
        if (sketch instanceof Uint8Array) writer.count(each)
        else writer.float64(each)
      }
    },
    decode(reader) {
      const length = reader.count()
      if (length > 0) return Array.from({ length }, () => reader.float64())
      return Uint8Array.from({ length: registers }, () => reader.count())
    },
  }
}

/** Where a hash is, or is to be. */
function placeOf(hashes: readonly number[], hash: number): number {
  let from = 0
  for (let to = hashes.length; from < to;) {
    const middle = (from + to) >>> 1
    if ((hashes[middle] as number) < hash) from = middle + 1
    else to = middle
  }
  return from
}

/** Ertl's improved raw estimator. */
function estimate(registers: Uint8Array): number {
  const m = registers.length
  const q = restBitsOf(m)
  const counts = new Float64Array(q + 2)
  for (const rank of registers) counts[rank]! += 1
  let z = m * tau(1 - (counts[q + 1] as number) / m)
  for (let rank = q; rank >= 1; rank--) z = 0.5 * (z + (counts[rank] as number))
  z += m * sigma((counts[0] as number) / m)
  return (m * m) / (2 * Math.LN2 * z)
}

function sigma(share: number): number {
  if (share === 1) return Infinity
  let x = share
  let z = x
  for (let y = 1, before = NaN; z !== before; y += y) {
    x *= x
    before = z
    z += x * y
  }
  return z
}

function tau(share: number): number {
  if (share === 0 || share === 1) return 0
  let x = share
  let z = 1 - x
  for (let y = 1, before = NaN; z !== before;) {
    x = Math.sqrt(x)
    before = z
    y *= 0.5
    z -= (1 - x) ** 2 * y
  }
  return z / 3
}
