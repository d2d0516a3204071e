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

function hide(data: unknown, names: readonly string[]): unknown {
  if (names.length === 0 || !isObject(data)) return data
  const copy = { ...data }
  for (const name of names) if (Object.hasOwn(copy, name)) copy[name] = MASKED
  return copy
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
