/**
 * Quantiles of Student's t for intervals: Hill's algorithm 396 (1970), six digits from one degree of
 * freedom on, whole or not. Own code, because the libraries that have it bring megabytes into a
 * package that runs in browsers.
 */

/** The value that a t of `freedom` degrees (at least 1) stays below with `probability`, above 1/2. */
export function studentQuantile(probability: number, freedom: number): number {
  const tails = 2 * (1 - probability)
  if (freedom === 1) return 1 / Math.tan((tails * Math.PI) / 2)
  if (freedom === 2) return Math.sqrt(2 / (tails * (2 - tails)) - 2)
  const a = 1 / (freedom - 0.5)
  const b = 48 / (a * a)
  let c = (((20_700 * a) / b - 98) * a - 16) * a + 96.36
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * freedom
  let y = (d * tails) ** (2 / freedom)
  if (y > 0.05 + a) {
    const x = -normalQuantile(probability)
    y = x * x
    if (freedom < 5) c += 0.3 * (freedom - 4.5) * (x + 0.6)
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
    y = Math.expm1(a * y * y)
  } else {
    const tail = 1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3)
    y = ((tail + 0.5 / (freedom + 4)) * y - 1) * ((freedom + 1) / (freedom + 2)) + 1 / y
  }
  return Math.sqrt(freedom * y)
}

/** Coefficients of Acklam's approximation (2003; relative error below 1.2e-9), the highest power first. */
const CENTRE = {
  above: [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
    2.506628277459239,
  ],
  below: [
    -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972,
    -13.28068155288572, 1,
  ],
}
const TAIL = {
  from: 0.97575,
  above: [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734,
    4.374664141464968, 2.938163982698783,
  ],
  below: [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1],
}

/** The value that a standard normal stays below with `probability`, from 1/2 up to below 1. */
function normalQuantile(probability: number): number {
  const powers = (of: readonly number[], x: number): number => of.reduce((sum, c) => sum * x + c, 0)
  if (probability > TAIL.from) {
    const x = Math.sqrt(-2 * Math.log(1 - probability))
    return -powers(TAIL.above, x) / powers(TAIL.below, x)
  }
  const x = probability - 0.5
  return (x * powers(CENTRE.above, x * x)) / powers(CENTRE.below, x * x)
}
