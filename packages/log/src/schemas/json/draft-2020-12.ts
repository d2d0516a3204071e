/**
 * Drafts 2019-09 and 2020-12: each keyword is a shape, joined in the order in which they are
 * written. Shapes of one kind merge; a list of types takes in the constraints of its members; what
 * is left is an implied `allOf`.
 */
import {
  annotationsOf,
  constShape,
  defined,
  enumShape,
  invalidSchema,
  listAt,
  numberAt,
  numberConstraints,
  objectAt,
  textConstraints,
  textsAt,
  type Node,
} from './keywords.ts'
import type { Reader } from './read.ts'
import {
  emptyArray,
  emptyObject,
  type ArrayShape,
  type CombinedShape,
  type Criterion,
  type ObjectShape,
  type Shape,
} from './shape.ts'

/** Reads one schema object. */
export function readDraft202012(node: Node, at: string, reader: Reader): Shape {
  let shape: Shape | undefined
  const join = (next: Shape | undefined): void => {
    if (next !== undefined) shape = shape === undefined ? next : joinShapes(shape, next)
  }
  for (const keyword of Object.keys(node)) join(KEYWORDS[keyword]?.(node, at, reader))
  for (const late of LATE_KEYWORDS) if (late in node) join(KEYWORDS_LATE[late](node, at, reader))
  const whole = unwrapped(shape)
  return { ...whole, ...annotationsOf(node) }
}

type ReadKeyword = (node: Node, at: string, reader: Reader) => Shape | undefined

/** An implied `allOf` of nothing is anything; of one part, that part. */
function unwrapped(shape: Shape | undefined): Shape {
  if (shape === undefined) return { kind: 'any' }
  if (!isImplied(shape, 'allOf') || shape.parts.length > 1) return shape
  return shape.parts[0] ?? { kind: 'any' }
}

const onText: ReadKeyword = (node, at) => ({ kind: 'string', ...textConstraints(node, at) })
const onNumber: ReadKeyword = (node, at) => ({ kind: 'number', ...numberConstraints(node, at) })
const objectWith = (change: Partial<ObjectShape>): Shape => ({ ...emptyObject(), ...change })
const arrayWith = (change: Partial<ArrayShape>): Shape => ({ ...emptyArray(), ...change })

const combined =
  (criterion: Criterion): ReadKeyword =>
  (node, at, reader) => {
    const parts = (listAt(node, criterion, at) ?? []).flatMap((schema, i) =>
      flattened(reader.part(schema, `${at}/${criterion}/${i}`)),
    )
    return { kind: 'combined', criterion, parts }
  }

const KEYWORDS: Readonly<Record<string, ReadKeyword>> = {
  $ref: (node, at, reader) => reader.reference(node['$ref'] as string, at),
  $dynamicRef: (node, at, reader) => reader.reference(node['$dynamicRef'] as string, at),
  type: readType,
  enum: (node, at) => enumShape(listAt(node, 'enum', at) ?? []),
  const: node => constShape(node['const']),
  not: (node, at, reader) => ({ kind: 'not', negated: reader.part(node['not'], `${at}/not`) }),
  if: () => ({ kind: 'conditional' }),
  allOf: combined('allOf'),
  anyOf: combined('anyOf'),
  oneOf: combined('oneOf'),
  minLength: onText,
  maxLength: onText,
  pattern: onText,
  minimum: onNumber,
  maximum: onNumber,
  exclusiveMinimum: onNumber,
  exclusiveMaximum: onNumber,
  multipleOf: onNumber,
  required: (node, at) => objectWith({ required: new Set(textsAt(node, 'required', at)) }),
  minProperties: (node, at) =>
    objectWith(defined({ minProperties: numberAt(node, 'minProperties', at) })),
  maxProperties: (node, at) =>
    objectWith(defined({ maxProperties: numberAt(node, 'maxProperties', at) })),
  propertyNames: () => emptyObject(),
  additionalProperties(node, at, reader) {
    const additional = node['additionalProperties']
    if (additional === true) return emptyObject()
    if (additional === false) return objectWith({ additional: false })
    return objectWith({ additional: reader.part(additional, `${at}/additionalProperties`) })
  },
  dependentRequired(node, at) {
    const lists = objectAt(node, 'dependentRequired', at) ?? {}
    const names = Object.keys(lists).map(name => {
      const texts = textsAt(lists, name, `${at}/dependentRequired`)
      return [name, new Set(texts)] as const
    })
    // A property that asks for nothing is no dependency.
    return objectWith({ dependentRequired: new Map(names.filter(([, needs]) => needs.size > 0)) })
  },
  dependentSchemas: (node, at, reader) =>
    objectWith({ dependentSchemas: readAll(node, 'dependentSchemas', at, reader) }),
  minItems: (node, at) => arrayWith(defined({ minItems: numberAt(node, 'minItems', at) })),
  maxItems: (node, at) => arrayWith(defined({ maxItems: numberAt(node, 'maxItems', at) })),
  uniqueItems: node => arrayWith(node['uniqueItems'] === true ? { uniqueItems: true } : {}),
  contains: (node, at) =>
    arrayWith({
      minContains: numberAt(node, 'minContains', at) ?? 1,
      ...defined({ maxContains: numberAt(node, 'maxContains', at) }),
    }),
  prefixItems: (node, at, reader) =>
    arrayWith({
      prefix: (listAt(node, 'prefixItems', at) ?? []).map((item, i) =>
        reader.part(item, `${at}/prefixItems/${i}`),
      ),
    }),
  items(node, at, reader) {
    const { items } = node
    if (items === true) return emptyArray()
    if (items === false) return arrayWith({ additional: false })
    const shape = reader.part(items, `${at}/items`)
    const hasPrefix = (listAt(node, 'prefixItems', at) ?? []).length > 0
    return arrayWith(hasPrefix ? { additional: shape } : { all: shape })
  },
}

/** Joined after the others, wherever they are written. */
const LATE_KEYWORDS = [
  'properties',
  'patternProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
] as const

const KEYWORDS_LATE: Readonly<Record<(typeof LATE_KEYWORDS)[number], ReadKeyword>> = {
  properties(node, at, reader) {
    const properties = readAll(node, 'properties', at, reader)
    return properties.size === 0 ? undefined : objectWith({ properties })
  },
  patternProperties(node, at, reader) {
    const patterns = readAll(node, 'patternProperties', at, reader)
    return patterns.size === 0 ? undefined : objectWith({ patterns })
  },
  unevaluatedItems: (node, at, reader) =>
    arrayWith({ unevaluated: reader.part(node['unevaluatedItems'], `${at}/unevaluatedItems`) }),
  unevaluatedProperties: (node, at, reader) =>
    objectWith({
      unevaluated: reader.part(node['unevaluatedProperties'], `${at}/unevaluatedProperties`),
    }),
}

function readAll(node: Node, keyword: string, at: string, reader: Reader): Map<string, Shape> {
  const schemas = Object.entries(objectAt(node, keyword, at) ?? {})
  return new Map(
    schemas.map(([name, schema]) => [name, reader.part(schema, `${at}/${keyword}/${name}`)]),
  )
}

function readType(node: Node, at: string): Shape {
  const { type } = node
  if (typeof type === 'string') return typeShape(type, at)
  const parts = (textsAt(node, 'type', at) ?? []).map(name => typeShape(name, at))
  return { kind: 'combined', criterion: 'anyOf', parts, isImplied: true }
}

function typeShape(name: string, at: string): Shape {
  switch (name) {
    case 'integer':
      return { kind: 'number', isInteger: true }
    case 'number':
    case 'string':
    case 'boolean':
    case 'null':
      return { kind: name }
    case 'object':
      return emptyObject()
    case 'array':
      return emptyArray()
    default:
      return invalidSchema(`${at}/type`, `there is no type ${JSON.stringify(name)}`)
  }
}

function isImplied(shape: Shape, criterion: Criterion): shape is CombinedShape {
  return shape.kind === 'combined' && shape.isImplied === true && shape.criterion === criterion
}

const flattened = (shape: Shape): readonly Shape[] =>
  isImplied(shape, 'allOf') ? shape.parts : [shape]

const isMergeable = (shape: Shape): boolean =>
  shape.kind === 'string' ||
  shape.kind === 'number' ||
  shape.kind === 'object' ||
  shape.kind === 'array'

function joinShapes(a: Shape, b: Shape): Shape {
  if (a.kind === b.kind && isMergeable(a)) return merged(a, b)
  for (const [types, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (!isImplied(types, 'anyOf') || !types.parts.some(part => part.kind === other.kind)) continue
    return { ...types, parts: accumulated([...types.parts, other]) }
  }
  const parts = accumulated([...flattened(a), ...flattened(b)])
  return { kind: 'combined', criterion: 'allOf', parts, isImplied: true }
}

/** Merges each shape into the first of its kind. */
function accumulated(shapes: readonly Shape[]): Shape[] {
  const parts: Shape[] = []
  for (const shape of shapes) {
    const same = isMergeable(shape) ? parts.findIndex(part => part.kind === shape.kind) : -1
    const existing = parts[same]
    if (existing === undefined) parts.push(shape)
    else parts[same] = merged(existing, shape)
  }
  return parts
}

/** Both constraints, of two shapes of one kind; where both speak, the later. */
function merged(a: Shape, b: Shape): Shape {
  if (a.kind === 'object' && b.kind === 'object') {
    return {
      ...a,
      ...b,
      properties: new Map([...a.properties, ...b.properties]),
      patterns: new Map([...a.patterns, ...b.patterns]),
      required: new Set([...a.required, ...b.required]),
      dependentRequired: new Map([...a.dependentRequired, ...b.dependentRequired]),
      dependentSchemas: new Map([...a.dependentSchemas, ...b.dependentSchemas]),
    }
  }
  if (a.kind === 'array' && b.kind === 'array') {
    return { ...a, ...b, prefix: [...a.prefix, ...b.prefix] }
  }
  return { ...a, ...b }
}
