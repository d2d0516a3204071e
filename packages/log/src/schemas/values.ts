/**
 * Values that a JSON Schema allows, for tests: old events as they may lie in a log. For the schemas
 * that field definitions give: objects of named fields, lists, texts, numbers, choices.
 */
import fc from 'fast-check'
import {
  invalidSchema,
  isNode,
  listAt,
  numberAt,
  objectAt,
  textsAt,
  type Node,
} from './json/keywords.ts'

/** Generates values that fit `schema`. Throws SCHEMA_INVALID for keywords that fields do not give. */
export function valuesOf(schema: unknown, at = ''): fc.Arbitrary<unknown> {
  if (!isNode(schema)) return invalidSchema(at, 'values of it cannot be generated')
  const choices = listAt(schema, 'enum', at)
  if (choices !== undefined) return fc.constantFrom(...choices)
  switch (schema['type']) {
    case 'object':
      return objects(schema, at)
    case 'array':
      return fc.array(valuesOf(schema['items'], `${at}/items`), {
        minLength: numberAt(schema, 'minItems', at) ?? 0,
        maxLength: Math.min(numberAt(schema, 'maxItems', at) ?? ITEMS_MAX, ITEMS_MAX),
      })
    case 'string':
      return texts(schema, at)
    case 'integer':
      return fc.integer(bounds(schema, at, { min: -(2 ** 31), max: 2 ** 31 - 1 }))
    case 'number':
      return fc.double({ ...bounds(schema, at, { min: -1e15, max: 1e15 }), noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    default:
      return invalidSchema(`${at}/type`, 'values of it cannot be generated')
  }
}

const ITEMS_MAX = 4
const LENGTH_MAX = 24

function objects(schema: Node, at: string): fc.Arbitrary<unknown> {
  const fields = Object.entries(objectAt(schema, 'properties', at) ?? {}).map(
    ([name, field]) => [name, valuesOf(field, `${at}/properties/${name}`)] as const,
  )
  return fc.record(Object.fromEntries(fields), {
    requiredKeys: [...(textsAt(schema, 'required', at) ?? [])],
    noNullPrototype: true,
  })
}

function texts(schema: Node, at: string): fc.Arbitrary<unknown> {
  const { pattern } = schema
  if (typeof pattern === 'string')
    return fc.stringMatching(new RegExp(pattern), { maxLength: LENGTH_MAX })
  const minLength = numberAt(schema, 'minLength', at) ?? 0
  const maxLength = Math.min(
    numberAt(schema, 'maxLength', at) ?? LENGTH_MAX,
    minLength + LENGTH_MAX,
  )
  return fc.string({ minLength, maxLength })
}

/** The limits of a number, kept where both ends are likely to be tried: inside 32 bits or the declared range. */
function bounds(
  schema: Node,
  at: string,
  usual: { readonly min: number; readonly max: number },
): { readonly min: number; readonly max: number } {
  const least = numberAt(schema, 'minimum', at) ?? usual.min
  const most = numberAt(schema, 'maximum', at) ?? usual.max
  const isInside = (value: number): boolean => value >= usual.min && value <= usual.max
  const [min, max] = [isInside(least) ? least : usual.min, isInside(most) ? most : usual.max]
  return min <= max && min >= least && max <= most ? { min, max } : { min: least, max: most }
}
