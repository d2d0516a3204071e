/**
 * Hides personal fields of records where people look at the log. A record is masked by the marks of
 * the definition that it was written under as well as by today's: neither a mark that was taken away
 * nor an event type that is no longer declared uncovers what was sent before.
 */
import { quietStack, type AnyView, type App } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { SchemaHistory } from '@millrace/log/schemas'
import { CHANGESET_ITEMS_STREAM } from '@millrace/product'
import {
  AMENDED_TYPE,
  AMENDMENTS_STREAM,
  CORRECTED_TYPE,
  CORRECTIONS_STREAM,
  viewFoldName,
  type CorrectionData,
} from '@millrace/streams'

/** What stands in the place of a personal value. */
export const MASKED = '[personal]'

/** Gives the data of a record, with personal values replaced. */
export type Mask = (record: LogRecord) => unknown

/** Hides in a value what one schema marks as personal. */
type Hide = (data: unknown) => unknown

/**
 * Creates the mask of a log for the readers of `app`. Types that none of its definitions declared
 * are passed through: they are Millrace's own.
 */
export function createMask(app: App, { versions, definitions }: SchemaHistory): Mask {
  const hides = new Map(
    [...versions].map(([type, list]) => [type, list.map(({ schema }) => hideOf(schema))]),
  )
  const today = definitions.get(app.fingerprint)
  const hide = (type: string, definition: string | undefined, data: unknown): unknown => {
    const all = hides.get(type) ?? []
    const version = definition === undefined ? undefined : definitions.get(definition)?.[type]
    // A definition that is not known is held to the marks of all.
    const own = version === undefined ? all : [all[version - 1], all[(today?.[type] ?? 0) - 1]]
    return own.reduce((value, one) => (one === undefined ? value : one(value)), data)
  }
  const hideIn = <T extends { readonly data?: unknown }>(type: string, value: T): T =>
    value.data === undefined ? value : { ...value, data: hide(type, undefined, value.data) }
  return ({ stream, type, definition, data }) => {
    if (stream === CORRECTIONS_STREAM && type === CORRECTED_TYPE) {
      const correction = data as CorrectionData
      const events = correction.events.map(event => {
        const { emitted } = event
        const own = hideIn(event.type, event)
        return emitted === undefined ? own : { ...own, emitted: hideIn(event.type, emitted) }
      })
      return { ...correction, events }
    }
    if (stream === CHANGESET_ITEMS_STREAM) return withoutValues(data)
    if (stream !== AMENDMENTS_STREAM || type !== AMENDED_TYPE) return hide(type, definition, data)
    const amended = data as { readonly type: string; readonly data?: unknown }
    return hideIn(amended.type, amended)
  }
}

/** A chunk of a changeset: what would be changed, without the values, of which `changeset show` gives what may be seen. */
function withoutValues(data: unknown): unknown {
  const { entries, ...place } = data as { readonly entries: readonly { readonly target: string }[] }
  return { ...place, entries: entries.map(({ target }) => ({ target })) }
}

/** Event types of which a version that the log remembers has a personal field. */
export function personalTypes({ versions }: SchemaHistory): ReadonlySet<string> {
  const types = [...versions].filter(([, list]) =>
    list.some(({ schema }) => hideOf(schema) !== undefined),
  )
  return new Set(types.map(([type]) => type))
}

/** Undefined when the schema marks nothing. */
function hideOf(schema: unknown): Hide | undefined {
  if (!isObject(schema)) return undefined
  // What was erased is null, and nothing is left to hide.
  if (schema['x-personal'] === true) return data => (data === null ? null : MASKED)
  const { properties } = schema
  if (!isObject(properties)) return undefined
  const inner = Object.entries(properties).flatMap(([name, field]) => {
    const hide = hideOf(field)
    return hide === undefined ? [] : [[name, hide] as const]
  })
  if (inner.length === 0) return undefined
  return data => {
    if (!isObject(data)) return data
    const copy = { ...data }
    for (const [name, hide] of inner) if (Object.hasOwn(copy, name)) copy[name] = hide(copy[name])
    return copy
  }
}

/** Tells of an error that nobody foresaw, for the log of the server: the stack, or what is safe of it. */
export type DescribeError = (error: unknown) => string

/** Creates the description of errors; the message is left out where it may quote personal data. */
export function createErrorDescription(history: SchemaHistory): DescribeError {
  if (personalTypes(history).size > 0) return quietStack
  return error => (error instanceof Error ? (error.stack ?? error.message) : String(error))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Gives a row of the view that a fold keeps, with personal values replaced. A view may keep a field of
 * an event under any name: what has the name of a personal one is hidden, wherever it stands.
 */
export type RowMask = (fold: string, value: unknown) => unknown

/** Creates the mask of the rows of an app's views. */
export function createRowMask(app: App): RowMask {
  const personal = personalNames(app)
  return (fold, value) => hideDeep(value, personal.get(fold) ?? NOTHING)
}

/** A value that stands in a field of such a row; the field is a path of names, as differences tell it. */
export function maskField(
  mask: RowMask,
  { fold, field }: { readonly fold: string; readonly field: string },
  value: unknown,
): unknown {
  const names = field.split(/[.[\]]+/).filter(name => name !== '')
  const isHidden = names.some(name => {
    return (mask(fold, { [name]: '' }) as Readonly<Record<string, unknown>>)[name] === MASKED
  })
  return isHidden ? MASKED : mask(fold, value)
}

const NOTHING: ReadonlySet<string> = new Set()

function personalNames(app: App): ReadonlyMap<string, ReadonlySet<string>> {
  const views = Object.entries(app.options.views ?? {})
  return new Map(
    views.map(([name, view]) => {
      const names = [view, view.replaces].flatMap(version => (version ? namesIn(version) : []))
      return [viewFoldName(name), new Set(names)]
    }),
  )
}

function namesIn({ from, join: joined }: AnyView): readonly string[] {
  return [...from, ...Object.values(joined)].flatMap(({ fields }) =>
    Object.keys(fields).filter(name => fields[name]?.isPersonal),
  )
}

function hideDeep(value: unknown, names: ReadonlySet<string>): unknown {
  if (names.size === 0 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(inner => hideDeep(inner, names))
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      names.has(name) ? MASKED : hideDeep(inner, names),
    ]),
  )
}
