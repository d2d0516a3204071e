/** Checks of feature views and services: what cannot be computed is refused when the app starts. */
import type { AppOptions, EventDefinition } from './definition.ts'
import type { Refuse } from './definition-checks.ts'
import { durationMs } from './duration.ts'
import { MillraceError } from './errors.ts'
import {
  tiledWindow,
  type AnyFeatureService,
  type AnyFeatureView,
  type AttributeFeature,
  type ContextFeature,
  type CrossedFeature,
  type DerivedFeature,
  type EventValue,
  type FeatureDefinition,
  type RowFeature,
  type ViewFeature,
} from './feature.ts'
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
  const { stepMs, count } = attempt(() => tiledWindow(feature.window), `${path}.window`, refuse)
  if (stepMs !== Infinity && stepMs * count > WINDOW_MAX_MS) {
    refuse(`${path}.window`, `it is longer than ${WINDOW_MAX_MS / DAY_MS} days; use 'lifetime'`)
  }
  if (count > TILES_MAX) {
    refuse(`${path}.window`, `it has ${count} steps, and at most ${TILES_MAX}; use a longer step`)
  }
  const { aggregation } = feature
  const isRatio = aggregation.kind === 'ratio'
  const isCounted = aggregation.kind === 'count' || aggregation.kind === 'decayed'
  if (!isCounted || feature.of !== undefined) {
    checkValue(feature.of, isRatio ? NUMBERS_OR_TRUTHS : NUMBERS, `${path}.of`, { view, refuse })
  }
  if (feature.over !== undefined) checkValue(feature.over, NUMBERS, `${path}.over`, { view, refuse }) // prettier-ignore
  const defaults = [feature.default].flat()
  if (!defaults.every(Number.isFinite)) refuse(`${path}.default`, 'it is not a finite number')
  if (aggregation.kind === 'decayed') {
    for (const member of ['halfLife', 'per'] as const) {
      const length = aggregation[member]
      if (length !== undefined) attempt(() => durationMs(length), `${path}.${member}`, refuse)
    }
  }
  if (aggregation.kind !== 'histogram') return
  const { bounds } = aggregation
  const isAscending = bounds.every((bound, at) => Number.isFinite(bound) && !(bound <= (bounds[at - 1] ?? -Infinity))) // prettier-ignore
  if (!isAscending || bounds.length === 0 || bounds.length > BOUNDS_MAX) {
    refuse(`${path}.bounds`, `use 1 to ${BOUNDS_MAX} numbers, each greater than the one before`)
  }
  if (defaults.length !== bounds.length + 1) {
    refuse(`${path}.default`, `it is a list of ${bounds.length + 1} numbers`)
  }
}

const NUMBERS = ['integer', 'number']
const NUMBERS_OR_TRUTHS = [...NUMBERS, 'boolean']

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
      if (!isFeatureType(field.schema)) refuse(path, `${name} is ${typeName(field.schema)}: ${TYPES}`) // prettier-ignore
      return []
    }
    case 'derived': {
      const { inputs, compute } = column as DerivedFeature
      if (typeof compute !== 'function') refuse(path, 'it has no function')
      return Object.entries(inputs).flatMap(([name, input]) =>
        checkColumn(input, `${path}.${name}`, ground, within),
      )
    }
    case 'crossed': {
      const { feature, over } = column as CrossedFeature
      const pair = feature.view.pair?.name
      if (pair === undefined) refuse(path, `${feature.name} is a feature of no pair`)
      const own = checkViewColumn(feature, path, ground).filter(kind => kind !== pair)
      return [...own, ...checkColumn(over, `${path}.over`, ground, within)]
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
  if (!isFeatureType(schema)) refuse(path, `${field} is ${typeName(schema)}: ${TYPES}`)
  return [of.name]
}

function isFeatureType(schema: JsonSchema): boolean {
  const { type, items } = schema as { type?: string; items?: { type?: string } }
  if (type !== 'array') return [...NUMBERS_OR_TRUTHS, 'string'].includes(type ?? '')
  return [...NUMBERS, 'string'].includes(items?.type ?? '')
}

function attempt<T>(run: () => T, path: string, refuse: Refuse): T {
  try {
    return run()
  } catch (error) {
    return refuse(path, error instanceof MillraceError ? error.message : String(error))
  }
}
