/** Hides personal fields of records where people look at the log. */
import type { App } from '@millrace/core'

/** What stands in the place of a personal value. */
export const MASKED = '[personal]'

/** Gives the data of a record of a type, with personal values replaced. */
export type Mask = (type: string, data: unknown) => unknown

/** Creates the mask of a definition. Types that it does not know are passed through: their fields are not declared personal. */
export function createMask(app: App): Mask {
  const ownFields = new Map<string, readonly string[]>()
  const attributes = new Map<string, readonly string[]>()
  const personal = (fields: Readonly<Record<string, { readonly isPersonal: boolean }>>): string[] =>
    Object.keys(fields).filter(name => fields[name]?.isPersonal)
  for (const [type, event] of app.events) ownFields.set(type, personal(event.definition.fields))
  for (const [kind, table] of app.tables) {
    attributes.set(`${kind}.put`, personal(table.definition.fields))
  }
  return (type, data) => {
    const masked = hide(data, ownFields.get(type) ?? [])
    const inner = attributes.get(type) ?? []
    if (inner.length === 0 || !isObject(masked)) return masked
    return { ...masked, attributes: hide(masked['attributes'], inner) }
  }
}

/**
 * Tells of an error that nobody foresaw, for the log of the server: name, message and frames.
 * Messages quote what they stumble over, so the message is left out where `body`, the bytes of a
 * request, holds a personal field, or cannot be read.
 */
export type DescribeError = (error: unknown, body: Uint8Array | undefined) => string

/** Creates the description of errors of a definition. */
export function createErrorDescription(app: App): DescribeError {
  const definitions = [...app.events.values(), ...app.tables.values()]
  const names = new Set(
    definitions.flatMap(({ definition: { fields } }) =>
      Object.keys(fields).filter(name => fields[name]?.isPersonal),
    ),
  )
  const holdsPersonal = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return false
    return Object.entries(value).some(([name, inner]) => names.has(name) || holdsPersonal(inner))
  }
  const mayQuote = (body: Uint8Array | undefined): boolean => {
    if (names.size === 0 || body === undefined || body.length === 0) return true
    try {
      return !holdsPersonal(JSON.parse(Buffer.from(body).toString('utf8')))
    } catch {
      return false
    }
  }
  return (error, body) => {
    const isQuoted = mayQuote(body)
    if (!(error instanceof Error)) return isQuoted ? String(error) : MASKED
    const stack = error.stack ?? error.message
    if (isQuoted) return stack
    const { message } = error
    const frames = stack.slice(stack.indexOf(message) + message.length)
    return `${error.name}: ${MASKED}${frames}`
  }
}

function hide(data: unknown, names: readonly string[]): unknown {
  if (names.length === 0 || !isObject(data)) return data
  const copy = { ...data }
  for (const name of names) if (Object.hasOwn(copy, name)) copy[name] = MASKED
  return copy
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
