/** Reading the keywords of a schema document, of either dialect. */
import { logErrors } from '../../errors.ts'
import { canonicalJson } from '../canonical.ts'
import type { Annotations, ConstShape, EnumShape, NumberShape, TextShape } from './shape.ts'

/** A schema document or a part of it. */
export type Node = { readonly [keyword: string]: unknown }

/** Refuses a schema that cannot be read. */
export function invalidSchema(at: string, reason: string): never {
  throw logErrors.create('SCHEMA_INVALID', { at: at === '' ? 'its root' : at, reason })
}

/** The member of an object, as an object. */
export function objectAt(node: Node, keyword: string, at: string): Node | undefined {
  const value = node[keyword]
  if (value === undefined) return undefined
  if (!isNode(value)) invalidSchema(`${at}/${keyword}`, 'it is not an object')
  return value
}

/** The member of an object, as a list. */
export function listAt(node: Node, keyword: string, at: string): readonly unknown[] | undefined {
  const value = node[keyword]
  if (value === undefined) return undefined
  if (!Array.isArray(value)) invalidSchema(`${at}/${keyword}`, 'it is not a list')
  return value as readonly unknown[]
}

/** The member of an object, as a list of texts. */
export function textsAt(node: Node, keyword: string, at: string): readonly string[] | undefined {
  const values = listAt(node, keyword, at)
  if (values?.some(value => typeof value !== 'string') === true) {
    invalidSchema(`${at}/${keyword}`, 'it is not a list of texts')
  }
  return values as readonly string[] | undefined
}

/** The member of an object, as a number. */
export function numberAt(node: Node, keyword: string, at: string): number | undefined {
  const value = node[keyword]
  if (value === undefined) return undefined
  if (typeof value !== 'number') invalidSchema(`${at}/${keyword}`, 'it is not a number')
  return value
}

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Leaves out what is undefined, so that equal shapes have equal texts. */
export function defined<T extends object>(
  members: T,
): {
  [K in keyof T]?: Exclude<T[K], undefined>
} {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** Title, description, default and the mark of Connect. */
export function annotationsOf(node: Node): Annotations {
  const text = (keyword: string): string | undefined =>
    typeof node[keyword] === 'string' ? node[keyword] : undefined
  return defined({
    title: text('title'),
    description: text('description'),
    default: 'default' in node ? { value: node['default'] } : undefined,
    isConnectBytes: node['connect.type'] === 'bytes' ? true : undefined,
  })
}

/** The constraints on texts. */
export function textConstraints(node: Node, at: string): Omit<TextShape, 'kind'> {
  const pattern = node['pattern']
  if (pattern !== undefined && typeof pattern !== 'string') {
    invalidSchema(`${at}/pattern`, 'it is not a text')
  }
  return defined({
    minLength: numberAt(node, 'minLength', at),
    maxLength: numberAt(node, 'maxLength', at),
    pattern,
  })
}

/** The constraints on numbers. */
export function numberConstraints(node: Node, at: string): Omit<NumberShape, 'kind'> {
  return defined({
    minimum: numberAt(node, 'minimum', at),
    maximum: numberAt(node, 'maximum', at),
    exclusiveMinimum: numberAt(node, 'exclusiveMinimum', at),
    exclusiveMaximum: numberAt(node, 'exclusiveMaximum', at),
    multipleOf: numberAt(node, 'multipleOf', at),
  })
}

export function enumShape(values: readonly unknown[]): EnumShape {
  return { kind: 'enum', values: new Set(values.map(canonicalJson)) }
}

export function constShape(value: unknown): ConstShape {
  return { kind: 'const', value: canonicalJson(value) }
}
