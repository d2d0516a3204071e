/**
 * Reads an Avro schema (specification 1.12) with its names resolved. Defaults are not checked
 * against their types, as in the registry, which takes such schemas and has always done so.
 */
import { invalidSchema, isNode, listAt, type Node } from '../json/keywords.ts'

/** A type that has no parts. */
export const PRIMITIVES = [
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
] as const

/** A name, and the names under which its schema reads others. */
interface Named {
  readonly name: string
  readonly fullName: string
  readonly aliases: ReadonlySet<string>
}

export interface AvroField {
  readonly name: string
  readonly aliases: readonly string[]
  readonly type: AvroType
  readonly hasDefault: boolean
}

export interface AvroRecord extends Named {
  readonly type: 'record'
  readonly fields: readonly AvroField[]
}
export interface AvroEnum extends Named {
  readonly type: 'enum'
  readonly symbols: readonly string[]
  /** What is read in place of a symbol that is not known. */
  readonly default: string | undefined
}
export interface AvroFixed extends Named {
  readonly type: 'fixed'
  readonly size: number
}
export interface AvroUnion {
  readonly type: 'union'
  readonly branches: readonly AvroType[]
}

/** An Avro type; a name that is used again is the same object, so recursive types are cycles. */
export type AvroType =
  | { readonly type: (typeof PRIMITIVES)[number] }
  | { readonly type: 'array'; readonly items: AvroType }
  | { readonly type: 'map'; readonly values: AvroType }
  | AvroRecord
  | AvroEnum
  | AvroFixed
  | AvroUnion

/** Names declared so far, those used before their declaration, and the namespace of unqualified ones. */
interface Scope {
  readonly names: Map<string, AvroType>
  readonly awaited: { readonly name: string; readonly at: string; readonly place: object }[]
  readonly namespace: string
}

/** The type that a schema document describes. Throws SCHEMA_INVALID. */
export function readAvroSchema(document: unknown): AvroType {
  const scope: Scope = { names: new Map(), awaited: [], namespace: '' }
  const type = readType(document, '', scope)
  for (const { name, at, place } of scope.awaited) {
    Object.assign(place, scope.names.get(name) ?? invalidSchema(at, `there is no type ${name}`))
  }
  return type
}

function readType(node: unknown, at: string, scope: Scope): AvroType {
  if (typeof node === 'string') return readName(node, at, scope)
  if (Array.isArray(node)) return readUnion(node, at, scope)
  if (!isNode(node)) return invalidSchema(at, 'a type is a name, a list or an object')
  const { type } = node
  switch (type) {
    case 'record':
    case 'error':
      return readRecord(node, at, scope)
    case 'enum':
      return readEnum(node, at, scope)
    case 'fixed':
      return readFixed(node, at, scope)
    case 'array':
      return { type, items: readType(node['items'], `${at}/items`, scope) }
    case 'map':
      return { type, values: readType(node['values'], `${at}/values`, scope) }
    case undefined:
      return invalidSchema(at, 'it has no type')
    default:
      // A primitive with properties, such as a logical type, is the primitive.
      return readType(type, `${at}/type`, scope)
  }
}

function readName(name: string, at: string, { names, namespace, awaited }: Scope): AvroType {
  const primitive = PRIMITIVES.find(known => known === name)
  if (primitive !== undefined) return { type: primitive }
  const fullName = qualified(name, namespace)
  const found = names.get(fullName) ?? names.get(name)
  if (found !== undefined) return found
  // Declared further down, perhaps: it becomes that type when all is read.
  const place = { type: 'fixed' as const, name, fullName, aliases: new Set<string>(), size: 0 }
  awaited.push({ name: fullName, at, place })
  return place
}

const qualified = (name: string, namespace: string): string =>
  name.includes('.') || namespace === '' ? name : `${namespace}.${name}`

function readUnion(nodes: readonly unknown[], at: string, scope: Scope): AvroUnion {
  const branches = nodes.map((node, i) => readType(node, `${at}/${i}`, scope))
  const seen = new Set<string>()
  for (const [i, branch] of branches.entries()) {
    if (branch.type === 'union') invalidSchema(`${at}/${i}`, 'a union is not a part of another')
    const name = 'fullName' in branch ? branch.fullName : branch.type
    if (seen.has(name)) invalidSchema(`${at}/${i}`, `the union has ${name} twice`)
    seen.add(name)
  }
  return { type: 'union', branches }
}

/** The name of a declaration, and the scope inside it. */
function readNames(node: Node, at: string, scope: Scope): { named: Named; inside: Scope } {
  const { name, namespace: given } = node
  if (typeof name !== 'string' || name === '') return invalidSchema(`${at}/name`, 'it has no name')
  const dot = name.lastIndexOf('.')
  const own = typeof given === 'string' ? given : scope.namespace
  const namespace = dot < 0 ? own : name.slice(0, dot)
  const short = name.slice(dot + 1)
  const fullName = qualified(short, namespace)
  if (scope.names.has(fullName)) invalidSchema(`${at}/name`, `${fullName} is declared twice`)
  const aliases = (listAt(node, 'aliases', at) ?? []).map(alias =>
    qualified(String(alias), namespace),
  )
  return {
    named: { name: short, fullName, aliases: new Set(aliases) },
    inside: { ...scope, namespace },
  }
}

function readRecord(node: Node, at: string, scope: Scope): AvroRecord {
  const { named, inside } = readNames(node, at, scope)
  const fields: AvroField[] = []
  const record: AvroRecord = { type: 'record', ...named, fields }
  // Known before its fields are read: they may name it.
  scope.names.set(named.fullName, record)
  const seen = new Set<string>()
  for (const [i, field] of (
    listAt(node, 'fields', at) ?? invalidSchema(at, 'it has no fields')
  ).entries()) {
    const place = `${at}/fields/${i}`
    if (!isNode(field) || typeof field['name'] !== 'string') {
      return invalidSchema(place, 'it is not a field with a name')
    }
    if (seen.has(field['name'])) invalidSchema(place, `there are two fields ${field['name']}`)
    seen.add(field['name'])
    fields.push({
      name: field['name'],
      aliases: (listAt(field, 'aliases', place) ?? []).map(String),
      type: readType(field['type'], `${place}/type`, inside),
      hasDefault: Object.hasOwn(field, 'default'),
    })
  }
  return record
}

function readEnum(node: Node, at: string, scope: Scope): AvroEnum {
  const { named } = readNames(node, at, scope)
  const symbols = (listAt(node, 'symbols', at) ?? invalidSchema(at, 'it has no symbols')).map(
    String,
  )
  if (new Set(symbols).size < symbols.length)
    invalidSchema(`${at}/symbols`, 'a symbol is there twice')
  const fallback = node['default']
  if (fallback !== undefined && !symbols.includes(fallback as string)) {
    invalidSchema(`${at}/default`, 'the default is not among the symbols')
  }
  const type: AvroEnum = {
    type: 'enum',
    ...named,
    symbols,
    default: fallback as string | undefined,
  }
  scope.names.set(named.fullName, type)
  return type
}

function readFixed(node: Node, at: string, scope: Scope): AvroFixed {
  const { named } = readNames(node, at, scope)
  const { size } = node
  if (!Number.isInteger(size) || (size as number) < 0)
    invalidSchema(`${at}/size`, 'it is not a size')
  const type: AvroFixed = { type: 'fixed', ...named, size: size as number }
  scope.names.set(named.fullName, type)
  return type
}
