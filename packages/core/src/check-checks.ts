/** Checks of checks: what cannot be judged, or would always fail, is refused when the app starts. */
import {
  isRowRule,
  RULE_NAMES,
  type Bounds,
  type CheckDefinition,
  type CheckRule,
} from './check.ts'
import type { EventDefinition } from './definition.ts'
import type { Refuse } from './definition-checks.ts'
import { durationMs, type Duration } from './duration.ts'
import { MillraceError } from './errors.ts'
import type { Field, JsonSchema } from './schema.ts'

/** What checks are declared on. */
interface CheckGround {
  readonly events: ReadonlyMap<string, { readonly definition: EventDefinition }>
  readonly tables: ReadonlyMap<string, { readonly definition: unknown }>
  readonly refuse: Refuse
  /** Refuses a name that makes that of its fold too long. */
  checkFoldName(fold: string, path: string): void
}

const NAME = /^[a-z][a-zA-Z0-9_-]{0,63}$/
const MINUTE_MS = 60_000
const WINDOW_MAX_MS = 31 * 86_400_000
const VALUES_MAX = 10_000
const SEVERITIES: readonly unknown[] = ['warn', 'quarantine', 'refuse']
const TEXT_TYPES: readonly unknown[] = ['integer', 'number', 'date', 'url', 'email', 'uuid']

/** Checks the checks of a definition. */
export function checkChecks(
  checks: Readonly<Record<string, CheckDefinition>>,
  ground: CheckGround,
): void {
  const { events, refuse } = ground
  for (const [name, made] of Object.entries(checks)) {
    const path = `checks.${name}`
    if (!NAME.test(name)) refuse(path, 'a check is named [a-z][a-zA-Z0-9_-]*')
    const { of, field, expect, severity, per, atLeast } = made
    if (events.get(of.name)?.definition !== of) {
      refuse(`${path}.of`, `event ${of.name} is not among the events`)
    }
    ground.checkFoldName(`check.${of.stream}`, `${path}.of`)
    if (!SEVERITIES.includes(severity)) {
      refuse(`${path}.severity`, 'it is warn, quarantine or refuse')
    }
    checkRuleName(expect, path, refuse)
    if (!isRowRule(expect) && severity === 'quarantine') {
      refuse(`${path}.severity`, 'what is found is true of many events, none of which can be held; use warn, or refuse for files') // prettier-ignore
    }
    checkLength(per, `${path}.per`, refuse)
    if (!Number.isSafeInteger(atLeast) || atLeast < 1) {
      refuse(`${path}.atLeast`, 'use a whole number from 1 on')
    }
    checkRule(made, { path, field: fieldOf(of, field, path, refuse), ground })
  }
}

function checkRuleName(rule: CheckRule, path: string, refuse: Refuse): void {
  const names = Object.keys(rule)
  const [name, other] = names
  if (name === undefined || other !== undefined) {
    refuse(`${path}.expect`, `it has one rule, and here are ${names.length}`)
  }
  if (RULE_NAMES.some(known => known === name)) return
  refuse(`${path}.expect.${name}`, `there is no such rule; there are ${RULE_NAMES.join(', ')}`)
}

function fieldOf(
  of: EventDefinition,
  name: string | undefined,
  path: string,
  refuse: Refuse,
): Field<unknown> | undefined {
  if (name === undefined) return undefined
  const known = Object.keys(of.fields).join(', ')
  return of.fields[name] ?? refuse(`${path}.field`, `${of.name} has no field ${name}; it has ${known}`) // prettier-ignore
}

interface RulePlace {
  readonly path: string
  readonly field: Field<unknown> | undefined
  readonly ground: CheckGround
}

function checkRule({ expect, field: name }: CheckDefinition, place: RulePlace): void {
  const { path, field, ground } = place
  const { refuse } = ground
  const rule = Object.keys(expect)[0] as string
  const at = `${path}.expect.${rule}`
  const isOfEvent = OF_EVENTS.has(rule)
  if (isOfEvent && field !== undefined) refuse(`${path}.field`, `the rule ${rule} is of the event as a whole; leave it out`) // prettier-ignore
  if (!isOfEvent && field === undefined) refuse(`${path}.field`, `the rule ${rule} is of a field; name one`) // prettier-ignore
  const needed = TYPES[rule]
  const type = typeOf(field?.schema, rule)
  if (needed !== undefined && !needed.includes(type)) {
    refuse(at, `${name} is ${type}, and ${needed.join(' or ')} is needed`)
  }
  if ('present' in expect && field?.isOptional === false && type !== 'string') {
    refuse(at, `${name} is required: an event without it is refused already`)
  }
  if ('type' in expect && !TEXT_TYPES.includes(expect.type)) {
    refuse(at, `it is one of ${TEXT_TYPES.join(', ')}`)
  }
  if ('range' in expect) {
    checkBounds(expect.range, at, refuse)
    checkAgainst(expect.range, elementOf(field?.schema), at, refuse)
  }
  if ('length' in expect) checkBounds(expect.length, at, refuse, 0)
  if ('oneOf' in expect) checkSet(expect.oneOf, { at, type, schema: elementOf(field?.schema), refuse }) // prettier-ignore
  if ('pattern' in expect) checkPattern(expect.pattern, at, refuse)
  if ('exists' in expect) {
    const kind = expect.exists
    if (ground.tables.get(kind.name)?.definition !== kind) refuse(at, `${kind.name} is not among the items`) // prettier-ignore
    if (field?.ref !== kind.name) refuse(at, `${name} is no id of ${kind.name}; declare it as id('${kind.name}')`) // prettier-ignore
  }
  if ('that' in expect) checkFunction(expect.that, at, refuse)
  if ('missing' in expect) {
    checkBounds(expect.missing, at, refuse, 0, 1)
    if (field?.isOptional === false && type !== 'string' && type !== 'array') refuse(at, `${name} is required: no event is without it`) // prettier-ignore
  }
  if ('unique' in expect) checkBounds(expect.unique, at, refuse, 0, 1)
  if ('volume' in expect) checkBounds(expect.volume, at, refuse, 0)
  if ('fresh' in expect) checkLength(expect.fresh, at, refuse)
  if ('share' in expect) {
    checkBounds(expect.share, at, refuse, 0, 1)
    checkFunction(expect.share.of, `${at}.of`, refuse)
  }
  if ('quantile' in expect) {
    checkBounds(expect.quantile, at, refuse)
    const { q } = expect.quantile
    if (!(q > 0 && q < 1)) refuse(`${at}.q`, 'use a share between 0 and 1, such as 0.5')
  }
}

/** Rules that look at no single field. */
const OF_EVENTS: ReadonlySet<string> = new Set(['that', 'volume', 'fresh', 'share'])
const NUMBERS = ['integer', 'number']
const TYPES: Readonly<Record<string, readonly string[]>> = {
  type: ['string'],
  range: NUMBERS,
  quantile: NUMBERS,
  length: ['string', 'array'],
  oneOf: [...NUMBERS, 'string'],
  pattern: ['string'],
  exists: ['string'],
}

function elementOf(schema: JsonSchema | undefined): JsonSchema {
  return (schema?.['items'] as JsonSchema | undefined) ?? schema ?? {}
}

/** The type of what a rule judges: entries of a list, but for rules of the list itself. */
function typeOf(schema: JsonSchema | undefined, rule: string): string {
  const isWhole = rule === 'length' || rule === 'missing' || rule === 'present'
  return String((isWhole ? schema : elementOf(schema))?.['type'])
}

function checkBounds(
  { min, max }: Bounds,
  path: string,
  refuse: Refuse,
  least = -Infinity,
  most = Infinity,
): void {
  if (min === undefined && max === undefined) refuse(path, 'it has neither min nor max')
  for (const [name, bound] of [
    ['min', min],
    ['max', max],
  ] as const) {
    // prettier-ignore
    if (bound === undefined) continue
    if (!Number.isFinite(bound)) refuse(`${path}.${name}`, 'it is not a finite number')
    if (bound < least || bound > most) refuse(`${path}.${name}`, `${bound} is not from ${least} to ${most}`) // prettier-ignore
  }
  if (min !== undefined && max !== undefined && min > max) {
    refuse(path, `min ${min} is above max ${max}: nothing would fit`)
  }
}

/** A range that no value of the field can be in. */
function checkAgainst(
  { min, max }: Bounds,
  schema: JsonSchema,
  path: string,
  refuse: Refuse,
): void {
  const { minimum, maximum } = schema as { readonly minimum?: number; readonly maximum?: number }
  if (max !== undefined && minimum !== undefined && max < minimum) {
    refuse(`${path}.max`, `the field begins at ${minimum}: nothing would fit`)
  }
  if (min !== undefined && maximum !== undefined && min > maximum) {
    refuse(`${path}.min`, `the field ends at ${maximum}: nothing would fit`)
  }
}

function checkSet(
  values: readonly unknown[],
  { at, type, schema, refuse }: { readonly at: string; readonly type: string; readonly schema: JsonSchema; readonly refuse: Refuse }, // prettier-ignore
): void {
  if (!Array.isArray(values) || values.length === 0 || values.length > VALUES_MAX) {
    refuse(at, `use a list of 1 to ${VALUES_MAX} values`)
  }
  const wanted = type === 'string' ? 'string' : 'number'
  const known = schema['enum'] as readonly unknown[] | undefined
  for (const [index, value] of values.entries()) {
    if (typeof value !== wanted) refuse(`${at}[${index}]`, `it is ${typeof value}, and the field is ${type}`) // prettier-ignore
    if (known?.includes(value) === false) refuse(`${at}[${index}]`, `the field has no value ${JSON.stringify(value)}; it has ${known.join(', ')}`) // prettier-ignore
  }
}

function checkPattern(pattern: unknown, path: string, refuse: Refuse): void {
  if (!(pattern instanceof RegExp)) refuse(path, 'it is not a regular expression')
  if (/[gy]/.test(pattern.flags)) refuse(path, 'the flags g and y make it remember where it was; leave them out') // prettier-ignore
}

function checkFunction(value: unknown, path: string, refuse: Refuse): void {
  if (typeof value !== 'function') refuse(path, 'it is no function')
}

function checkLength(length: Duration, path: string, refuse: Refuse): void {
  let ms: number
  try {
    ms = durationMs(length)
  } catch (error) {
    return refuse(path, error instanceof MillraceError ? error.message : String(error))
  }
  if (ms < MINUTE_MS || ms > WINDOW_MAX_MS) refuse(path, 'use a length of 1m to 31d')
}
