/** From scores to lists: standardising and blending rows of scores, and the exact best of each. */
import { down, up } from './sparse'

/**
 * total[u] += weight * (s - mean) / deviation for s = scores[u] * itemScale, mean and deviation over the
 * items that are not in row u of `seen`. A row without spread adds nothing. `itemScale` may be 0: ones.
 */
export function blend(
  next: usize,
  scratch: usize,
  n: i32,
  items: i32,
  scores: usize,
  scoreRow: usize,
  itemScale: usize,
  seenOffsets: usize,
  seenIds: usize,
  weight: f32,
  total: usize,
  totalRow: usize,
): void {
  while (true) {
    const u = atomic.add<i32>(next, 1)
    if (u >= n) return
    const seen = seenOffsets + ((<usize>u) << 2)
    blendRow(
      scores + <usize>u * scoreRow,
      items,
      itemScale,
      seenIds + ((<usize>load<i32>(seen)) << 2),
      load<i32>(seen, 4) - load<i32>(seen),
      weight,
      total + <usize>u * totalRow,
    )
  }
}

/** One row of `blend`. */
export function blendRow(
  row: usize,
  items: i32,
  itemScale: usize,
  seen: usize,
  seenCount: i32,
  weight: f32,
  total: usize,
): void {
  let sum: f64 = 0,
    square: f64 = 0
  for (let i = 0; i < items; i++) {
    const place = row + ((<usize>i) << 2)
    let s = load<f32>(place)
    if (itemScale) {
      s *= load<f32>(itemScale + ((<usize>i) << 2))
      store<f32>(place, s)
    }
    sum += s
    square += <f64>s * s
  }
  for (let k = 0; k < seenCount; k++) {
    const s = <f64>load<f32>(row + ((<usize>load<i32>(seen + ((<usize>k) << 2))) << 2))
    sum -= s
    square -= s * s
  }
  const count = <f64>(items - seenCount)
  if (count <= 0) return
  const mean = sum / count,
    variance = square / count - mean * mean
  if (!(variance > 1e-24) || !(variance > 1e-10 * mean * mean)) return
  const factor = <f32>(<f64>weight / Math.sqrt(variance)),
    shift = <f32>(-mean * <f64>factor)
  for (let i = 0; i < items; i++) {
    const place = total + ((<usize>i) << 2)
    store<f32>(place, load<f32>(place) + factor * load<f32>(row + ((<usize>i) << 2)) + shift)
  }
}

/**
 * The best `k` items of each row that are not in its row of `seen`, best first; equal scores: the lower
 * number first; -1 where there are fewer. The scores of seen items are lost.
 */
export function top(
  next: usize,
  scratch: usize,
  n: i32,
  items: i32,
  scores: usize,
  scoreRow: usize,
  seenOffsets: usize,
  seenIds: usize,
  k: i32,
  outIds: usize,
  outScores: usize,
): void {
  while (true) {
    const u = atomic.add<i32>(next, 1)
    if (u >= n) return
    const seen = seenOffsets + ((<usize>u) << 2),
      row = scores + <usize>u * scoreRow
    for (let q = load<i32>(seen); q < load<i32>(seen, 4); q++)
      store<f32>(row + ((<usize>load<i32>(seenIds + ((<usize>q) << 2))) << 2), -Infinity)
    topRow(row, items, k, outIds + ((<usize>(u * k)) << 2), outScores + ((<usize>(u * k)) << 2))
  }
}

/** One row of `top`. */
export function topRow(row: usize, items: i32, k: i32, list: usize, values: usize): void {
  let size = 0
  let least: f32 = -Infinity
  for (let i = 0; i < items; i++) {
    const s = load<f32>(row + ((<usize>i) << 2))
    if (!(s > least)) continue
    if (size < k) {
      up(list, values, size, i, s)
      size++
    } else down(list, values, size, i, s)
    if (size == k) least = load<f32>(values)
  }
  for (let end = size - 1; end > 0; end--) {
    const id = load<i32>(list + ((<usize>end) << 2)),
      value = load<f32>(values + ((<usize>end) << 2))
    store<i32>(list + ((<usize>end) << 2), load<i32>(list))
    store<f32>(values + ((<usize>end) << 2), load<f32>(values))
    down(list, values, end, id, value)
  }
  for (let at = size; at < k; at++) {
    store<i32>(list + ((<usize>at) << 2), -1)
    store<f32>(values + ((<usize>at) << 2), -Infinity)
  }
}
