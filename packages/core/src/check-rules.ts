/** Checks, compiled: what an event is told by a rule of a row, and what it adds to the counts of a check. */
import {
  isRowRule,
  ruleName,
  type Bounds,
  type CheckDefinition,
  type CheckRule,
  type RowRule,
  type RuleName,
  type Severity,
  type TextType,
} from './check.ts'
import { durationMs } from './duration.ts'

type Data = Readonly<Record<string, unknown>>

/** True when there is such an item, as far as who asks knows; undefined when that is not known. */
export type KnownItems = (kind: string, id: string) => boolean | undefined

/** What an event adds to a check: numbers that are summed, and the value that is to be the only one of its kind. */
export interface CheckCounts {
  readonly counts: readonly number[]
  readonly value?: string | number | undefined
}

/** A check, compiled. */
export interface CompiledCheck {
  readonly name: string
  readonly definition: CheckDefinition
  readonly rule: RuleName
  readonly isRow: boolean
  readonly severity: Severity
  /** The item kind that the rule `exists` asks for. */
  readonly refersTo: string | undefined
  /** Length of its windows, and how many of them make a verdict. */
  readonly stepMs: number
  readonly steps: number
  /** Numbers that are summed: events, then what the rule counts of them. */
  readonly width: number
  /** True when the values of a window are compared with each other. */
  readonly hasValues: boolean
  /** JSON Pointer of what is looked at, in an event's envelope. */
  readonly path: string
  /** What makes it another check. */
  readonly content: string
  /** True for the events that it looks at. */
  looksAt(data: Data): boolean
  /** Why an event does not fit a rule of a row; undefined when it does. Tells no personal value. */
  fault(data: Data, isKnown: KnownItems): string | undefined
  /** What an event adds; undefined for one that it does not look at. */
  countsOf(data: Data, isKnown: KnownItems): CheckCounts | undefined
  /** Why what was counted is not as expected; undefined when it is, or when there is too little to say. */
  verdict(counts: readonly number[], repeated: number): CheckVerdict
}

/** What a window of counts is told. */
export interface CheckVerdict {
  readonly state: 'ok' | 'failing' | 'unknown'
  /** What was found, in words. */
  readonly found: string
}

/** A freshness is judged in steps of a sixth of it. */
const FRESH_STEPS = 6

/** Compiles a check that `defineApp` has seen. */
export function compileCheck(name: string, definition: CheckDefinition): CompiledCheck {
  const { expect, field, severity, when, per, atLeast, of } = definition
  const rule = ruleName(expect)
  const isRow = isRowRule(expect)
  const isPersonal = field === undefined || of.fields[field]?.isPersonal === true
  const judge = isRow ? rowJudge(expect) : undefined
  const looksAt = (data: Data): boolean => when === undefined || when(data as never)
  const fresh = 'fresh' in expect ? durationMs(expect.fresh) : undefined
  const shown = (value: unknown): string => (isPersonal ? 'it' : show(value))
  const fault = (data: Data, isKnown: KnownItems): string | undefined => {
    if (judge === undefined || !looksAt(data)) return undefined
    if (field === undefined) return judge(data, isKnown, shown)
    const value = data[field]
    if (value === undefined) return rule === 'present' ? 'it is missing' : undefined
    if (!Array.isArray(value) || rule === 'length') return judge(value, isKnown, shown)
    for (const each of value) {
      const reason = judge(each, isKnown, shown)
      if (reason !== undefined) return reason
    }
    return undefined
  }
  const counter = counterOf(expect, field)
  return {
    name,
    definition,
    rule,
    isRow,
    severity,
    refersTo: 'exists' in expect ? expect.exists.name : undefined,
    stepMs: fresh === undefined ? durationMs(per) : Math.max(1, Math.ceil(fresh / FRESH_STEPS)),
    steps: fresh === undefined ? 1 : FRESH_STEPS,
    width: WIDTHS[rule] ?? 2,
    hasValues: rule === 'unique',
    path: field === undefined ? '/data' : `/data/${field}`,
    content: contentOf(definition),
    looksAt,
    fault,
    countsOf(data, isKnown) {
      if (!isTrue(() => looksAt(data), true)) return undefined
      if (isRow) return { counts: [1, isTrue(() => fault(data, isKnown) !== undefined, true) ? 1 : 0] } // prettier-ignore
      return counter(data)
    },
    verdict: (counts, repeated) => verdictOf(expect, { counts, repeated, atLeast }),
  }
}

/** How many numbers a rule sums; 2 where nothing is said. */
const WIDTHS: Partial<Readonly<Record<RuleName, number>>> = {
  volume: 1,
  fresh: 1,
  unique: 1,
  quantile: 3,
}

/** Code of a check that throws tells nothing good of the event. */
function isTrue(run: () => boolean, otherwise: boolean): boolean {
  try {
    return run()
  } catch {
    return otherwise
  }
}

type Judge = (
  value: unknown,
  isKnown: KnownItems,
  shown: (value: unknown) => string,
) => string | undefined

function rowJudge(rule: RowRule): Judge {
  if ('present' in rule) return value => (value === '' ? 'it is empty' : undefined)
  if ('type' in rule) {
    const { type } = rule
    return (value, _, shown) => READS[type](value as string) ? undefined : `${shown(value)} is no ${type}` // prettier-ignore
  }
  if ('range' in rule) return (value, _, shown) => outside(value as number, rule.range, shown)
  if ('length' in rule) {
    return value => {
      const { length } = value as string | readonly unknown[]
      const reason = outside(length, rule.length, show)
      return reason === undefined ? undefined : `its length ${reason}`
    }
  }
  if ('oneOf' in rule) {
    const known = new Set<unknown>(rule.oneOf)
    return (value, _, shown) => known.has(value) ? undefined : `${shown(value)} is none of the ${known.size} that are expected` // prettier-ignore
  }
  if ('pattern' in rule) {
    const { pattern } = rule
    return (value, _, shown) => pattern.test(value as string) ? undefined : `${shown(value)} does not match ${String(pattern)}` // prettier-ignore
  }
  if ('exists' in rule) {
    const kind = rule.exists.name
    return (value, isKnown, shown) => isKnown(kind, value as string) === false ? `there is no ${kind} ${shown(value)}` : undefined // prettier-ignore
  }
  const { that } = rule
  return data => (that(data as never) ? undefined : 'it is not as the check says')
}

function outside(
  value: number,
  { min = -Infinity, max = Infinity }: Bounds,
  shown: (value: unknown) => string,
): string | undefined {
  if (value < min) return `${shown(value)} is below ${min}`
  return value > max ? `${shown(value)} is above ${max}` : undefined
}

const SHOWN_MAX = 64

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}

const READS: Readonly<Record<TextType, (text: string) => boolean>> = {
  integer: text => /^[+-]?\d{1,15}$/.test(text),
  number: text => /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text)), // prettier-ignore
  date: isDate,
  url: text => URL.canParse(text),
  email: text => text.length <= 254 && /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(text),
  uuid: text => /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i.test(text),
}

/** A day of the calendar, with or without a time of day, as ISO 8601 writes it. */
function isDate(text: string): boolean {
  const day = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.exec(text)?.[1] // prettier-ignore
  if (day === undefined || Number.isNaN(Date.parse(text))) return false
  // A day that the month has not would be read as one of the next.
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day)
}

function counterOf(
  rule: CheckRule,
  field: string | undefined,
): (data: Data) => CheckCounts | undefined {
  const valueOf = (data: Data): unknown => (field === undefined ? undefined : data[field])
  if ('missing' in rule) return data => ({ counts: [1, isMissing(valueOf(data)) ? 1 : 0] })
  if ('share' in rule) {
    const { of } = rule.share
    return data => ({ counts: [1, isTrue(() => of(data as never), false) ? 1 : 0] })
  }
  if ('quantile' in rule) {
    const { min = -Infinity, max = Infinity } = rule.quantile
    return data => {
      const value = valueOf(data) ?? []
      const values = (Array.isArray(value) ? value : [value]) as readonly number[]
      const below = values.filter(value => value < min).length
      return values.length === 0 ? undefined : { counts: [values.length, below, values.filter(value => value <= max).length] } // prettier-ignore
    }
  }
  if ('unique' in rule) {
    return data => {
      const value = valueOf(data)
      if (isMissing(value)) return undefined
      const isPlain = typeof value === 'string' || typeof value === 'number'
      return { counts: [1], value: isPlain ? value : JSON.stringify(value) }
    }
  }
  return () => ({ counts: [1] })
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
}

interface Counted {
  readonly counts: readonly number[]
  /** Values that were there before in the window. */
  readonly repeated: number
  readonly atLeast: number
}

function verdictOf(rule: CheckRule, { counts, repeated, atLeast }: Counted): CheckVerdict {
  const [rows = 0, first = 0, second = 0] = counts
  if (isRowRule(rule)) {
    return { state: first > 0 ? 'failing' : 'ok', found: `${first} of ${rows} events do not fit` }
  }
  if ('volume' in rule) return within(rows, rule.volume, `${rows} events`)
  if ('fresh' in rule) {
    return rows > 0 ? { state: 'ok', found: 'fresh' } : { state: 'failing', found: `no event within ${rule.fresh}` } // prettier-ignore
  }
  if (rows < atLeast) return { state: 'unknown', found: `${rows} events are too few to tell` }
  if ('missing' in rule) return within(first / rows, rule.missing, `${percent(first / rows)} of ${rows} are missing`) // prettier-ignore
  if ('unique' in rule) return within(repeated / rows, rule.unique, `${percent(repeated / rows)} of ${rows} are repeated`) // prettier-ignore
  if ('share' in rule) return within(first / rows, rule.share, `${percent(first / rows)} of ${rows}`) // prettier-ignore
  const { q, min, max } = rule.quantile
  // The value at a rank is above `max` when too few are up to it, below `min` when too many are.
  if (max !== undefined && second < q * rows) return { state: 'failing', found: `${percent(second / rows)} of ${rows} values are up to ${max}, and ${percent(q)} are to be` } // prettier-ignore
  if (min !== undefined && first > q * rows) return { state: 'failing', found: `${percent(first / rows)} of ${rows} values are below ${min}, and at most ${percent(q)} are to be` } // prettier-ignore
  return { state: 'ok', found: `${rows} values` }
}

function within(
  value: number,
  { min = -Infinity, max = Infinity }: Bounds,
  found: string,
): CheckVerdict {
  // prettier-ignore
  if (value >= min && value <= max) return { state: 'ok', found }
  return { state: 'failing', found: `${found}, and ${value < min ? `at least ${min}` : `at most ${max}`} are expected` } // prettier-ignore
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100} %`
}

function contentOf(definition: CheckDefinition): string {
  const { of, field, expect, severity, when, per, atLeast } = definition
  const rule = JSON.stringify(expect, (name, value: unknown) => {
    if (typeof value === 'function' || value instanceof RegExp) return String(value)
    return name === 'exists' ? (value as { name: string }).name : value
  })
  return JSON.stringify([of.name, field, rule, severity, String(when), per, atLeast])
}
