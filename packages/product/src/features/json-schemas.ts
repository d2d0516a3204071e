/** Pieces of the JSON Schemas of feature routes. */
import type { JsonSchema } from '@millrace/core'
import { CELL_STATUSES } from '@millrace/features'

export const text: JsonSchema = { type: 'string' }
export const texts: JsonSchema = { type: 'array', items: text }
export const statusName: JsonSchema = { type: 'string', enum: [...CELL_STATUSES] }

/** A value of a feature: a number, a text, or a list of them. */
export const featureValue: JsonSchema = {
  oneOf: [
    { type: 'number' },
    text,
    { type: 'array', items: { type: 'number' }, minItems: 1 },
    { type: 'array', items: text, minItems: 1 },
    { type: 'array', maxItems: 0 },
  ],
}
/** Which of them. */
export const featureKind: JsonSchema = {
  type: 'string',
  enum: ['number', 'text', 'numbers', 'texts'],
}

/** An object that has all of the properties, but for the optional ones. */
export function object(
  properties: Record<string, JsonSchema>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter(name => !optional.includes(name))
  return { type: 'object', properties, required }
}
