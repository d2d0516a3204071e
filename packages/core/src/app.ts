/**
 * `defineApp`: checks a definition as a whole and compiles what follows from it: streams,
 * validators, JSON Schemas, the fingerprint, and the admission of events from outside.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import stringify from 'safe-stable-stringify'
import type { AppOptions, EventDefinition, ItemDefinition, PersonDefinition } from './definition.ts'
import { checkApprovals, checkInitial, checkMembers, type Refuse } from './definition-checks.ts'
import { durationMs } from './duration.ts'
import { checkChecks } from './check-checks.ts'
import { checkFeatures } from './feature-checks.ts'
import { coreErrors } from './errors.ts'
import { checkRanker } from './ranker.ts'
import { checkTrainingSets } from './training-set.ts'
import {
  boundsFault,
  compileSchema,
  id,
  objectSchema,
  type Field,
  type Infer,
  type JsonSchema,
  type SchemaIssue,
  type Validator,
} from './schema.ts'

/** A stream that follows from the definition: one per key entity. */
export interface AppStream {
  readonly name: string
  readonly partitions: number
  readonly latenessMs: number
}

/** An event type, compiled. */
export interface CompiledEvent {
  readonly definition: EventDefinition
  /** JSON Schema of `data`. */
  readonly schema: JsonSchema
  readonly validator: Validator
  /** True for `<kind>.put` and `<kind>.removed`, which the runtime appends for table changes. */
  readonly isTableChange: boolean
}

/** An item kind (or people), compiled. */
export interface CompiledTable {
  readonly definition: ItemDefinition | PersonDefinition
  /** JSON Schema of the attributes. */
  readonly schema: JsonSchema
  readonly validator: Validator
}

/** An event that fits the definition. */
export interface AdmittedEvent {
  readonly ok: true
  readonly event: CompiledEvent
  readonly key: string
  /** The client's id; undefined when the server is to make one. */
  readonly id: string | undefined
  /** Event time in milliseconds; undefined when the time of arrival counts. */
  readonly atMs: number | undefined
  readonly data: Readonly<Record<string, unknown>>
}

/** Why an event was not admitted. */
export interface RefusedEvent {
  readonly ok: false
  readonly code: 'EVENT_TYPE_UNKNOWN' | 'EVENT_INVALID'
  readonly issues: readonly SchemaIssue[]
}

/** A definition, checked and compiled. `O` keeps the types for clients and handlers. */
export interface App<O extends AppOptions = AppOptions> {
  readonly name: string
  readonly options: O
  readonly partitions: number
  readonly latenessMs: number
  readonly events: ReadonlyMap<string, CompiledEvent>
  /** Item kinds, and `person` when people have attributes. */
  readonly tables: ReadonlyMap<string, CompiledTable>
  readonly streams: readonly AppStream[]
  /** Twelve hexadecimal digits of SHA-256 over all schemas, and the rules of approvals: the definition version written into records. */
  readonly fingerprint: string
  /** Checks an event envelope `{type, id?, at?, data}` from outside; does not throw. */
  admit(envelope: unknown): AdmittedEvent | RefusedEvent
}

/** Event names of an app. */
export type EventNames<A extends App> = A['options']['events'][number]['name']
/** Data of the event named `N`. */
export type EventData<A extends App, N extends EventNames<A>> = Infer<
  Extract<A['options']['events'][number], { name: N }>['fields']
>
/** Names of the item kinds of an app. */
export type ItemNames<A extends App> = NonNullable<A['options']['items']>[number]['name']
/** Attributes of the item kind named `N`. */
export type ItemAttributes<A extends App, N extends ItemNames<A>> = Infer<
  Extract<NonNullable<A['options']['items']>[number], { name: N }>['fields']
>
/** Names of the surfaces of an app. */
export type SurfaceNames<A extends App> = keyof NonNullable<A['options']['surfaces']> & string
/** Names of the views of an app. */
export type ViewNames<A extends App> = keyof NonNullable<A['options']['views']> & string
/** What a read of the view named `N` gives. */
export type ViewValue<A extends App, N extends ViewNames<A>> = NonNullable<
  A['options']['views']
>[N] extends { readonly read: (state: never) => infer Out }
  ? Out
  : never

// Kinds name streams and so directories, some of them on file systems that ignore case.
const KIND = /^[a-z][a-z0-9_-]{0,63}$/
const NAME = /^[a-z][a-zA-Z0-9_-]{0,63}$/
const EVENT_NAME = /^[a-z][a-zA-Z0-9_-]*(\.[a-zA-Z0-9_-]+)*$/
// Folds are named after what they compute: view.<view>, table.<kind>, rekey.<kind>.from-<kind>.
const FOLD_NAME_MAX = 60
const FIELD_NAME = /^[a-zA-Z][a-zA-Z0-9_]{0,63}$/
const RESERVED_STREAMS = new Set(['exposure'])
const PARTITIONS_MAX = 256
const EVENT_ID_MAX = 128
const TIME_MAX_MS = 2 ** 48 - 1
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/

/** Checks and compiles a definition; throws DEFINITION_INVALID with the place of the first fault. */
export function defineApp<const O extends AppOptions>(options: O): App<O> {
  const refuse = (path: string, reason: string): never => {
    throw coreErrors.create('DEFINITION_INVALID', { path, reason })
  }
  if (typeof options !== 'object' || options === null) refuse('the root', 'it is not an object')
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(options.name))
    refuse('name', 'use [a-z][a-z0-9-]*, at most 64')
  const partitions = options.partitions ?? 4
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITIONS_MAX) {
    refuse('partitions', `use a whole number from 1 to ${PARTITIONS_MAX}`)
  }
  const latenessMs = options.lateness === undefined ? 0 : durationMs(options.lateness)

  checkMembers(options, refuse)
  checkApprovals(options, refuse)
  const tables = compileTables(options, refuse)
  const events = compileEvents(options, tables, refuse)
  checkSignals(options, events, tables, refuse)
  checkSurfaces(options, tables, refuse)
  checkViews(options, events, tables, refuse)
  checkFeatures(options, {
    events,
    tables,
    refuse,
    checkFoldName: (fold, path) => checkFoldName(fold, path, refuse),
  })

  checkTrainingSets(options.trainingSets ?? {}, {
    events,
    features: options.features ?? {},
    refuse,
  })
  checkChecks(options.checks ?? {}, {
    events,
    tables,
    refuse,
    checkFoldName: (fold, path) => checkFoldName(fold, path, refuse),
  })

  const streamNames = new Set<string>(['person'])
  for (const event of events.values()) streamNames.add(event.definition.stream)
  const streams = [...streamNames].sort().map(name => ({ name, partitions, latenessMs }))

  return {
    name: options.name,
    options,
    partitions,
    latenessMs,
    events,
    tables,
    streams,
    fingerprint: fingerprintOf(options, events, tables),
    admit: envelope => admit(events, envelope),
  }
}

/** Refuses a name that makes that of its fold too long. */
function checkFoldName(fold: string, path: string, refuse: Refuse): void {
  const over = fold.length - FOLD_NAME_MAX
  if (over <= 0) return
  refuse(path, `the name is ${over} too long: ${fold} has at most ${FOLD_NAME_MAX} characters`)
}

function checkFields(fields: unknown, path: string, refuse: Refuse): void {
  if (typeof fields !== 'object' || fields === null) refuse(path, 'fields are missing')
  for (const [name, field] of Object.entries(fields as Record<string, unknown>)) {
    if (!FIELD_NAME.test(name)) refuse(`${path}.${name}`, 'a field name is [a-zA-Z][a-zA-Z0-9_]*')
    if (typeof field !== 'object' || field === null || !('schema' in field)) {
      refuse(`${path}.${name}`, 'it is not a field such as text() or int()')
    }
    const fault = boundsFault((field as Field<unknown>).schema)
    if (fault !== undefined) refuse(`${path}.${name}`, fault)
  }
}

function compileTables(options: AppOptions, refuse: Refuse): Map<string, CompiledTable> {
  const tables = new Map<string, CompiledTable>()
  const definitions = [...(options.items ?? []), ...(options.people ? [options.people] : [])]
  for (const definition of definitions) {
    const path = definition.kind === 'person' ? 'people' : `items.${definition.name}`
    if (!KIND.test(definition.name)) refuse(path, 'a kind is named [a-z][a-z0-9_-]*, at most 64')
    checkFoldName(`table.${definition.name}`, path, refuse)
    if (definition.kind === 'item' && definition.name === 'person') {
      refuse(path, 'person is the kind of people; declare it under `people`')
    }
    if (tables.has(definition.name)) refuse(path, 'it is declared twice')
    if (RESERVED_STREAMS.has(definition.name)) refuse(path, 'the name is reserved')
    checkFields(definition.fields, path, refuse)
    const schema = objectSchema(definition.fields)
    tables.set(definition.name, { definition, schema, validator: compileSchema(schema) })
  }
  return tables
}

function compileEvents(
  options: AppOptions,
  tables: ReadonlyMap<string, CompiledTable>,
  refuse: Refuse,
): Map<string, CompiledEvent> {
  const events = new Map<string, CompiledEvent>()
  const own = [...options.events, ...(options.modules ?? []).flatMap(module => module.events ?? [])]
  for (const definition of own) {
    const path = `events.${definition.name}`
    if (!EVENT_NAME.test(definition.name) || definition.name.length > 64) {
      refuse(path, 'an event is named by words of letters, digits, _ and -, joined by dots')
    }
    if (/\.(put|removed)$/.test(definition.name)) refuse(path, '.put and .removed are reserved')
    if (events.has(definition.name)) refuse(path, 'it is declared twice')
    checkFields(definition.fields, path, refuse)
    const key = definition.fields[definition.key]
    if (key?.ref === undefined || key.isOptional) {
      refuse(`${path}.key`, `${definition.key} is not a required id field`)
    }
    if (!KIND.test(definition.stream)) refuse(`${path}.key`, 'its kind is not a usable name')
    if (RESERVED_STREAMS.has(definition.stream)) refuse(`${path}.key`, 'its kind is reserved')
    const schema = objectSchema(definition.fields)
    events.set(definition.name, {
      definition,
      schema,
      validator: compileSchema(schema),
      isTableChange: false,
    })
  }
  for (const table of tables.values())
    for (const change of tableChanges(table)) events.set(change.definition.name, change)
  return events
}

/** `<kind>.put {id, attributes}` and `<kind>.removed {id}` on the stream of the kind. */
function tableChanges(table: CompiledTable): CompiledEvent[] {
  const { name } = table.definition
  const idField = id(name)
  const put = (attributes: JsonSchema): JsonSchema => ({
    type: 'object',
    properties: { id: idField.schema, attributes },
    required: ['id', 'attributes'],
    additionalProperties: false,
  })
  interface Row {
    readonly id: string
    readonly attributes: never
  }
  const upcasters = (table.definition.upcasters ?? []).map(({ schema, up }) => ({
    schema: put(schema),
    up: (row: Row) => ({ id: row.id, attributes: up(row.attributes) }),
  }))
  return [
    { suffix: 'put', schema: put(table.schema), upcasters },
    { suffix: 'removed', schema: objectSchema({ id: idField }), upcasters: [] },
  ].map(({ suffix, schema, upcasters: steps }) => ({
    definition: {
      kind: 'event' as const,
      name: `${name}.${suffix}`,
      fields: { id: idField },
      key: 'id',
      stream: name,
      description: undefined,
      upcasters: steps,
    },
    schema,
    validator: compileSchema(schema),
    isTableChange: true,
  }))
}

function checkSignals(
  options: AppOptions,
  events: ReadonlyMap<string, CompiledEvent>,
  tables: ReadonlyMap<string, CompiledTable>,
  refuse: Refuse,
): void {
  for (const [index, signal] of (options.signals ?? []).entries()) {
    const path = `signals[${index}]`
    const fields = signal.event.fields
    if (events.get(signal.event.name)?.definition !== signal.event) {
      refuse(path, `event ${signal.event.name} is not among the events`)
    }
    if (tables.get(signal.itemKind)?.definition.kind !== 'item') {
      refuse(`${path}.item`, `${signal.item} does not name a declared item kind`)
    }
    if (fields[signal.item]?.isOptional === true) {
      refuse(`${path}.item`, `${signal.item} is optional, and a signal is about an item`)
    }
    if (fields[signal.person]?.ref !== 'person')
      refuse(`${path}.person`, 'it is not an id of a person')
    if (signal.event.stream !== 'person' || signal.event.key !== signal.person) {
      refuse(`${path}.person`, 'signals are events keyed by the person, so that their order is one')
    }
  }
}

function checkSurfaces(
  options: AppOptions,
  tables: ReadonlyMap<string, CompiledTable>,
  refuse: Refuse,
): void {
  for (const [name, surface] of Object.entries(options.surfaces ?? {})) {
    const path = `surfaces.${name}`
    if (!NAME.test(name)) refuse(path, 'a surface is named [a-z][a-zA-Z0-9_-]*, at most 64')
    if (surface.items.length === 0) refuse(`${path}.items`, 'it shows nothing')
    for (const shown of surface.items) {
      if (tables.get(shown.name)?.definition !== shown) {
        refuse(`${path}.items`, `${shown.name} is not among the items`)
      }
      for (const limit of surface.limits) {
        if (!(limit.field in shown.fields))
          refuse(`${path}.limits`, `${shown.name} has no ${limit.field}`)
        if (!Number.isInteger(limit.max) || limit.max < 1)
          refuse(`${path}.limits`, 'max is at least 1')
      }
    }
    if (!(surface.explore >= 0 && surface.explore <= 1))
      refuse(`${path}.explore`, 'it is between 0 and 1')
    const { size } = surface
    if (
      !Number.isInteger(size.default) ||
      !Number.isInteger(size.max) ||
      size.default < 1 ||
      size.max < size.default ||
      size.max > 1000
    ) {
      refuse(`${path}.size`, 'sizes are whole numbers, 1 <= default <= max <= 1000')
    }
    if (surface.sources.length === 0) refuse(`${path}.sources`, 'it has no source of candidates')
    checkRanker(surface, options.features ?? {}, { path: `${path}.ranker`, refuse })
  }
}

function checkViews(
  options: AppOptions,
  events: ReadonlyMap<string, CompiledEvent>,
  tables: ReadonlyMap<string, CompiledTable>,
  refuse: Refuse,
): void {
  for (const [name, view] of Object.entries(options.views ?? {})) {
    const path = `views.${name}`
    if (!NAME.test(name)) refuse(path, 'a view is named [a-z][a-zA-Z0-9_-]*')
    checkFoldName(`view.${name}`, path, refuse)
    if (view.from.length === 0) refuse(`${path}.from`, 'it reads nothing')
    for (const source of view.from) {
      if (events.get(source.name)?.definition !== source) {
        refuse(`${path}.from`, `event ${source.name} is not among the events`)
      }
      const key = source.fields[view.key]
      if (key?.ref === undefined || key.isOptional) {
        refuse(`${path}.key`, `${view.key} is not a required id field of ${source.name}`)
      } else if (key.ref !== source.stream) {
        checkFoldName(`rekey.${key.ref}.from-${source.stream}`, `${path}.key`, refuse)
      }
    }
    if (new Set(view.from.map(source => source.stream)).size > 1) {
      refuse(`${path}.from`, 'its events are on several streams, whose order is undefined')
    }
    for (const joined of Object.values(view.join)) {
      if (tables.get(joined.name)?.definition !== joined) {
        refuse(`${path}.join`, `${joined.name} is not among the items`)
      }
    }
    for (const emitted of view.emits) {
      if (events.get(emitted.name)?.definition !== emitted) {
        refuse(`${path}.emits`, `event ${emitted.name} is not among the events`)
      }
      if (view.from.some(source => source.name === emitted.name)) {
        refuse(`${path}.emits`, `it would feed itself with ${emitted.name}`)
      }
    }
    checkInitial(view, `${path}.initial`, refuse)
    if (view.window?.kind === 'sliding' && view.merge === undefined) {
      refuse(`${path}.window`, 'a sliding window needs `merge`')
    }
  }
}

function fingerprintOf(
  { approvals = [] }: AppOptions,
  events: ReadonlyMap<string, CompiledEvent>,
  tables: ReadonlyMap<string, CompiledTable>,
): string {
  const content = {
    events: [...events].map(([name, event]) => [name, event.definition.key, event.schema]).sort(),
    tables: [...tables].map(([name, table]) => [name, table.schema]).sort(),
    ...(approvals.length === 0 ? {} : { approvals }),
  }
  return bytesToHex(sha256(utf8ToBytes(stringify(content)))).slice(0, 12)
}

const ENVELOPE_FIELDS = new Set(['type', 'id', 'at', 'data'])

function admit(
  events: ReadonlyMap<string, CompiledEvent>,
  envelope: unknown,
): AdmittedEvent | RefusedEvent {
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    return refusal('', 'an event is an object {type, id?, at?, data}')
  }
  const { type, id: eventId, at, data } = envelope as Record<string, unknown>
  const event = typeof type === 'string' ? events.get(type) : undefined
  if (event === undefined) {
    const reason =
      typeof type === 'string'
        ? `no event ${type.slice(0, 64)} is declared`
        : 'it must name an event type'
    return { ok: false, code: 'EVENT_TYPE_UNKNOWN', issues: [{ path: '/type', reason }] }
  }
  for (const name in envelope) {
    if (!ENVELOPE_FIELDS.has(name))
      return refusal(`/${name.slice(0, 64)}`, 'the envelope has no such field')
  }
  if (eventId !== undefined && !isEventId(eventId)) {
    return refusal('/id', `an id is text of 1 to ${EVENT_ID_MAX} printable characters`)
  }
  let atMs: number | undefined
  if (at !== undefined) {
    atMs = readTime(at)
    if (atMs === undefined)
      return refusal('/at', 'a time is milliseconds since the epoch or RFC 3339 text, from 1970 on')
  }
  if (!event.validator.check(data)) {
    return {
      ok: false,
      code: 'EVENT_INVALID',
      issues: event.validator.issues(data).map(issue => ({ ...issue, path: `/data${issue.path}` })),
    }
  }
  const fields = data as Record<string, unknown>
  return {
    ok: true,
    event,
    key: fields[event.definition.key] as string,
    id: eventId,
    atMs,
    data: fields,
  }
}

function refusal(path: string, reason: string): RefusedEvent {
  return { ok: false, code: 'EVENT_INVALID', issues: [{ path, reason }] }
}

function isEventId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > EVENT_ID_MAX) return false
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index)
    if (unit < 0x20 || unit === 0x7f) return false
  }
  return true
}

/** JSON Schema of what `readTime` reads and people are told to send. */
export const timeSchema: JsonSchema = {
  anyOf: [
    { type: 'integer', minimum: 0, maximum: TIME_MAX_MS },
    { type: 'string', format: 'date-time', pattern: '^(19[7-9]|[2-9][0-9]{2})[0-9]-' },
  ],
  description: 'Milliseconds since the epoch, or RFC 3339 text from 1970 on.',
}

/** Milliseconds of an `at` value (a whole number of milliseconds, or RFC 3339 text), or undefined. */
export function readTime(value: unknown): number | undefined {
  if (typeof value === 'number') {
    return Number.isInteger(value) && value >= 0 && value <= TIME_MAX_MS ? value : undefined
  }
  if (typeof value !== 'string' || value.length > 40 || !RFC3339.test(value)) return undefined
  const parsed = Date.parse(value.replace(' ', 'T').toUpperCase())
  return Number.isNaN(parsed) || parsed < 0 || parsed > TIME_MAX_MS ? undefined : Math.floor(parsed)
}
