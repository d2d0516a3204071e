/** Reads a JSON Schema document into shapes, by the dialect that its `$schema` names. */
import { invalidSchema, isNode, type Node } from './keywords.ts'
import { readDraft7 } from './draft-7.ts'
import { readDraft202012 } from './draft-2020-12.ts'
import type { Shape } from './shape.ts'

/** A dialect of JSON Schema. */
export type JsonDialect = 'draft-07' | '2020-12'

/** Reads the part of a document at a JSON Pointer. */
export type ReadPart = (node: unknown, at: string) => Shape

/** What a dialect needs to read one schema: its parts, and what references name. */
export interface Reader {
  readonly part: ReadPart
  readonly reference: (reference: string, at: string) => Shape
}

/** The shape of a schema document. Without `$schema` it is draft-07, as in the registry. Throws SCHEMA_INVALID. */
export function readJsonSchema(document: unknown): Shape {
  const dialect = dialectOf(document)
  const root = withDefinitionsAsDefs(document)
  const known = new Map<string, Shape>()
  const reader: Reader = {
    part(node, at) {
      if (node === true) return { kind: 'any' }
      if (node === false) return { kind: 'never' }
      if (!isNode(node)) return invalidSchema(at, 'a schema is an object, true or false')
      return dialect === 'draft-07'
        ? readDraft7(node, at, reader)
        : readDraft202012(node, at, reader)
    },
    reference(reference, at) {
      // Refused at once: a compatibility verdict must not depend on which part is compared first.
      const node = resolve(root, reference, at)
      return {
        kind: 'reference',
        to: reference,
        target() {
          let shape = known.get(reference)
          if (shape === undefined) known.set(reference, (shape = reader.part(node, reference)))
          return shape
        },
      }
    },
  }
  return reader.part(root, '')
}

function dialectOf(document: unknown): JsonDialect {
  const named = isNode(document) ? document['$schema'] : undefined
  return typeof named === 'string' && /\/draft\/20(19-09|20-12)\//.test(named)
    ? '2020-12'
    : 'draft-07'
}

/** References into `$defs` may mean `definitions`, the older name. */
function withDefinitionsAsDefs(document: unknown): unknown {
  if (!isNode(document) || !isNode(document['definitions'])) return document
  const defs = document['$defs']
  if (defs !== undefined && !isNode(defs)) return document
  return { ...document, $defs: { ...document['definitions'], ...defs } }
}

function resolve(root: unknown, reference: unknown, at: string): unknown {
  if (typeof reference !== 'string') return invalidSchema(`${at}/$ref`, 'a reference is a text')
  const refuse = (): never =>
    invalidSchema(`${at}/$ref`, `nothing in this document is ${reference}`)
  const hash = reference.indexOf('#')
  const document = hash < 0 ? reference : reference.slice(0, hash)
  const ownId = isNode(root) ? root['$id'] : undefined
  if (document !== '' && document !== ownId) return findById(root, document) ?? refuse()
  const fragment = decoded(hash < 0 ? '' : reference.slice(hash + 1)) ?? refuse()
  if (fragment === '') return root
  if (!fragment.startsWith('/')) return findById(root, `#${fragment}`) ?? refuse()
  let node: unknown = root
  for (const raw of fragment.slice(1).split('/')) {
    const name = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(node)) node = node[Number(name)]
    else node = isNode(node) && Object.hasOwn(node, name) ? node[name] : undefined
    if (node === undefined) refuse()
  }
  return node
}

/** Without its percent signs; undefined where one stands for no character. */
function decoded(fragment: string): string | undefined {
  try {
    return decodeURIComponent(fragment)
  } catch {
    return undefined
  }
}

/** The subschema with this `$id` or `$anchor`. */
function findById(node: unknown, id: string): Node | undefined {
  if (Array.isArray(node)) {
    for (const member of node) {
      const found = findById(member, id)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (!isNode(node)) return undefined
  const anchor = node['$anchor'] ?? node['$dynamicAnchor']
  if (node['$id'] === id || (typeof anchor === 'string' && `#${anchor}` === id)) return node
  return findById(Object.values(node), id)
}
