/**
 * Draft 4, 6 and 7: the keywords of a schema form groups, one per kind of value. `type` picks its
 * group; groups that are present without it are shapes of their own, joined by an implied `allOf`.
 */
import {
  annotationsOf,
  constShape,
  defined,
  enumShape,
  invalidSchema,
  isNode,
  listAt,
  numberAt,
  numberConstraints,
  objectAt,
  textConstraints,
  textsAt,
  type Node,
} from './keywords.ts'
import type { Reader } from './read.ts'
import { emptyArray, emptyObject, type ArrayShape, type ObjectShape, type Shape } from './shape.ts'

type Group = 'array' | 'object' | 'number' | 'string'

const GROUPS: Readonly<Record<Group, readonly string[]>> = {
  array: ['items', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems', 'contains'],
  object: [
    'properties',
    'required',
    'minProperties',
    'maxProperties',
    'dependencies',
    'patternProperties',
    'additionalProperties',
    'propertyNames',
  ],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  string: ['minLength', 'maxLength', 'pattern', 'format'],
}
const CRITERIA = ['allOf', 'anyOf', 'oneOf'] as const

/** Reads one schema object. */
export function readDraft7(node: Node, at: string, reader: Reader): Shape {
  const annotations = {
    ...annotationsOf(node),
    ...defined({ id: typeof node['$id'] === 'string' ? node['$id'] : undefined }),
  }
  const reference = node['$ref']
  if (typeof reference === 'string') {
    // What stands beside a reference is ignored, but for the annotations.
    return { ...reader.reference(reference, at), ...annotations }
  }
  const parts: Shape[] = []
  const values = listAt(node, 'enum', at)
  if (values !== undefined) parts.push(enumShape(values))
  for (const criterion of CRITERIA) {
    const schemas = listAt(node, criterion, at)
    if (schemas === undefined) continue
    const shapes = schemas.map((schema, i) => reader.part(schema, `${at}/${criterion}/${i}`))
    parts.push({ kind: 'combined', criterion, parts: shapes })
  }
  if ('not' in node) {
    parts.push({ kind: 'not', negated: reader.part(node['not'], `${at}/not`) })
  }
  if ('const' in node) parts.push(constShape(node['const']))
  const typed = readTypes(node, at, reader)
  parts.push(...typed.shapes, ...readUntyped(node, at, reader, typed.groups))
  if (['if', 'then', 'else'].some(keyword => keyword in node)) parts.push({ kind: 'conditional' })
  const [only] = parts
  if (only === undefined) return { kind: 'any', ...annotations }
  if (parts.length === 1) return { ...only, ...annotations }
  return { kind: 'combined', criterion: 'allOf', parts, isImplied: true, ...annotations }
}

/** The shapes that `type` names, and the groups of keywords that they took. */
function readTypes(
  node: Node,
  at: string,
  reader: Reader,
): { readonly shapes: readonly Shape[]; readonly groups: ReadonlySet<Group> } {
  const { type } = node
  if (type === undefined) return { shapes: [], groups: new Set() }
  const names = Array.isArray(type) ? (textsAt(node, 'type', at) ?? []) : [type as string]
  const shapes = names.map(name => readType(name, node, at, reader))
  const groups = new Set(shapes.map(({ kind }) => kind as Group))
  return {
    shapes: Array.isArray(type)
      ? [{ kind: 'combined', criterion: 'anyOf', parts: shapes, isImplied: true }]
      : shapes,
    groups,
  }
}

function readType(name: string, node: Node, at: string, reader: Reader): Shape {
  switch (name) {
    case 'integer':
      return { kind: 'number', isInteger: true, ...numberConstraints(node, at) }
    case 'string':
    case 'number':
    case 'object':
    case 'array':
      return readGroup(name, node, at, reader)
    case 'boolean':
    case 'null':
      return { kind: name }
    default:
      return invalidSchema(`${at}/type`, `there is no type ${JSON.stringify(name)}`)
  }
}

/** Groups of keywords that no `type` took. */
function readUntyped(
  node: Node,
  at: string,
  reader: Reader,
  taken: ReadonlySet<Group>,
): readonly Shape[] {
  return (Object.keys(GROUPS) as Group[])
    .filter(group => !taken.has(group) && GROUPS[group].some(keyword => keyword in node))
    .map(group => readGroup(group, node, at, reader))
}

function readGroup(group: Group, node: Node, at: string, reader: Reader): Shape {
  switch (group) {
    case 'string':
      return { kind: 'string', ...textConstraints(node, at) }
    case 'number':
      return { kind: 'number', ...numberConstraints(node, at) }
    case 'object':
      return readObject(node, at, reader)
    case 'array':
      return readArray(node, at, reader)
  }
}

function readObject(node: Node, at: string, reader: Reader): ObjectShape {
  const shape = emptyObject()
  for (const [name, schema] of Object.entries(objectAt(node, 'properties', at) ?? {})) {
    shape.properties.set(name, reader.part(schema, `${at}/properties/${name}`))
  }
  for (const [pattern, schema] of Object.entries(objectAt(node, 'patternProperties', at) ?? {})) {
    shape.patterns.set(pattern, reader.part(schema, `${at}/patternProperties/${pattern}`))
  }
  for (const name of textsAt(node, 'required', at) ?? []) shape.required.add(name)
  const dependencies = objectAt(node, 'dependencies', at) ?? {}
  for (const [name, dependency] of Object.entries(dependencies)) {
    const place = `${at}/dependencies`
    if (Array.isArray(dependency)) {
      shape.dependentRequired.set(name, new Set(textsAt(dependencies, name, place)))
    } else shape.dependentSchemas.set(name, reader.part(dependency, `${place}/${name}`))
  }
  const additional = node['additionalProperties']
  if (additional === false) shape.additional = false
  else if (isNode(additional)) {
    shape.additional = reader.part(additional, `${at}/additionalProperties`)
  }
  return Object.assign(
    shape,
    defined({
      minProperties: numberAt(node, 'minProperties', at),
      maxProperties: numberAt(node, 'maxProperties', at),
    }),
  )
}

function readArray(node: Node, at: string, reader: Reader): ArrayShape {
  const shape = emptyArray()
  const { items } = node
  if (Array.isArray(items)) {
    shape.prefix.push(...items.map((item, i) => reader.part(item, `${at}/items/${i}`)))
  } else if (items !== undefined) shape.all = reader.part(items, `${at}/items`)
  const additional = node['additionalItems']
  // Where `items` speaks of every item, there are no others to forbid.
  if (additional === false && shape.all === undefined) shape.additional = false
  else if (isNode(additional)) shape.additional = reader.part(additional, `${at}/additionalItems`)
  return Object.assign(
    shape,
    defined({
      minItems: numberAt(node, 'minItems', at),
      maxItems: numberAt(node, 'maxItems', at),
      uniqueItems: node['uniqueItems'] === true ? true : undefined,
    }),
  )
}
