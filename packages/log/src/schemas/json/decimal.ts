/** Decimal arithmetic on JSON numbers: 0.3 is a multiple of 0.1, which binary fractions deny. */

/** True when `dividend` is a whole multiple of `divisor`, both as the decimals that they are written as. */
export function remainderIsZero(dividend: number, divisor: number): boolean {
  const [a, b] = [decimalOf(dividend), decimalOf(divisor)]
  if (b.digits === 0n) return false
  const exponent = Math.min(a.exponent, b.exponent)
  const scaled = (x: Decimal): bigint => x.digits * 10n ** BigInt(x.exponent - exponent)
  return scaled(a) % scaled(b) === 0n
}

interface Decimal {
  readonly digits: bigint
  readonly exponent: number
}

function decimalOf(value: number): Decimal {
  const [mantissa = '0', power = '0'] = String(value).split('e')
  const [whole = '0', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(power) - fraction.length }
}
