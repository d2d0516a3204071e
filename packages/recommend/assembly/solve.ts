/** Triangles: the diagonal blocks of a Cholesky factorisation, and the conjugate gradient of implicit ALS. */
import { fma } from './dense'

/**
 * Factorises the n x n block at `block` (lower triangle, rows of `row` bytes) in place into L, and writes
 * L^-1 into `inverse` (n x n, rows of n numbers, zeros above). A pivot that is not positive writes 1 at
 * `failed`. One thread does it; sums in f64.
 */
export function factorise(next: usize, scratch: usize, block: usize, n: i32, row: usize, inverse: usize, failed: usize): void {
  if (atomic.add<i32>(next, 1) > 0) return
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum: f64 = load<f32>(block + <usize>i * row + (<usize>j << 2))
      const x = block + <usize>i * row, y = block + <usize>j * row
      for (let p: usize = 0; p < (<usize>j << 2); p += 4) sum -= <f64>load<f32>(x + p) * <f64>load<f32>(y + p)
      const place = block + <usize>i * row + (<usize>j << 2)
      if (i == j) {
        if (!(sum > 0)) { store<i32>(failed, 1); return }
        store<f32>(place, <f32>Math.sqrt(sum))
      } else store<f32>(place, <f32>(sum / <f64>load<f32>(block + <usize>j * row + (<usize>j << 2))))
    }
  }
  memory.fill(inverse, 0, <usize>(n * n) << 2)
  const width = <usize>n << 2
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum: f64 = i == j ? 1 : 0
      for (let p = j; p < i; p++)
        sum -= <f64>load<f32>(block + <usize>i * row + (<usize>p << 2)) * <f64>load<f32>(inverse + <usize>p * width + (<usize>j << 2))
      store<f32>(inverse + <usize>i * width + (<usize>j << 2), <f32>(sum / <f64>load<f32>(block + <usize>i * row + (<usize>i << 2))))
    }
  }
}

@inline function sum4(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3)
}

@inline function dot(a: usize, b: usize, bytes: usize): f32 {
  let s = f32x4.splat(0), t = s, u = s, v = s
  for (const end = a + bytes; a < end; a += 64, b += 64) {
    s = fma(v128.load(a), v128.load(b), s); t = fma(v128.load(a, 16), v128.load(b, 16), t)
    u = fma(v128.load(a, 32), v128.load(b, 32), u); v = fma(v128.load(a, 48), v128.load(b, 48), v)
  }
  return sum4(f32x4.add(f32x4.add(s, t), f32x4.add(u, v)))
}

/** y += t x */
@inline function axpy(t: f32, x: usize, y: usize, bytes: usize): void {
  const w = f32x4.splat(t)
  for (const end = x + bytes; x < end; x += 64, y += 64) {
    v128.store(y, fma(w, v128.load(x), v128.load(y))); v128.store(y, fma(w, v128.load(x, 16), v128.load(y, 16)), 16)
    v128.store(y, fma(w, v128.load(x, 32), v128.load(y, 32)), 32); v128.store(y, fma(w, v128.load(x, 48), v128.load(y, 48)), 48)
  }
}

/** out = G x for a symmetric G, four columns at a time. */
@inline function symmetric(g: usize, x: usize, out: usize, d: i32, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) v128.store(out + at, f32x4.splat(0))
  for (let k = 0; k < d; k += 4) {
    const p = x + (<usize>k << 2)
    const a = v128.load32_splat(p), b = v128.load32_splat(p, 4), c = v128.load32_splat(p, 8), e = v128.load32_splat(p, 12)
    let row = g + <usize>k * bytes
    for (let o = out, end = out + bytes; o < end; o += 16, row += 16)
      v128.store(o, fma(a, v128.load(row), fma(b, v128.load(row + bytes), fma(c, v128.load(row + 2 * bytes), fma(e, v128.load(row + 3 * bytes), v128.load(o))))))
  }
}

/**
 * Conjugate-gradient steps for each row x of X towards
 * (G + sum w y y' + lambda I) x = sum w y, over the rows y of `others` that the person's events name.
 * d is a multiple of 16; scratch 12 d bytes.
 */
export function alsHalf(
  next: usize, scratch: usize, n: i32, offsets: usize, ids: usize, weights: usize,
  others: usize, own: usize, d: i32, gram: usize, lambda: usize, steps: i32,
): void {
  while (true) {
    const first = atomic.add<i32>(next, 16)
    if (first >= n) return
    for (let u = first, end = min(first + 16, n); u < end; u++)
      alsRow(u, offsets, ids, weights, others, own + (<usize>(u * d) << 2), d, gram, load<f32>(lambda + (<usize>u << 2)), steps, scratch)
  }
}

/** One row of `alsHalf`. */
export function alsRow(
  u: i32, offsets: usize, ids: usize, weights: usize, others: usize, x: usize, d: i32,
  gram: usize, lambda: f32, steps: i32, scratch: usize,
): void {
  const bytes = <usize>d << 2
  const r = scratch, p = scratch + bytes, q = scratch + 2 * bytes
  const from = load<i32>(offsets + (<usize>u << 2)), until = load<i32>(offsets + (<usize>u << 2), 4)
  if (from == until) { memory.fill(x, 0, bytes); return }
  symmetric(gram, x, q, d, bytes)
  const l = f32x4.splat(lambda)
  for (let at: usize = 0; at < bytes; at += 16) v128.store(r + at, f32x4.neg(fma(l, v128.load(x + at), v128.load(q + at))))
  for (let k = from; k < until; k++) {
    const y = others + <usize>load<i32>(ids + (<usize>k << 2)) * bytes
    const w: f32 = weights ? load<f32>(weights + (<usize>k << 2)) : 1
    axpy(w * (1 - dot(y, x, bytes)), y, r, bytes)
  }
  memory.copy(p, r, bytes)
  let square = dot(r, r, bytes)
  for (let step = 0; step < steps && square > 1e-20; step++) {
    symmetric(gram, p, q, d, bytes)
    for (let at: usize = 0; at < bytes; at += 16) v128.store(q + at, fma(l, v128.load(p + at), v128.load(q + at)))
    for (let k = from; k < until; k++) {
      const y = others + <usize>load<i32>(ids + (<usize>k << 2)) * bytes
      const w: f32 = weights ? load<f32>(weights + (<usize>k << 2)) : 1
      axpy(w * dot(y, p, bytes), y, q, bytes)
    }
    const alpha = square / dot(p, q, bytes)
    axpy(alpha, p, x, bytes); axpy(-alpha, q, r, bytes)
    const after = dot(r, r, bytes), beta = f32x4.splat(after / square)
    for (let at: usize = 0; at < bytes; at += 16) v128.store(p + at, fma(beta, v128.load(p + at), v128.load(r + at)))
    square = after
  }
}
