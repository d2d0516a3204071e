/**
 * Dense algebra on the kernels: products, Cholesky factors, inverses. Blocked, in f32 with f64 on the
 * diagonal; 2/3 n^3 multiply-adds for a factor and its inverse, nearly all of them in `gemm`.
 */
import type { Floats, Workspace } from './workspace.ts'

/** What a matrix is, seen by a kernel: element (i, j) is at i * rowStride + j * columnStride. */
export interface Matrix {
  readonly array: Floats
  /** Index of the first element; default 0. */
  readonly at?: number
  readonly rowStride: number
  readonly columnStride: number
}

/** Which tiles count; the names are those of the kernel. */
export const SHAPE = { lower: 1, untilI: 2, untilJ: 4, fromI: 8, fromJ: 16 } as const

const GEMM_SCRATCH = (128 * 256 + 256 * 256) * 4
const BLOCK = 128

/** Rows one after the other, `columns` numbers each. */
export function rows(array: Floats, columns: number, at = 0): Matrix {
  return { array, at, rowStride: columns, columnStride: 1 }
}

/** The same numbers with rows and columns exchanged. */
export function transposed({ array, at = 0, rowStride, columnStride }: Matrix): Matrix {
  return { array, at, rowStride: columnStride, columnStride: rowStride }
}

/** out = alpha A B + beta out; `out` has a column stride of 1. */
export async function multiply(
  workspace: Workspace,
  {
    m,
    n,
    depth,
    a,
    b,
    out,
    alpha = 1,
    beta = 0,
    shape = 0,
  }: {
    readonly m: number
    readonly n: number
    readonly depth: number
    readonly a: Matrix
    readonly b: Matrix
    readonly out: Matrix
    readonly alpha?: number
    readonly beta?: number
    readonly shape?: number
  },
): Promise<void> {
  const address = ({ array, at = 0 }: Matrix): number => array.byteOffset + at * 4
  await workspace.run(
    'gemm',
    { work: m * n * depth, scratchBytes: GEMM_SCRATCH },
    m,
    n,
    depth,
    alpha,
    beta,
    address(a),
    a.rowStride * 4,
    a.columnStride * 4,
    address(b),
    b.rowStride * 4,
    b.columnStride * 4,
    address(out),
    out.rowStride * 4,
    shape,
  )
}

/**
 * The inverse of the Cholesky factor: for a symmetric positive definite A (n x n, lower triangle read,
 * rows of `stride` numbers; overwritten by its factor L), M = L^-1 with zeros above, rows of `stride`.
 * Undefined when A is not positive definite in f32.
 */
export async function inverseFactor(
  workspace: Workspace,
  a: Floats,
  n: number,
  stride: number,
): Promise<Floats | undefined> {
  const inverse = workspace.floats(n * stride)
  const panel = workspace.floats(n * BLOCK)
  const diagonal = workspace.floats(BLOCK * BLOCK)
  const failed = workspace.ints(1)
  let isDefinite = true
  for (let at = 0; at < n && isDefinite; at += BLOCK) {
    const size = Math.min(BLOCK, n - at)
    const below = n - at - size
    await workspace.run('factorise', { work: 0 }, a.byteOffset + (at * stride + at) * 4, size, stride * 4, diagonal, failed) // prettier-ignore
    isDefinite = failed[0] === 0
    if (!isDefinite) break
    if (below > 0) {
      const left = rows(a, stride, (at + size) * stride + at)
      await multiply(workspace, { m: below, n: size, depth: size, a: left, b: transposed(rows(diagonal, size)), out: rows(panel, size) }) // prettier-ignore
      for (let i = 0; i < below; i++)
        a.set(panel.subarray(i * size, (i + 1) * size), (at + size + i) * stride + at)
      await multiply(workspace, { m: below, n: below, depth: size, a: rows(panel, size), b: transposed(rows(panel, size)), out: rows(a, stride, (at + size) * stride + at + size), alpha: -1, beta: 1, shape: SHAPE.lower }) // prettier-ignore
    }
    for (let i = 0; i < size; i++)
      inverse.set(diagonal.subarray(i * size, i * size + i + 1), (at + i) * stride + at)
    if (at > 0) {
      // M[at, before] = -L[at, at]^-1 (L[at, before] M[before, before])
      await multiply(workspace, { m: size, n: at, depth: at, a: rows(a, stride, at * stride), b: rows(inverse, stride), out: rows(panel, at), shape: SHAPE.fromJ }) // prettier-ignore
      await multiply(workspace, { m: size, n: at, depth: size, a: rows(diagonal, size), b: rows(panel, at), out: rows(inverse, stride, at * stride), alpha: -1 }) // prettier-ignore
    }
  }
  workspace.free(panel, diagonal, failed)
  if (isDefinite) return inverse
  workspace.free(inverse)
  return undefined
}

/** The inverse of a symmetric positive definite matrix, in the place of it, whole; false when it has none in f32. */
export async function invert(
  workspace: Workspace,
  a: Floats,
  n: number,
  stride: number,
): Promise<boolean> {
  const factor = await inverseFactor(workspace, a, n, stride)
  if (factor === undefined) return false
  const m = rows(factor, stride)
  await multiply(workspace, { m: n, n, depth: n, a: transposed(m), b: m, out: rows(a, stride), shape: SHAPE.lower | SHAPE.fromI | SHAPE.fromJ }) // prettier-ignore
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) a[j * stride + i] = a[i * stride + j] as number
  workspace.free(factor)
  return true
}
