/** Query parameters: text converted to the types of a JSON Schema, then checked against it. */
import { compileSchema, POSITION_PATTERN, type JsonSchema, type Validator } from '@millrace/core'
import { productErrors } from '@millrace/product'

type Properties = Readonly<Record<string, JsonSchema>>

/** Reads query strings of one operation. */
export type QueryReader = (raw: unknown) => Record<string, unknown>

/** What every read takes beside its own parameters. */
export const readingParameters: Properties = {
  atLeast: {
    type: 'string',
    pattern: POSITION_PATTERN,
    description: 'A position from an earlier answer: the answer reflects at least it.',
  },
  timeoutMs: {
    type: 'integer',
    minimum: 0,
    maximum: 600_000,
    default: 5000,
    description: 'How long to wait for `atLeast`.',
  },
}

/** The schema of all query parameters of an operation. */
export function querySchema(own: JsonSchema | undefined, isReading: boolean): JsonSchema {
  const properties = (own?.['properties'] ?? {}) as Properties
  return {
    ...own,
    type: 'object',
    properties: isReading ? { ...properties, ...readingParameters } : properties,
    additionalProperties: own?.['additionalProperties'] ?? false,
  }
}

/** Compiles the reader of a schema. It throws REQUEST_INVALID with the parameter and the reason. */
export function createQueryReader(schema: JsonSchema): QueryReader {
  const properties = (schema['properties'] ?? {}) as Properties
  const validator = compileSchema(schema)
  const defaults = Object.entries(properties).filter(([, property]) => 'default' in property)
  const empty: Record<string, unknown> = {}
  for (const [name, property] of defaults) empty[name] = property['default']
  const isEmptyFine = validator.check(empty)
  return raw => {
    if (isEmptyFine && isEmpty(raw)) return { ...empty }
    const query: Record<string, unknown> = {}
    for (const [name, value] of Object.entries((raw ?? {}) as Record<string, unknown>)) {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined
      query[name] = property === undefined ? value : converted(value, property)
    }
    for (const [name, property] of defaults) query[name] ??= property['default']
    assertFits(validator, query, 'the query')
    return query
  }
}

function isEmpty(raw: unknown): boolean {
  for (const _ in raw as object) return false
  return true
}

function converted(value: unknown, schema: JsonSchema): unknown {
  const choices = (schema['anyOf'] ?? schema['oneOf']) as readonly JsonSchema[] | undefined
  if (choices !== undefined) {
    // The first type that takes the text: a number or text, for times.
    const taken = choices.map(choice => converted(value, choice))
    return taken.find(choice => choice !== value) ?? value
  }
  const type = schema['type']
  if (type === 'array') {
    const items = (schema['items'] ?? {}) as JsonSchema
    const list = Array.isArray(value) ? value : String(value).split(',')
    return list.map(entry => converted(entry, items))
  }
  if (typeof value !== 'string') return value
  if (type === 'integer' || type === 'number') {
    if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return value
    const number = Number(value)
    return type === 'integer' && !Number.isSafeInteger(number) ? value : number
  }
  if (type === 'boolean') {
    // A flag without a value, `?explain`, means yes.
    if (value === 'true' || value === '1' || value === '') return true
    return value === 'false' || value === '0' ? false : value
  }
  return value
}

/** Throws REQUEST_INVALID with the place of the first fault. */
export function assertFits(validator: Validator, value: unknown, subject: string): void {
  if (validator.check(value)) return
  const issue = validator.issues(value)[0] ?? { path: '', reason: 'it does not fit' }
  const place = issue.path === '' ? subject : `${subject}, ${issue.path.slice(0, 256)}`
  throw productErrors.create('REQUEST_INVALID', { name: place, reason: issue.reason })
}
