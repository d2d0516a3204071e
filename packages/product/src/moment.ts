/** Moments of the past in requests. */
import {
  decodePosition,
  POSITION_PATTERN,
  readTime,
  timeSchema,
  type JsonSchema,
} from '@millrace/core'
import type { Moment } from '@millrace/streams'
import { productErrors } from './errors.ts'

/** A query parameter that takes a moment: a position of an earlier answer, or a time of arrival. */
export function momentParameter(description: string): JsonSchema {
  const times = timeSchema['anyOf'] as readonly JsonSchema[]
  const choices = 'a position of an earlier answer, or a time of arrival (milliseconds since the epoch or RFC 3339), what arrived then included' // prettier-ignore
  return {
    anyOf: [{ type: 'string', pattern: POSITION_PATTERN }, ...times],
    description: `${description}: ${choices}.`,
  }
}

/** The parameter `at` of reads. */
export const atParameter = momentParameter('As it was then, by the events that had arrived')

/** Errors of reads that take `at`. */
export const MOMENT_ERRORS: readonly string[] = [
  'MOMENT_AHEAD',
  'MOMENT_EMPTY',
  'MOMENT_GONE',
  'PAST_BUSY',
  'POSITION_INVALID',
  'POSITION_NOT_REACHED',
]

/** The moment in the query parameter `name`; undefined when it was not given. Throws REQUEST_INVALID, POSITION_INVALID. */
export function momentIn(
  query: Readonly<Record<string, unknown>>,
  name: string,
): Moment | undefined {
  const value = query[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' && value.startsWith('p1.')) {
    return { position: decodePosition(value) }
  }
  const timeMs = readTime(value)
  if (timeMs !== undefined) return { timeMs }
  const reason = 'it is a position, milliseconds since the epoch, or RFC 3339 text'
  throw productErrors.create('REQUEST_INVALID', { name: `the query, /${name}`, reason })
}
