/** Checks of feature views and services: what cannot be computed is refused when the app starts. */
import type { AppOptions, EventDefinition } from './definition.ts'
import type { Refuse } from './definition-checks.ts'
import { durationMs, type Duration } from './duration.ts'
import { MillraceError } from './errors.ts'
import {
  isOfKind,
  kindOfValue,
  type CustomAggregation,
  type EventValue,
  type FeatureAggregation,
  type FeatureDefinition,
} from './feature-builder.ts'
import { tiledWindow } from './feature-window.ts'
import {
  kindOfColumn,
  kindOfSchema,
  type AnyFeatureService,
  type AnyFeatureView,
  type AttributeFeature,
  type ContextFeature,
  type CrossedFeature,
  type DerivedFeature,
  type RowFeature,
  type ViewFeature,
} from './feature.ts'
import { checkFitted, checkPrepared } from './prepare-checks.ts'
import type { PreparedFeature } from './prepare.ts'
import type { JsonSchema } from './schema.ts'

/** What features are declared on. */
export interface FeatureGround {
  readonly events: ReadonlyMap<string, { readonly definition: EventDefinition }>
  readonly tables: ReadonlyMap<string, { readonly definition: unknown }>
  readonly refuse: Refuse
  /** Refuses a name that makes that of its fold too long. */
  checkFoldName(fold: string, path: string): void
}

const NAME = /^[a-z][a-zA-Z0-9_-]{0,63}$/
const TILES_MAX = 1_000
const DAY_MS = 86_400_000
const WINDOW_MAX_MS = 400 * DAY_MS
const PAIRS_MAX = 10_000
const BOUNDS_MAX = 100

/** Checks all views and services of a definition. */
export function checkFeatures(options: AppOptions, ground: FeatureGround): void {
  const { refuse } = ground
  const declared = new Set<unknown>()
  for (const [name, made] of Object.entries(options.features ?? {})) {
    const path = `features.${name}`
    if (!NAME.test(name)) refuse(path, 'a feature view or service is named [a-z][a-zA-Z0-9_-]*')
    if (made.kind !== 'feature-view') continue
    if (declared.has(made)) refuse(path, 'the same view is declared twice')
    declared.add(made)
    ground.checkFoldName(`feature.${name}`, path)
    checkView(made, path, ground)
  }
  for (const [name, made] of Object.entries(options.features ?? {})) {
    if (made.kind !== 'feature-service') continue
    checkService(made, `features.${name}`, { ...ground, declared })
  }
}

function checkView(view: AnyFeatureView, path: string, ground: FeatureGround): void {
  const { refuse, events, tables } = ground
  const [first] = view.from
  if (first === undefined) refuse(`${path}.from`, 'it reads nothing')
  const kind = first?.fields[view.key]?.ref
  for (const source of view.from) {
    if (events.get(source.name)?.definition !== source) {
      refuse(`${path}.from`, `event ${source.name} is not among the events`)
    }
    if (source.stream !== first?.stream) {
      refuse(`${path}.from`, 'its events are on several streams, whose order is undefined')
    }
    const key = source.fields[view.key]
    if (key?.ref === undefined || key.isOptional || key.ref !== kind) {
      refuse(`${path}.key`, `${view.key} is not a required id field of one kind in all its events`)
    } else if (key.ref !== source.stream) {
      ground.checkFoldName(`rekey.${key.ref}.from-${source.stream}`, `${path}.key`)
    }
  }
  for (const joined of Object.values(view.join)) {
    if (tables.get(joined.name)?.definition === joined) continue
    refuse(`${path}.join`, `${joined.name} is not among the items`)
  }
  for (const member of ['freshness', 'ttl'] as const) {
    if (view[member] !== undefined) attempt(() => durationMs(view[member] ?? 0), `${path}.${member}`, refuse) // prettier-ignore
  }
  const { pair } = view
  if (pair !== undefined) {
    if (!NAME.test(pair.name)) refuse(`${path}.pair.name`, 'it is named [a-z][a-zA-Z0-9_-]*')
    if (pair.name === kind) refuse(`${path}.pair.name`, `${kind} is what it is paired with`)
    if (!Number.isInteger(pair.max) || pair.max < 1 || pair.max > PAIRS_MAX) {
      refuse(`${path}.pair.max`, `use a whole number from 1 to ${PAIRS_MAX}`)
    }
  }
  const features = Object.entries(view.definitions)
  if (features.length === 0) refuse(`${path}.features`, 'there are none')
  for (const [name, feature] of features) {
    const at = `${path}.features.${name}`
    if (!NAME.test(name)) refuse(at, 'a feature is named [a-z][a-zA-Z0-9_-]*')
    checkFeature(feature, at, view, refuse)
  }
  const before = view.replaces
  if (before === undefined) return
  if (before.replaces !== undefined) {
    refuse(`${path}.replaces`, 'it replaces another one: keep one version before')
  }
  if (before.key !== view.key || before.from[0]?.stream !== first?.stream) {
    refuse(`${path}.replaces`, 'the version before has another key or stream; use another name')
  }
}

function checkFeature(
  feature: FeatureDefinition,
  path: string,
  view: AnyFeatureView,
  refuse: Refuse,
): void {
  if ((feature as { aggregation?: unknown }).aggregation === undefined) {
    refuse(path, 'it is not made by what `features` is handed, such as count() or sum()')
  }
  if ((feature.window as unknown) === undefined || feature.window === Infinity) {
    refuse(`${path}.window`, "it is unbounded; say '7d', { tumbling: '1d' } or 'lifetime'")
  }
  const { stepMs, count, gapMs } = attempt(() => tiledWindow(feature.window), `${path}.window`, refuse) // prettier-ignore
  if (stepMs !== Infinity && stepMs * count > WINDOW_MAX_MS) {
    refuse(`${path}.window`, `it is longer than ${WINDOW_MAX_MS / DAY_MS} days; use 'lifetime'`)
  }
  if (count > TILES_MAX) {
    const remedy = gapMs === undefined ? 'use a longer step' : 'use a longer gap, or a shorter max'
    refuse(`${path}.window`, `it has ${count} steps, and at most ${TILES_MAX}; ${remedy}`)
  }
  const { aggregation, default: fallback, values } = feature
  const types = TYPES_OF[aggregation.kind] ?? NUMBERS
  if (!COUNTED.has(aggregation.kind) || feature.of !== undefined) {
    checkValue(feature.of, types, `${path}.of`, { view, refuse })
  }
  if (feature.over !== undefined) checkValue(feature.over, NUMBERS, `${path}.over`, { view, refuse }) // prettier-ignore
  if (values === undefined) refuse(`${path}.default`, `it does not tell what the values are: ${TYPES}; for an empty list give list: 'numbers' or 'texts'`) // prettier-ignore
  if (!isOfKind(fallback, values ?? 'number')) {
    refuse(`${path}.default`, `it is ${String(kindOfValue(fallback))}, and the values are ${NAMES[values ?? 'number']}, finite`) // prettier-ignore
  }
  checkAggregation(feature, path, refuse)
}

/** How many of what an aggregation keeps: each member is a whole number from 1 on. */
const COUNTS: Readonly<Record<string, number>> = { n: 1_000, k: 100, capacity: 10_000 }
/** The errors that a sketch may have. */
const ERRORS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  distinct: [0.008, 0.26],
  quantile: [0.001, 0.2],
  quantiles: [0.001, 0.2],
}
const SESSIONS_MAX = 10_000

function checkAggregation(
  { aggregation, window, default: fallback }: FeatureDefinition,
  path: string,
  refuse: Refuse,
): void {
  const members = aggregation as FeatureAggregation & Readonly<Record<string, unknown>>
  for (const [member, max] of Object.entries(COUNTS)) {
    const value = members[member]
    if (value === undefined || (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max)) continue // prettier-ignore
    refuse(`${path}.${member}`, `use a whole number from 1 to ${max}`)
  }
  const [least, most] = ERRORS[aggregation.kind] ?? [0, Infinity]
  const { error } = members
  if (error !== undefined && !(Number(error) >= least && Number(error) <= most)) {
    refuse(`${path}.error`, `use a number from ${least} to ${most}`)
  }
  for (const member of ['halfLife', 'per', 'gap'] as const) {
    const length = members[member] as Duration | undefined
    if (length !== undefined) attempt(() => durationMs(length), `${path}.${member}`, refuse)
  }
  switch (aggregation.kind) {
    case 'histogram': {
      const { bounds } = aggregation
      const isAscending = bounds.every((bound, at) => Number.isFinite(bound) && !(bound <= (bounds[at - 1] ?? -Infinity))) // prettier-ignore
      if (!isAscending || bounds.length === 0 || bounds.length > BOUNDS_MAX) {
        refuse(`${path}.bounds`, `use 1 to ${BOUNDS_MAX} numbers, each greater than the one before`)
      }
      checkLength(fallback, bounds.length + 1, path, refuse)
      return
    }
    case 'quantile':
    case 'quantiles': {
      const shares = [aggregation.q].flat()
      if (shares.length === 0 || !shares.every(share => share >= 0 && share <= 1)) {
        refuse(`${path}.q`, 'use shares from 0 to 1')
      }
      if (aggregation.kind === 'quantiles') checkLength(fallback, shares.length, path, refuse)
      return
    }
    case 'topTexts': {
      if (aggregation.capacity < aggregation.k) refuse(`${path}.capacity`, `it counts fewer texts than k, ${aggregation.k}`) // prettier-ignore
      return
    }
    case 'sessions': {
      const { stepMs, count } = tiledWindow(window)
      if ((stepMs * count) / durationMs(aggregation.gap) <= SESSIONS_MAX) return
      refuse(`${path}.window`, `it may have more than ${SESSIONS_MAX} sessions; use a shorter window or a longer gap`) // prettier-ignore
      return
    }
    case 'custom':
      return checkCustom(aggregation, path, refuse)
    default:
  }
}

/** A list that stands for one of a fixed length. */
function checkLength(value: unknown, length: number, path: string, refuse: Refuse): void {
  if (Array.isArray(value) && value.length === length) return
  refuse(`${path}.default`, `it is not a list of ${length} numbers`)
}

function checkCustom(aggregation: CustomAggregation, path: string, refuse: Refuse): void {
  for (const member of ['init', 'add', 'merge', 'read'] as const) {
    if (typeof aggregation[member] === 'function') continue
    const remedy =
      member === 'merge'
        ? 'the values of two spans of time cannot be put together; add merge(earlier, later)'
        : 'it has no such function'
    refuse(`${path}.${member}`, remedy)
  }
  const state = attempt(() => aggregation.init(), `${path}.init`, refuse)
  if (!isJson(state)) refuse(`${path}.init`, 'the state is kept as JSON, and would not be the same when it is read') // prettier-ignore
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value !== 'object') return false
  if (Array.isArray(value)) return value.every(isJson)
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isJson)
}

const NUMBERS = ['integer', 'number']
const NUMBERS_OR_TRUTHS = [...NUMBERS, 'boolean']
const TEXTS = ['string']
/** Fields that aggregations take; others take numbers. */
const TYPES_OF: Readonly<Record<string, readonly string[]>> = {
  ratio: NUMBERS_OR_TRUTHS,
  firstText: TEXTS,
  lastText: TEXTS,
  lastTexts: TEXTS,
  topTexts: TEXTS,
  distinct: [...TEXTS, ...NUMBERS_OR_TRUTHS],
}
/** What counts events, and needs nothing of them. */
const COUNTED: ReadonlySet<string> = new Set(['count', 'decayed', 'span', 'sessions'])
const NAMES = { number: 'numbers', text: 'texts', numbers: 'lists of numbers', texts: 'lists of texts' } as const // prettier-ignore

function checkValue(
  value: EventValue | undefined,
  types: readonly string[],
  path: string,
  { view, refuse }: { readonly view: AnyFeatureView; readonly refuse: Refuse },
): void {
  if (typeof value === 'function') return
  if (typeof value !== 'string') refuse(path, 'it is neither a field nor a function of the event')
  const fields = view.from.flatMap(event => event.fields[value as string] ?? [])
  const events = view.from.map(({ name }) => name).join(' and ')
  if (fields.length === 0) refuse(path, `${events} has no field ${String(value)}`)
  for (const { schema } of fields) {
    if (types.includes(schema['type'] as string)) continue
    refuse(path, `${String(value)} is ${typeName(schema)}, and ${types.join(' or ')} is needed`)
  }
}

function typeName(schema: JsonSchema): string {
  return String(schema['type'])
}

function checkService(
  service: AnyFeatureService,
  path: string,
  ground: FeatureGround & { readonly declared: ReadonlySet<unknown> },
): void {
  const { refuse } = ground
  const columns = Object.entries(service.columns)
  if (columns.length === 0) refuse(`${path}.features`, 'there are none')
  if (new Set(service.entities).size !== service.entities.length) {
    refuse(`${path}.entities`, 'a kind is there twice')
  }
  const needed = new Set<string>()
  for (const [name, column] of columns) {
    const at = `${path}.features.${name}`
    if (!NAME.test(name)) refuse(at, 'a feature is named [a-z][a-zA-Z0-9_-]*')
    for (const need of checkColumn(column, at, ground, [])) {
      needed.add(need)
      if (service.entities.includes(need)) continue
      refuse(at, `it is about ${need}, which is not among the entities`)
    }
  }
  checkFitted(service, `${path}.fitted`, refuse)
  for (const entity of service.entities) {
    if (!needed.has(entity)) refuse(`${path}.entities`, `no feature is about ${entity}`)
  }
}

/** Checks a column and what it is made from; gives the kinds of entities that it is about. */
function checkColumn(
  column: RowFeature,
  path: string,
  ground: FeatureGround & { readonly declared: ReadonlySet<unknown> },
  trail: readonly RowFeature[],
): readonly string[] {
  const { refuse } = ground
  if (trail.includes(column)) refuse(path, 'it is derived from itself; cut the circle')
  const within = [...trail, column]
  switch (column.source as unknown) {
    case 'view':
      return checkViewColumn(column as ViewFeature, path, ground)
    case 'attribute':
      return checkAttribute(column as AttributeFeature, path, ground)
    case 'context': {
      const { field, name } = column as ContextFeature
      if (kindOfSchema(field.schema) === undefined) refuse(path, `${name} is ${typeName(field.schema)}: ${TYPES}`) // prettier-ignore
      return []
    }
    case 'derived': {
      const { inputs, compute, default: fallback, values } = column as DerivedFeature
      if (typeof compute !== 'function') refuse(path, 'it has no function')
      if (values === undefined || !isOfKind(fallback, values)) refuse(`${path}.default`, `it does not tell what the values are: ${TYPES}; for an empty list give list: 'numbers' or 'texts'`) // prettier-ignore
      return Object.entries(inputs).flatMap(([name, input]) =>
        checkColumn(input, `${path}.${name}`, ground, within),
      )
    }
    case 'crossed': {
      const { feature, over } = column as CrossedFeature
      const pair = feature.view.pair?.name
      if (pair === undefined) refuse(path, `${feature.name} is a feature of no pair`)
      const values = kindOfColumn(feature)
      if (values !== 'number') refuse(path, `${feature.name} is ${values}, and only numbers are crossed`) // prettier-ignore
      const own = checkViewColumn(feature, path, ground).filter(kind => kind !== pair)
      const about = checkColumn(over, `${path}.over`, ground, within)
      const texts = kindOfColumn(over)
      if (texts !== 'text' && texts !== 'texts') refuse(`${path}.over`, `it is ${texts}, and a text or texts are needed`) // prettier-ignore
      return [...own, ...about]
    }
    case 'prepared': {
      const prepared = column as PreparedFeature
      checkPrepared(prepared, path, refuse)
      const own = checkColumn(prepared.input, path, ground, within)
      return prepared.by === undefined ? own : [...own, ...checkColumn(prepared.by, `${path}.impute.by`, ground, within)] // prettier-ignore
    }
    default:
      return refuse(path, 'it is not a feature of a view, attributeOf(), contextOf(), derive() or crossed()') // prettier-ignore
  }
}

function checkViewColumn(
  { view, name }: ViewFeature,
  path: string,
  { declared, refuse }: FeatureGround & { readonly declared: ReadonlySet<unknown> },
): readonly string[] {
  if (!declared.has(view)) refuse(path, `the view of ${name} is not among the features of the app`)
  const kind = view.from[0]?.fields[view.key]?.ref as string
  return view.pair === undefined ? [kind] : [kind, view.pair.name]
}

const TYPES = 'a feature is a number, a truth, a text, or a list of numbers or texts'

function checkAttribute(
  { of, field }: AttributeFeature,
  path: string,
  { tables, refuse }: FeatureGround,
): readonly string[] {
  if (tables.get(of.name)?.definition !== of) refuse(path, `${of.name} is not among the items`)
  const schema = of.fields[field]?.schema
  if (schema === undefined) return refuse(path, `${of.name} has no attribute ${field}`)
  if (kindOfSchema(schema) === undefined) refuse(path, `${field} is ${typeName(schema)}: ${TYPES}`)
  return [of.name]
}

function attempt<T>(run: () => T, path: string, refuse: Refuse): T {
  try {
    return run()
  } catch (error) {
    return refuse(path, error instanceof MillraceError ? error.message : String(error))
  }
}
