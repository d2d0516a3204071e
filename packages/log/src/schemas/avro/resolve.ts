/**
 * Avro's schema resolution: can a reader's schema read what a writer's schema wrote?
 *
 * Promise: the verdict, the kinds of refusal and the places of Avro's own check, which Confluent's
 * registry uses. Logical types are not compared: their underlying types are, as the registry does.
 * Cost: each pair of types once. Source: Avro 1.12 specification, "Schema Resolution".
 */
import type { AvroEnum, AvroRecord, AvroType, AvroUnion } from './read.ts'

/** Why a writer's schema is refused. */
export type AvroRefusalCode =
  | 'NAME_MISMATCH'
  | 'FIXED_SIZE_MISMATCH'
  | 'MISSING_ENUM_SYMBOLS'
  | 'READER_FIELD_MISSING_DEFAULT_VALUE'
  | 'READER_FIELD_AMBIGUOUS'
  | 'TYPE_MISMATCH'
  | 'MISSING_UNION_BRANCH'

/** A refusal, at a place of the reader's schema. */
export interface AvroRefusal {
  readonly code: AvroRefusalCode
  readonly path: readonly string[]
  readonly reason: string
}

type Refusals = readonly AvroRefusal[]

/** Writer types that a reader's primitive takes beside its own. */
const PROMOTED: Readonly<Record<string, readonly string[]>> = {
  long: ['int'],
  float: ['int', 'long'],
  double: ['int', 'long', 'float'],
  bytes: ['string'],
  string: ['bytes'],
}

/** Why `reader` cannot read what `writer` wrote; empty when it can. */
export function resolveAvro(reader: AvroType, writer: AvroType): Refusals {
  const known = new Map<AvroType, Map<AvroType, Refusals>>()
  const resolve: Resolve = (r, w) => {
    const row = known.get(r) ?? new Map<AvroType, Refusals>()
    known.set(r, row)
    const before = row.get(w)
    if (before !== undefined) return before
    // Recursive types: taken for readable until shown otherwise.
    row.set(w, [])
    const refusals = resolveTypes(r, w, resolve)
    row.set(w, refusals)
    return refusals
  }
  return resolve(reader, writer)
}

type Resolve = (reader: AvroType, writer: AvroType) => Refusals

const refuse = (code: AvroRefusalCode, path: readonly string[], reason: string): Refusals => [
  { code, path, reason },
]

const within = (steps: readonly string[], refusals: Refusals): Refusals =>
  refusals.map(refusal => ({ ...refusal, path: [...steps, ...refusal.path] }))

function resolveTypes(reader: AvroType, writer: AvroType, resolve: Resolve): Refusals {
  if (writer.type === 'union') return resolveWrittenUnion(reader, writer, resolve)
  if (reader.type === 'union') {
    const isRead = reader.branches.some(branch => resolve(branch, writer).length === 0)
    return isRead ? [] : missingBranch([], writer)
  }
  if (reader.type === 'record' && writer.type === 'record') {
    return [...resolveNames(reader, writer), ...resolveFields(reader, writer, resolve)]
  }
  if (reader.type === 'enum' && writer.type === 'enum') {
    return [...resolveNames(reader, writer), ...resolveSymbols(reader, writer)]
  }
  if (reader.type === 'fixed' && writer.type === 'fixed') {
    const reason = `the size was ${writer.size} bytes and is ${reader.size}`
    const size = reader.size === writer.size ? [] : refuse('FIXED_SIZE_MISMATCH', ['size'], reason)
    return [...resolveNames(reader, writer), ...size]
  }
  if (reader.type === 'array' && writer.type === 'array') {
    return within(['items'], resolve(reader.items, writer.items))
  }
  if (reader.type === 'map' && writer.type === 'map') {
    return within(['values'], resolve(reader.values, writer.values))
  }
  if (reader.type === writer.type || PROMOTED[reader.type]?.includes(writer.type) === true)
    return []
  return refuse('TYPE_MISMATCH', [], `${reader.type} does not read ${writer.type}`)
}

/** Each branch that may have been written must be read. */
function resolveWrittenUnion(reader: AvroType, writer: AvroUnion, resolve: Resolve): Refusals {
  return writer.branches.flatMap((branch, index) => {
    const refusals = resolve(reader, branch)
    if (reader.type !== 'union') return within([String(index)], refusals)
    return refusals.length === 0 ? [] : missingBranch([String(index)], branch)
  })
}

function missingBranch(path: readonly string[], writer: AvroType): Refusals {
  const name = 'fullName' in writer ? `${writer.type} ${writer.fullName}` : writer.type
  return refuse('MISSING_UNION_BRANCH', path, `no branch of the union reads ${name}`)
}

type NamedType = Extract<AvroType, { fullName: string }>

/** Namespaces do not count for the name itself, as in the registry; they do for aliases. */
function resolveNames(reader: NamedType, writer: NamedType): Refusals {
  if (reader.name === writer.name || reader.aliases.has(writer.fullName)) return []
  const reason = `it was written as ${writer.fullName}, and is ${reader.fullName} without that alias`
  return refuse('NAME_MISMATCH', ['name'], reason)
}

function resolveSymbols(reader: AvroEnum, writer: AvroEnum): Refusals {
  const missing = writer.symbols.filter(symbol => !reader.symbols.includes(symbol))
  if (missing.length === 0 || reader.default !== undefined) return []
  const reason = `the symbols ${missing.join(', ')} were taken away, and there is no default symbol`
  return refuse('MISSING_ENUM_SYMBOLS', ['symbols'], reason)
}

function resolveFields(reader: AvroRecord, writer: AvroRecord, resolve: Resolve): Refusals {
  return reader.fields.flatMap((field, index) => {
    const names = [field.name, ...field.aliases]
    const written = names.flatMap(name => writer.fields.filter(other => other.name === name))
    const [first] = written
    const place = ['fields', String(index)]
    if (first === undefined) {
      if (field.hasDefault) return []
      const reason = `the field ${field.name} was added without a default`
      return refuse('READER_FIELD_MISSING_DEFAULT_VALUE', place, reason)
    }
    if (written.length > 1) {
      const reason = `the field ${field.name} and its aliases are several fields of what was written`
      return refuse('READER_FIELD_AMBIGUOUS', place, reason)
    }
    return within([...place, 'type'], resolve(field.type, first.type))
  })
}
