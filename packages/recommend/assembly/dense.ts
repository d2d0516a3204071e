/**
 * Dense products in f32x4. `gemm` packs both operands into panels, so that any strides cost the same,
 * and gives each tile of the result to one thread: the answer does not depend on how many there are.
 */

/** True in the build with relaxed fused multiply-add, false in the plain one. */
@inline export const FUSED: bool = isDefined(ASC_FUSED)

@inline export function fma(a: v128, b: v128, c: v128): v128 {
  return FUSED ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
}

/** Rows and columns of a tile of the result, and the depth of what is packed at once. */
const TILE_M: i32 = 128
const TILE_N: i32 = 256
const DEPTH: i32 = 256
/** Rows and columns of a panel. */
const PANEL_M: i32 = 4
const PANEL_N: i32 = 8

/** Only tiles that touch the lower triangle of the result. */
const LOWER: i32 = 1
/** Which part of the depth p is not zero, for the tile of rows i and columns j. */
const UNTIL_I: i32 = 2
const UNTIL_J: i32 = 4
const FROM_I: i32 = 8
const FROM_J: i32 = 16

/** Packs `count` vectors of `depth` numbers into panels of `width`, the last filled up with zeros. */
export function pack(
  from: usize, count: i32, depth: i32, stride: usize, step: usize, width: i32, to: usize,
): void {
  let target = to
  for (let first = 0; first < count; first += width) {
    const present = min(width, count - first)
    const source = from + <usize>first * stride
    if (present == width && stride == 4) {
      let row = source
      for (let p = 0; p < depth; p++) {
        v128.store(target, v128.load(row))
        if (width == 8) v128.store(target, v128.load(row, 16), 16)
        target += <usize>width << 2
        row += step
      }
    } else {
      for (let p = 0; p < depth; p++) {
        const column = source + <usize>p * step
        for (let c = 0; c < width; c++) {
          const value: f32 = c < present ? load<f32>(column + <usize>c * stride) : 0
          store<f32>(target, value)
          target += 4
        }
      }
    }
  }
}

/** One 4 x 8 block: out += alpha * sum over p of a[p][0..4) b[p][0..8), of which rows x columns are kept. */
export function block(
  a: usize, b: usize, depth: i32, alpha: f32, out: usize, row: usize, rows: i32, columns: i32,
): void {
  let a0 = f32x4.splat(0), a1 = a0, b0 = a0, b1 = a0, c0 = a0, c1 = a0, d0 = a0, d1 = a0
  for (let end = a + (<usize>depth << 4); a < end; a += 16, b += 32) {
    const x = v128.load(b), y = v128.load(b, 16)
    let t = v128.load32_splat(a)
    a0 = fma(t, x, a0); a1 = fma(t, y, a1)
    t = v128.load32_splat(a, 4)
    b0 = fma(t, x, b0); b1 = fma(t, y, b1)
    t = v128.load32_splat(a, 8)
    c0 = fma(t, x, c0); c1 = fma(t, y, c1)
    t = v128.load32_splat(a, 12)
    d0 = fma(t, x, d0); d1 = fma(t, y, d1)
  }
  const s = f32x4.splat(alpha)
  if (columns == 8) {
    v128.store(out, fma(s, a0, v128.load(out))); v128.store(out, fma(s, a1, v128.load(out, 16)), 16)
    if (rows > 1) { out += row; v128.store(out, fma(s, b0, v128.load(out))); v128.store(out, fma(s, b1, v128.load(out, 16)), 16) }
    if (rows > 2) { out += row; v128.store(out, fma(s, c0, v128.load(out))); v128.store(out, fma(s, c1, v128.load(out, 16)), 16) }
    if (rows > 3) { out += row; v128.store(out, fma(s, d0, v128.load(out))); v128.store(out, fma(s, d1, v128.load(out, 16)), 16) }
    return
  }
  partial(out, s, a0, a1, columns)
  if (rows > 1) partial(out + row, s, b0, b1, columns)
  if (rows > 2) partial(out + 2 * row, s, c0, c1, columns)
  if (rows > 3) partial(out + 3 * row, s, d0, d1, columns)
}

function partial(out: usize, s: v128, low: v128, high: v128, columns: i32): void {
  if (columns >= 4) {
    v128.store(out, fma(s, low, v128.load(out)))
    out += 16; columns -= 4; low = high
  }
  const x = f32x4.mul(s, low)
  if (columns > 0) store<f32>(out, load<f32>(out) + f32x4.extract_lane(x, 0))
  if (columns > 1) store<f32>(out + 4, load<f32>(out + 4) + f32x4.extract_lane(x, 1))
  if (columns > 2) store<f32>(out + 8, load<f32>(out + 8) + f32x4.extract_lane(x, 2))
}

/** One tile of the result over one depth, from packed panels. */
export function tile(
  a: usize, b: usize, m: i32, n: i32, depth: i32, alpha: f32, out: usize, row: usize,
): void {
  for (let j = 0; j < n; j += PANEL_N) {
    const panel = b + ((<usize>j * depth) << 2)
    for (let i = 0; i < m; i += PANEL_M) {
      block(a + ((<usize>i * depth) << 2), panel, depth, alpha,
        out + <usize>i * row + (<usize>j << 2), row, min(PANEL_M, m - i), min(PANEL_N, n - j))
    }
  }
}

/**
 * out (m x n) = alpha A B + beta out. A(i, p) is at a + i * ai + p * ap, B(p, j) at b + p * bp + j * bj,
 * a row of the result is `row` bytes. All strides in bytes.
 */
export function gemm(
  next: usize, scratch: usize, m: i32, n: i32, depth: i32, alpha: f32, beta: f32,
  a: usize, ai: usize, ap: usize, b: usize, bp: usize, bj: usize, out: usize, row: usize, shape: i32,
): void {
  const packedA = scratch
  const packedB = scratch + (TILE_M * DEPTH << 2)
  const down = (m + TILE_M - 1) / TILE_M
  const across = (n + TILE_N - 1) / TILE_N
  while (true) {
    const at = atomic.add<i32>(next, 1)
    if (at >= down * across) return
    // The last rows first: in a triangle they are the longest.
    const i0 = (down - 1 - at / across) * TILE_M, j0 = (at % across) * TILE_N
    const mt = min(TILE_M, m - i0), nt = min(TILE_N, n - j0)
    if ((shape & LOWER) && j0 >= i0 + mt) continue
    const target = out + <usize>i0 * row + (<usize>j0 << 2)
    if (beta != 1) scaleTile(target, row, mt, nt, beta)
    let from = 0, until = depth
    if (shape & UNTIL_I) until = min(until, i0 + mt)
    if (shape & UNTIL_J) until = min(until, j0 + nt)
    if (shape & FROM_I) from = max(from, i0)
    if (shape & FROM_J) from = max(from, j0)
    for (let p0 = from; p0 < until; p0 += DEPTH) {
      const pt = min(DEPTH, until - p0)
      pack(a + <usize>i0 * ai + <usize>p0 * ap, mt, pt, ai, ap, PANEL_M, packedA)
      pack(b + <usize>p0 * bp + <usize>j0 * bj, nt, pt, bj, bp, PANEL_N, packedB)
      tile(packedA, packedB, mt, nt, pt, alpha, target, row)
    }
  }
}

export function scaleTile(out: usize, row: usize, rows: i32, columns: i32, beta: f32): void {
  for (let i = 0; i < rows; i++, out += row) {
    if (beta == 0) memory.fill(out, 0, <usize>columns << 2)
    else for (let j = 0; j < columns; j++) {
      const place = out + (<usize>j << 2)
      store<f32>(place, beta * load<f32>(place))
    }
  }
}
