/**
 * Times in files: what they mean is judged once for a column, from its first values, and said; a
 * value that does not fit then is refused, never guessed by itself.
 */

/** How a column of times is written. */
export type TimeFormat = 's' | 'ms' | 'us' | 'iso' | 'mdy' | 'dmy'

/** The names of the formats, for options and messages. */
export const TIME_FORMATS: Readonly<Record<TimeFormat, string>> = {
  s: 'seconds since 1970',
  ms: 'milliseconds since 1970',
  us: 'microseconds since 1970',
  iso: 'ISO 8601, UTC where it names no zone',
  mdy: 'month/day/year, UTC',
  dmy: 'day/month/year, UTC',
}

/** The format of a column, or why it cannot be told. */
export function detectTimeFormat(
  samples: readonly string[],
): { readonly format: TimeFormat } | { readonly reason: string } {
  const values = samples.map(value => value.trim()).filter(value => value !== '')
  if (values.length === 0) return { reason: 'it is empty in the first rows' }
  const numbers = values.filter(value => NUMBER.test(value)).map(Number)
  if (numbers.length * 2 >= values.length) {
    const middle = numbers.sort((a, b) => a - b)[numbers.length >> 1] as number
    if (middle < SECONDS_MAX) return { format: 's' }
    return { format: middle < MILLISECONDS_MAX ? 'ms' : 'us' }
  }
  const dates = values.map(value => CALENDAR.exec(value)).filter(match => match !== null)
  if (dates.length * 2 >= values.length) {
    const isDayFirst = dates.some(match => Number(match[1]) > 12)
    const isMonthFirst = dates.some(match => Number(match[2]) > 12)
    if (isDayFirst !== isMonthFirst) return { format: isDayFirst ? 'dmy' : 'mdy' }
    return { reason: `${values[0]} may begin with the day or with the month` }
  }
  if (values.filter(value => ISO.test(value)).length * 2 >= values.length) return { format: 'iso' }
  return { reason: `${(values[0] as string).slice(0, 40)} is no time that is known here` }
}

/** Reads one value: milliseconds since the epoch, or undefined when it does not fit. */
export function readTimeText(value: string, format: TimeFormat): number | undefined {
  const text = value.trim()
  if (format === 's' || format === 'ms' || format === 'us') {
    if (!NUMBER.test(text)) return undefined
    const ms = Math.floor(Number(text) * PER_UNIT[format])
    return inRange(ms)
  }
  return format === 'iso' ? readIso(text) : readCalendar(text, format === 'dmy')
}

const NUMBER = /^\d{1,17}(\.\d{1,9})?$/
/** Of the year 5138 as seconds, of 1973 as milliseconds. */
const SECONDS_MAX = 1e11
const MILLISECONDS_MAX = 1e14
const PER_UNIT = { s: 1000, ms: 1, us: 0.001 } as const
const TIME_MAX_MS = 2 ** 48 - 1
const ISO = new RegExp(
  String.raw`^(\d{4})-(\d{2})-(\d{2})` +
    String.raw`(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?)?$`,
)
const CALENDAR = new RegExp(
  String.raw`^(\d{1,2})[/.](\d{1,2})[/.](\d{4})` +
    String.raw`(?:,?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([AaPp])\.?[Mm]\.?)?)?$`,
)

function readIso(text: string): number | undefined {
  const match = ISO.exec(text)
  if (match === null) return undefined
  const part = (index: number): number => Number(match[index] ?? 0)
  const fraction = Math.floor(Number(`0.${match[7] ?? '0'}`) * 1000)
  const ms = utc(part(1), part(2), part(3), part(4), part(5), part(6))
  return ms === undefined ? undefined : inRange(ms + fraction - offsetMs(match[8]))
}

function offsetMs(zone: string | undefined): number {
  if (zone === undefined || !/^[+-]/.test(zone)) return 0
  const digits = zone.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || 0)
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000
}

function readCalendar(text: string, isDayFirst: boolean): number | undefined {
  const match = CALENDAR.exec(text)
  if (match === null) return undefined
  const part = (index: number): number => Number(match[index] ?? 0)
  let hour = part(4)
  const half = match[7]?.toLowerCase()
  if (half !== undefined) {
    if (hour < 1 || hour > 12) return undefined
    hour = (hour % 12) + (half === 'p' ? 12 : 0)
  }
  const [day, month] = isDayFirst ? [part(1), part(2)] : [part(2), part(1)]
  const ms = utc(part(3), month, day, hour, part(5), part(6))
  return ms === undefined ? undefined : inRange(ms)
}

/** Refuses what the calendar does not have, such as 30 February. */
function utc(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  const date = new Date(ms)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? ms : undefined
}

function inRange(ms: number): number | undefined {
  return ms >= 0 && ms <= TIME_MAX_MS ? ms : undefined
}
