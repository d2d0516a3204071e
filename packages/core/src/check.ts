/**
 * Checks: what is expected of the events of a type, declared once. A rule of a row is judged of each
 * event, where it comes in and over history; a rule of a window of many. Both are counted by a fold
 * of the log, so that a verdict rewinds and replays like everything else; files are judged by the
 * same code before they are imported (docs/adr/0035-checks.md).
 */
import type { EventDefinition, ItemDefinition } from './definition.ts'
import type { Duration } from './duration.ts'
import type { Fields, Infer } from './schema.ts'

/**
 * What becomes of what a check finds. `warn`: it is counted and told. `quarantine`: the event is in
 * the log and held, so that no fold counts it until it is released. `refuse`: it is not taken.
 */
export type Severity = 'warn' | 'quarantine' | 'refuse'

/** Lower and upper bounds, both included; one of them at least. */
export interface Bounds {
  readonly min?: number
  readonly max?: number
}

/** What a text reads as. */
export type TextType = 'integer' | 'number' | 'date' | 'url' | 'email' | 'uuid'

/** What is expected of one event: of the field, or with `that` of all of its data. An absent field is judged by `present` alone. */
export type RowRule =
  | { readonly present: true }
  | { readonly type: TextType }
  | { readonly range: Bounds }
  | { readonly length: Bounds }
  | { readonly oneOf: readonly (string | number)[] }
  | { readonly pattern: RegExp }
  | { readonly exists: ItemDefinition }
  | { readonly that: (data: never) => boolean }

/** What is expected of the events of a window. Shares are from 0 to 1. */
export type WindowRule =
  /** The share of events without the field. */
  | { readonly missing: { readonly max: number } }
  /** How many events there are. */
  | { readonly volume: Bounds }
  /** There is an event that is not older than this. */
  | { readonly fresh: Duration }
  /** The share of events whose value another event of the window has, the first one of each value not counted. */
  | { readonly unique: { readonly max: number } }
  /** The share of events of which the function says true. */
  | { readonly share: Bounds & { readonly of: (data: never) => boolean } }
  /** The value at a rank: 0.5 is the median. */
  | { readonly quantile: Bounds & { readonly q: number } }

/** What is expected. */
export type CheckRule = RowRule | WindowRule

/** A declared check. */
export interface CheckDefinition {
  readonly kind: 'check'
  readonly of: EventDefinition
  /** Undefined where all of the data is looked at, or the events are counted. */
  readonly field: string | undefined
  readonly expect: CheckRule
  readonly severity: Severity
  /** Events of which it says false are not looked at. */
  readonly when: ((data: never) => boolean) | undefined
  /** The windows that verdicts are of: tumbling, from 1970 on. */
  readonly per: Duration
  /** Shares and quantiles of fewer events are no verdict. */
  readonly atLeast: number
  readonly description: string | undefined
}

type DataOf<E> = E extends EventDefinition<string, infer F extends Fields> ? Infer<F> : never
type ElementOf<V> = V extends readonly (infer T)[] ? T : V

/** The rules that a value of type `V` can be judged by. */
type RulesOfField<V> =
  | { readonly present: true }
  | { readonly missing: { readonly max: number } }
  | { readonly unique: { readonly max: number } }
  | (V extends readonly unknown[] ? { readonly length: Bounds } : never)
  | (ElementOf<V> extends number
      ? | { readonly range: Bounds }
        | { readonly oneOf: readonly number[] }
        | { readonly quantile: Bounds & { readonly q: number } }
      : never)
  | (ElementOf<V> extends string
      ? | { readonly type: TextType }
        | { readonly length: Bounds }
        | { readonly oneOf: readonly string[] }
        | { readonly pattern: RegExp }
        | { readonly exists: ItemDefinition }
      : never)

/** The rules of all of an event's data. */
type RulesOfEvent<Data> =
  | { readonly that: (data: Data) => boolean }
  | { readonly volume: Bounds }
  | { readonly fresh: Duration }
  | { readonly share: Bounds & { readonly of: (data: Data) => boolean } }

interface Common<E extends EventDefinition> {
  of: E
  /** Default: warn. */
  severity?: Severity
  /** Events of which it says false are not looked at; pure. */
  when?: (data: DataOf<E>) => boolean
  /** Default: 1h. */
  per?: Duration
  /** Default: 30. */
  atLeast?: number
  description?: string
}

/** Verdicts are of windows of this length when a check does not say. */
const PER = '1h'
/** A share of fewer events tells nothing. */
const AT_LEAST = 30

/** Declares what is expected of a field of events. A list is judged entry by entry, but for its length. */
export function check<const E extends EventDefinition, const K extends keyof DataOf<E> & string>(
  options: Common<E> & {
    field: K
    expect: RulesOfField<Exclude<DataOf<E>[K], undefined>>
  },
): CheckDefinition
/** Declares what is expected of events as a whole. */
export function check<const E extends EventDefinition>(
  options: Common<E> & { expect: RulesOfEvent<DataOf<E>> },
): CheckDefinition
export function check(
  options: Common<EventDefinition> & { field?: string; expect: unknown },
): CheckDefinition {
  const { of, field, expect, severity = 'warn', when, per = PER, atLeast = AT_LEAST } = options
  const { description } = options
  return { kind: 'check', of, field, expect: expect as CheckRule, severity, when, per, atLeast, description } // prettier-ignore
}

/** Names of the rules of one event. */
const ROW_RULES = ['present', 'type', 'range', 'length', 'oneOf', 'pattern', 'exists', 'that'] as const // prettier-ignore
/** Names of the rules of a window. */
const WINDOW_RULES = ['missing', 'volume', 'fresh', 'unique', 'share', 'quantile'] as const

/** The name of a rule. */
export type RuleName = (typeof ROW_RULES)[number] | (typeof WINDOW_RULES)[number]

/** All names of rules. */
export const RULE_NAMES: readonly RuleName[] = [...ROW_RULES, ...WINDOW_RULES]

/** True for a rule that is judged of one event. */
export function isRowRule(rule: CheckRule): rule is RowRule {
  return ROW_RULES.some(name => name in rule)
}

/** The name of a rule. */
export function ruleName(rule: CheckRule): RuleName {
  return RULE_NAMES.find(name => name in rule) as RuleName
}
