import ms, { type StringValue } from 'ms'
import { coreErrors } from './errors.ts'

/** A length of time: milliseconds, or text such as `90s`, `15m`, `6h`, `7d`. */
export type Duration = number | StringValue

/** Milliseconds of a duration; throws DURATION_INVALID when it is not positive, finite and readable. */
export function durationMs(value: Duration): number {
  const isText = typeof value === 'string' && value.length > 0 && value.length <= 100
  const result = isText ? ms(value) : value
  if (typeof result !== 'number' || !Number.isFinite(result) || result <= 0) {
    throw coreErrors.create('DURATION_INVALID', { value })
  }
  return Math.round(result)
}
