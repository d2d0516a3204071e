/**
 * The shape of a JSON Schema: what the compatibility rules compare. A schema that constrains one
 * kind of value is one shape; a schema of several keyword groups is an `allOf` of shapes. The rules
 * are defined over these parts, not over keywords, so both readers (`draft-7.ts`,
 * `draft-2020-12.ts`) produce them.
 */

/** How the parts of a combination relate. */
export type Criterion = 'allOf' | 'anyOf' | 'oneOf'

/** What every shape may carry beside its constraints. */
export interface Annotations {
  id?: string
  title?: string
  description?: string
  /** Wrapped, so that a default of `undefined` cannot be mistaken for none. */
  default?: { readonly value: unknown }
  /** True for `connect.type: bytes`: two such schemas are taken for equal, whatever their type. */
  isConnectBytes?: boolean
}

export interface TextShape extends Annotations {
  readonly kind: 'string'
  minLength?: number
  maxLength?: number
  pattern?: string
}

export interface NumberShape extends Annotations {
  readonly kind: 'number'
  isInteger?: boolean
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
}

export interface ObjectShape extends Annotations {
  readonly kind: 'object'
  readonly properties: Map<string, Shape>
  readonly patterns: Map<string, Shape>
  readonly required: Set<string>
  readonly dependentRequired: Map<string, Set<string>>
  readonly dependentSchemas: Map<string, Shape>
  /** False: none. A shape: all others fit it. Undefined: anything. */
  additional?: Shape | false
  unevaluated?: Shape
  minProperties?: number
  maxProperties?: number
}

export interface ArrayShape extends Annotations {
  readonly kind: 'array'
  /** The shape of every item; excludes `prefix`. */
  all?: Shape
  readonly prefix: Shape[]
  /** Items after the prefix. False: none. Undefined: anything. */
  additional?: Shape | false
  unevaluated?: Shape
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minContains?: number
  maxContains?: number
}

export interface CombinedShape extends Annotations {
  readonly kind: 'combined'
  criterion: Criterion
  parts: Shape[]
  /** Made of the keywords of one schema, not written as such: it may be taken apart again. */
  isImplied?: boolean
}

export interface ReferenceShape extends Annotations {
  readonly kind: 'reference'
  readonly to: string
  /** The shape referred to, read on first use, the same object each time. */
  readonly target: () => Shape
}

export interface EnumShape extends Annotations {
  readonly kind: 'enum'
  /** Canonical JSON of the values. */
  readonly values: ReadonlySet<string>
}

export interface ConstShape extends Annotations {
  readonly kind: 'const'
  /** Canonical JSON of the value. */
  readonly value: string
}

export interface NotShape extends Annotations {
  readonly kind: 'not'
  readonly negated: Shape
}

/** Values of one kind without further constraint, anything, nothing, or an if-then-else. */
export interface PlainShape extends Annotations {
  readonly kind: 'any' | 'never' | 'boolean' | 'null' | 'conditional'
}

export type Shape =
  | TextShape
  | NumberShape
  | ObjectShape
  | ArrayShape
  | CombinedShape
  | ReferenceShape
  | EnumShape
  | ConstShape
  | NotShape
  | PlainShape

/** An object shape without constraints. */
export const emptyObject = (): ObjectShape => ({
  kind: 'object',
  properties: new Map(),
  patterns: new Map(),
  required: new Set(),
  dependentRequired: new Map(),
  dependentSchemas: new Map(),
})

/** An array shape without constraints. */
export const emptyArray = (): ArrayShape => ({ kind: 'array', prefix: [] })

/**
 * A text that is equal for equal shapes: duplicates of a combination are counted once. A reference
 * is written by its name, so recursion ends.
 */
export function shapeKey(shape: Shape): string {
  return JSON.stringify(shape, (name, value: unknown) => {
    if (value instanceof Map) return [...value].sort(([a], [b]) => (a < b ? -1 : 1))
    if (value instanceof Set) return [...(value as Set<string>)].sort()
    return name === 'isImplied' ? undefined : value
  })
}
