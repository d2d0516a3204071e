/** HTTP operations on items: one set of paths for all kinds. */
import { ID_PATTERN, type App, type CompiledTable, type JsonSchema } from '@millrace/core'
import { tableFoldName, type Branches, type Moment } from '@millrace/streams'
import { productErrors } from '../errors.ts'
import type { ModuleContext, RouteAnswer, RouteDefinition } from '../module.ts'
import { atParameter, MOMENT_ERRORS, momentIn } from '../moment.ts'
import { bulkBody, bulkResponse, changeQuery, changeResponse, rowBody } from '../row-schemas.ts'
import { singleResult, type RowPut } from '../table-writer.ts'
import type { Catalogue } from './catalogue.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000

/** What the routes of the catalogue share. */
interface Shared {
  readonly catalogue: Catalogue
  readonly kindParams: JsonSchema
  readonly itemParams: JsonSchema
  /** Attributes of an item of some kind. */
  readonly attributes: JsonSchema
  readonly folds: readonly string[]
}

const idSchema: JsonSchema = { type: 'string', pattern: ID_PATTERN }
const branchSchema: JsonSchema = { type: 'string', minLength: 1, maxLength: 128 }
const itemSchema: JsonSchema = {
  type: 'object',
  properties: {
    kind: { type: 'string' },
    id: { type: 'string' },
    attributes: { type: 'object', additionalProperties: true },
  },
  required: ['kind', 'id', 'attributes'],
}

/** The routes of the catalogue. */
export function catalogueRoutes(context: ModuleContext, catalogue: Catalogue): RouteDefinition[] {
  const kinds = (context.app.options.items ?? []).map(({ name }) => name)
  if (kinds.length === 0) return []
  const kindSchema: JsonSchema = {
    type: 'string',
    maxLength: 64,
    description: `one of: ${kinds.join(', ')}`,
  }
  const shared = {
    catalogue,
    kindParams: object({ kind: kindSchema }),
    itemParams: object({ kind: kindSchema, id: idSchema }),
    attributes: attributesOf(context.app, kinds),
    folds: kinds.map(tableFoldName),
  }
  return [
    putItem(shared),
    putItems(shared),
    getItem(shared),
    removeItem(shared),
    listItems(shared),
    getItemInBranch(shared, context.streams.branches),
  ]
}

function putItem({ catalogue, itemParams, attributes }: Shared): RouteDefinition {
  return {
    method: 'PUT',
    path: '/v1/items/:kind/:id',
    operation: 'putItem',
    scope: 'server',
    summary: 'Puts an item',
    description: 'Replaces all attributes. Appends the event `<kind>.put`.',
    params: itemParams,
    query: changeQuery,
    body: rowBody,
    bodies: { 'application/json': attributes },
    response: changeResponse,
    folds: [],
    errors: ['KIND_UNKNOWN', 'REQUEST_INVALID', 'ROW_CONFLICT'],
    async handle({ params, query, body }) {
      const { kind = '', id = '' } = params
      const eventId = query['eventId'] as string | undefined
      const written = await catalogue.put(kind, [
        { id, attributes: body, eventId, at: query['at'] },
      ])
      return { body: { kind, ...singleResult(written) }, position: written.position }
    },
  }
}

function getItemInBranch({ catalogue }: Shared, branches: Pick<Branches, 'get'>): RouteDefinition {
  return {
    method: 'GET',
    path: '/v1/branches/:branch/items/:kind/:id',
    operation: 'getItemInBranch',
    scope: 'admin',
    summary: 'Reads an item as it would be in a branch',
    params: object({ branch: branchSchema, kind: { type: 'string', maxLength: 64 }, id: idSchema }),
    response: itemSchema,
    folds: [],
    errors: ['BRANCH_UNKNOWN', 'BRANCH_TOO_LARGE', 'KIND_UNKNOWN', 'ITEM_UNKNOWN'],
    async handle({ params }) {
      const { branch = '', kind = '', id = '' } = params
      const found = await catalogue.getIn(branches.get(branch), kind, id)
      if (found === undefined) throw productErrors.create('ITEM_UNKNOWN', { kind, id })
      return { body: found }
    },
  }
}

function putItems({ catalogue, kindParams }: Shared): RouteDefinition {
  return {
    method: 'POST',
    path: '/v1/items/:kind',
    operation: 'putItems',
    scope: 'server',
    summary: 'Puts many items',
    description: 'A result per item, in order; refused ones do not affect the others.',
    params: kindParams,
    body: bulkBody,
    response: bulkResponse,
    folds: [],
    errors: ['KIND_UNKNOWN'],
    async handle({ params, body }) {
      const written = await catalogue.put(params['kind'] ?? '', body as RowPut[])
      return { body: { results: written.results }, position: written.position }
    },
  }
}

function getItem({ catalogue, itemParams, folds }: Shared): RouteDefinition {
  return {
    method: 'GET',
    path: '/v1/items/:kind/:id',
    operation: 'getItem',
    scope: 'server',
    summary: 'Reads an item, as it is or as it was',
    params: itemParams,
    query: { type: 'object', properties: { at: atParameter } },
    response: itemSchema,
    folds,
    errors: ['KIND_UNKNOWN', 'ITEM_UNKNOWN', ...MOMENT_ERRORS],
    handle({ params, query }) {
      const { kind = '', id = '' } = params
      const at = momentIn(query, 'at')
      if (at !== undefined) return getItemAt(catalogue, kind, id, at)
      const found = catalogue.get(kind, id)
      if (found === undefined) throw productErrors.create('ITEM_UNKNOWN', { kind, id })
      return { body: found }
    },
  }
}

async function getItemAt(
  catalogue: Catalogue,
  kind: string,
  id: string,
  at: Moment,
): Promise<RouteAnswer> {
  const found = await catalogue.getAt(kind, id, at)
  if (found === undefined) throw productErrors.create('ITEM_UNKNOWN', { kind, id })
  const { position, ...body } = found
  return { body, position }
}

function removeItem({ catalogue, itemParams }: Shared): RouteDefinition {
  return {
    method: 'DELETE',
    path: '/v1/items/:kind/:id',
    operation: 'removeItem',
    scope: 'server',
    summary: 'Removes an item',
    description: 'Appends the event `<kind>.removed`; no surface shows the item any more.',
    params: itemParams,
    query: changeQuery,
    response: changeResponse,
    folds: [],
    errors: ['KIND_UNKNOWN', 'ITEM_UNKNOWN', 'REQUEST_INVALID', 'ROW_CONFLICT'],
    async handle({ params, query }) {
      const { kind = '', id = '' } = params
      const eventId = query['eventId'] as string | undefined
      // With an id of its own the removal may be sent again, when the item is gone already.
      if (eventId === undefined && catalogue.get(kind, id) === undefined) {
        throw productErrors.create('ITEM_UNKNOWN', { kind, id })
      }
      const written = await catalogue.remove(kind, { id, eventId, at: query['at'] })
      return { body: { kind, ...singleResult(written) }, position: written.position }
    },
  }
}

function listItems({ catalogue, kindParams, folds }: Shared): RouteDefinition {
  return {
    method: 'GET',
    path: '/v1/items/:kind',
    operation: 'listItems',
    scope: 'server',
    summary: 'Lists items in the order of their ids',
    params: kindParams,
    query: {
      type: 'object',
      properties: {
        after: { ...idSchema, description: 'the `next` of the page before' },
        prefix: { type: 'string', maxLength: 256, description: 'only ids that start with it' },
        limit: { type: 'integer', minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT },
      },
    },
    response: {
      type: 'object',
      properties: {
        items: { type: 'array', items: itemSchema },
        next: { type: 'string', description: 'cursor of the next page; absent on the last one' },
      },
      required: ['items'],
    },
    folds,
    errors: ['KIND_UNKNOWN'],
    handle({ params, query }) {
      const limit = Math.min((query['limit'] as number | undefined) ?? PAGE_DEFAULT, PAGE_MAX)
      const { after, prefix } = query as { after?: string; prefix?: string }
      const found = catalogue.page(params['kind'] ?? '', { after, prefix, limit: limit + 1 })
      const items = found.slice(0, limit)
      const next = found.length > limit ? items.at(-1)?.id : undefined
      return { body: next === undefined ? { items } : { items, next } }
    },
  }
}

function attributesOf({ tables }: App, kinds: readonly string[]): JsonSchema {
  const schemas = kinds.map(kind => (tables.get(kind) as CompiledTable).schema)
  const [first = rowBody, ...others] = schemas
  if (others.length === 0) return first
  return { anyOf: schemas, description: 'All attributes, as the app declares them for the kind.' }
}

function object(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: 'object', properties, required: Object.keys(properties) }
}
