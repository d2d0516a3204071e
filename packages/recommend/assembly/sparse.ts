/** Products with the sparse table of who did what: rows are handed out in order, each to one thread. */
import { fma } from './dense'

/** Rows that a thread takes at once. */
const CHUNK: i32 = 16

/**
 * out[u] = scale[u] * sum over q in row u of values[q] * columns[ids[q]] * D[ids[q]], `width` numbers a row
 * (a multiple of 4). `values`, `scale` and `columns` may be 0: ones.
 */
export function spmm(
  next: usize, scratch: usize, n: i32, offsets: usize, ids: usize, values: usize, scale: usize,
  columns: usize, dense: usize, denseRow: usize, out: usize, outRow: usize, width: i32,
): void {
  while (true) {
    const first = atomic.add<i32>(next, CHUNK)
    if (first >= n) return
    for (let u = first, end = min(first + CHUNK, n); u < end; u++) {
      const from = load<i32>(offsets + (<usize>u << 2)), until = load<i32>(offsets + (<usize>u << 2), 4)
      const factor: f32 = scale ? load<f32>(scale + (<usize>u << 2)) : 1
      rowSum(from, until, ids, values, columns, factor, dense, denseRow, out + <usize>u * outRow, width)
    }
  }
}

@inline function weightAt(q: i32, id: usize, values: usize, columns: usize): f32 {
  let w: f32 = values ? load<f32>(values + (<usize>q << 2)) : 1
  if (columns) w *= load<f32>(columns + (id << 2))
  return w
}

/** One row of `spmm`. */
export function rowSum(
  from: i32, until: i32, ids: usize, values: usize, columns: usize, factor: f32,
  dense: usize, denseRow: usize, out: usize, width: i32,
): void {
  const f = f32x4.splat(factor)
  let at = 0
  for (; at + 32 <= width; at += 32) {
    let a = f32x4.splat(0), b = a, c = a, d = a, e = a, g = a, h = a, k = a
    for (let q = from; q < until; q++) {
      const id = <usize>load<i32>(ids + (<usize>q << 2))
      const t = f32x4.splat(weightAt(q, id, values, columns))
      const x = dense + id * denseRow + (<usize>at << 2)
      a = fma(t, v128.load(x), a); b = fma(t, v128.load(x, 16), b)
      c = fma(t, v128.load(x, 32), c); d = fma(t, v128.load(x, 48), d)
      e = fma(t, v128.load(x, 64), e); g = fma(t, v128.load(x, 80), g)
      h = fma(t, v128.load(x, 96), h); k = fma(t, v128.load(x, 112), k)
    }
    const z = out + (<usize>at << 2)
    v128.store(z, f32x4.mul(f, a)); v128.store(z, f32x4.mul(f, b), 16)
    v128.store(z, f32x4.mul(f, c), 32); v128.store(z, f32x4.mul(f, d), 48)
    v128.store(z, f32x4.mul(f, e), 64); v128.store(z, f32x4.mul(f, g), 80)
    v128.store(z, f32x4.mul(f, h), 96); v128.store(z, f32x4.mul(f, k), 112)
  }
  for (; at < width; at += 4) {
    let a = f32x4.splat(0)
    for (let q = from; q < until; q++) {
      const id = <usize>load<i32>(ids + (<usize>q << 2))
      const t = f32x4.splat(weightAt(q, id, values, columns))
      a = fma(t, v128.load(dense + id * denseRow + (<usize>at << 2)), a)
    }
    v128.store(out + (<usize>at << 2), f32x4.mul(f, a))
  }
}

/**
 * For each occurrence p of `item` (its places in the events, and whose they are) adds
 * values[p] values[q] lags[q - p + span] to row[ids[q]] for the events q of the same person at most
 * `span` places away, but for p itself. `touched` 0, or a list of the items that became non-zero, whose
 * length is returned. `lags` 0: ones.
 */
export function occurrences(
  item: i32, placeOffsets: usize, places: usize, owners: usize, offsets: usize, ids: usize,
  values: usize, lags: usize, span: i32, row: usize, touched: usize,
): i32 {
  let count = 0
  const last = load<i32>(placeOffsets + (<usize>item << 2), 4)
  for (let o = load<i32>(placeOffsets + (<usize>item << 2)); o < last; o++) {
    const p = load<i32>(places + (<usize>o << 2))
    const owner = load<i32>(owners + (<usize>o << 2))
    const from = max(load<i32>(offsets + (<usize>owner << 2)), p - span)
    const until = min(load<i32>(offsets + (<usize>owner << 2), 4), p + span + 1)
    const own: f32 = values ? load<f32>(values + (<usize>p << 2)) : 1
    for (let q = from; q < until; q++) {
      let w = own
      if (values) w *= load<f32>(values + (<usize>q << 2))
      if (lags) w *= load<f32>(lags + (<usize>(q - p + span) << 2))
      if (w == 0) continue
      const id = <usize>load<i32>(ids + (<usize>q << 2))
      const place = row + (id << 2)
      const before = load<f32>(place)
      if (touched && before == 0) {
        store<i32>(touched + (<usize>count << 2), <i32>id)
        count++
      }
      store<f32>(place, before + w)
    }
  }
  return count
}

/** Co-occurrence of every item with every other, as a dense table of `items` rows of `row` bytes. */
export function coOccurDense(
  next: usize, scratch: usize, items: i32, placeOffsets: usize, places: usize, owners: usize,
  offsets: usize, ids: usize, values: usize, lags: usize, span: i32, out: usize, row: usize,
): void {
  while (true) {
    const item = atomic.add<i32>(next, 1)
    if (item >= items) return
    const target = out + <usize>item * row
    memory.fill(target, 0, row)
    occurrences(item, placeOffsets, places, owners, offsets, ids, values, lags, span, target, 0)
  }
}

/**
 * Co-occurrence as lists: for each item the `width` others with the greatest value after scaling by
 * rowScale[item] and columnScale[other], best first, the rest of the list -1. Equal values: lower number
 * first. Scratch: 12 bytes an item.
 */
export function coOccurLists(
  next: usize, scratch: usize, items: i32, placeOffsets: usize, places: usize, owners: usize,
  offsets: usize, ids: usize, values: usize, lags: usize, span: i32,
  rowScale: usize, columnScale: usize, width: i32, outIds: usize, outValues: usize,
): void {
  const row = scratch, touched = scratch + (<usize>items << 2)
  memory.fill(row, 0, <usize>items << 2)
  while (true) {
    const item = atomic.add<i32>(next, 1)
    if (item >= items) return
    const count = occurrences(
      item, placeOffsets, places, owners, offsets, ids, values, lags, span, row, touched)
    store<f32>(row + (<usize>item << 2), 0)
    const own: f32 = rowScale ? load<f32>(rowScale + (<usize>item << 2)) : 1
    const list = outIds + (<usize>item * width << 2), scores = outValues + (<usize>item * width << 2)
    keepBest(row, touched, count, own, columnScale, width, list, scores)
  }
}

/** Moves the best of `row`'s touched entries into a sorted list and clears the row. */
export function keepBest(
  row: usize, touched: usize, count: i32, own: f32, columnScale: usize, width: i32,
  list: usize, scores: usize,
): void {
  let size = 0
  for (let t = 0; t < count; t++) {
    const id = load<i32>(touched + (<usize>t << 2))
    const place = row + (<usize>id << 2)
    let value = load<f32>(place) * own
    store<f32>(place, 0)
    if (value == 0) continue
    if (columnScale) value *= load<f32>(columnScale + (<usize>id << 2))
    if (size < width) { up(list, scores, size, id, value); size++ }
    else if (isBefore(value, id, load<f32>(scores), load<i32>(list))) down(list, scores, size, id, value)
  }
  for (let end = size - 1; end > 0; end--) {
    const id = load<i32>(list + (<usize>end << 2)), value = load<f32>(scores + (<usize>end << 2))
    store<i32>(list + (<usize>end << 2), load<i32>(list))
    store<f32>(scores + (<usize>end << 2), load<f32>(scores))
    down(list, scores, end, id, value)
  }
  for (let k = size; k < width; k++) {
    store<i32>(list + (<usize>k << 2), -1)
    store<f32>(scores + (<usize>k << 2), 0)
  }
}

@inline function isBefore(value: f32, id: i32, otherValue: f32, other: i32): bool {
  return value > otherValue || (value == otherValue && id < other)
}

/** Sifts an entry up a heap whose root is the worst. */
export function up(list: usize, scores: usize, from: i32, id: i32, value: f32): void {
  let at = from
  while (at > 0) {
    const parent = (at - 1) >> 1
    const parentId = load<i32>(list + (<usize>parent << 2)), parentValue = load<f32>(scores + (<usize>parent << 2))
    if (!isBefore(parentValue, parentId, value, id)) break
    store<i32>(list + (<usize>at << 2), parentId)
    store<f32>(scores + (<usize>at << 2), parentValue)
    at = parent
  }
  store<i32>(list + (<usize>at << 2), id)
  store<f32>(scores + (<usize>at << 2), value)
}

/** Puts an entry at the root of a heap of `size` and sifts it down. */
export function down(list: usize, scores: usize, size: i32, id: i32, value: f32): void {
  let at = 0
  while (true) {
    let child = at * 2 + 1
    if (child >= size) break
    let childId = load<i32>(list + (<usize>child << 2)), childValue = load<f32>(scores + (<usize>child << 2))
    if (child + 1 < size) {
      const rightId = load<i32>(list + (<usize>child << 2), 4), rightValue = load<f32>(scores + (<usize>child << 2), 4)
      if (isBefore(childValue, childId, rightValue, rightId)) { child++; childId = rightId; childValue = rightValue }
    }
    if (!isBefore(value, id, childValue, childId)) break
    store<i32>(list + (<usize>at << 2), childId)
    store<f32>(scores + (<usize>at << 2), childValue)
    at = child
  }
  store<i32>(list + (<usize>at << 2), id)
  store<f32>(scores + (<usize>at << 2), value)
}

/** out[u] = sum over q in row u of values[q] times the list of ids[q]; rows of `items` numbers, set anew. */
export function listScores(
  next: usize, scratch: usize, n: i32, offsets: usize, ids: usize, values: usize,
  width: i32, listIds: usize, listValues: usize, items: i32, out: usize, outRow: usize,
): void {
  while (true) {
    const u = atomic.add<i32>(next, 1)
    if (u >= n) return
    const row = out + <usize>u * outRow
    memory.fill(row, 0, <usize>items << 2)
    const until = load<i32>(offsets + (<usize>u << 2), 4)
    for (let q = load<i32>(offsets + (<usize>u << 2)); q < until; q++) {
      const from = <usize>load<i32>(ids + (<usize>q << 2)) * width << 2
      const w: f32 = values ? load<f32>(values + (<usize>q << 2)) : 1
      addList(listIds + from, listValues + from, width, w, row)
    }
  }
}

/** One list of `listScores`. */
export function addList(list: usize, values: usize, width: i32, w: f32, row: usize): void {
  for (let end = list + (<usize>width << 2); list < end; list += 4, values += 4) {
    const id = load<i32>(list)
    if (id < 0) return
    const place = row + (<usize>id << 2)
    store<f32>(place, load<f32>(place) + w * load<f32>(values))
  }
}
