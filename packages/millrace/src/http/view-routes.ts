/** Declared views over HTTP: one key, pages, the greatest, and a key as it changes. */
import { encodePosition, type AnyView, type JsonSchema } from '@millrace/core'
import {
  atParameter,
  MOMENT_ERRORS,
  momentIn,
  productErrors,
  type RouteAnswer,
  type RouteRequest,
} from '@millrace/product'
import {
  createViewReader,
  viewFoldName,
  type PastViewReader,
  type ViewReader,
  type ViewValue,
} from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import type { Exchange, Operation } from './operation.ts'
import type { Subscriptions } from './subscriptions.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1000
const LIVE_GAP_MS = 100

/** A declared view with its reader. */
interface ServedView {
  readonly name: string
  readonly view: AnyView
  readonly fold: string
  readonly reader: ViewReader
}

const entrySchema: JsonSchema = {
  type: 'object',
  required: ['key', 'value', 'isParked', 'watermarkMs'],
  properties: {
    key: { type: 'string' },
    value: { description: 'What the view gives for the key; null when it has nothing.' },
    isParked: {
      type: 'boolean',
      description: 'True while the key waits for a repair: the value is older than it seems.',
    },
    watermarkMs: {
      type: ['integer', 'null'],
      description: 'No earlier event of the partition is expected; null before the first.',
    },
  },
}

const listSchema: JsonSchema = {
  type: 'object',
  required: ['view', 'entries'],
  properties: {
    view: { type: 'string' },
    entries: { type: 'array', items: entrySchema },
    next: { type: 'string', description: 'Go on `after` this key; absent at the end.' },
  },
}

const viewsSchema: JsonSchema = {
  type: 'object',
  required: ['views'],
  properties: {
    views: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'key', 'from', 'state', 'lag', 'keys', 'parkedKeys'],
        properties: {
          name: { type: 'string' },
          description: { type: 'string' },
          key: { type: 'string', description: 'The field of its events that gives the key.' },
          from: { type: 'array', items: { type: 'string' } },
          window: { type: 'string', enum: ['tumbling', 'sliding'] },
          state: { type: 'string', enum: ['catching-up', 'live', 'failed'] },
          lag: { type: 'integer' },
          keys: { type: 'integer' },
          parkedKeys: { type: 'integer' },
        },
      },
    },
  },
}

/** Finds the view that a path names; throws VIEW_UNKNOWN. */
type FindView = (params: Readonly<Record<string, string>>) => ServedView

/** The operations on declared views. */
export function viewOperations(
  context: ServerContext,
  subscriptions: Subscriptions,
): readonly Operation[] {
  const views = new Map<string, ServedView>()
  for (const [name, view] of Object.entries(context.app.options.views ?? {})) {
    const reader = createViewReader(context.streams, name)
    views.set(name, { name, view, fold: viewFoldName(name), reader })
  }
  const find: FindView = params => {
    const name = params['view'] as string
    const found = views.get(name)
    if (found === undefined) throw serverErrors.create('VIEW_UNKNOWN', { view: name.slice(0, 64) })
    return found
  }
  return [
    {
      method: 'GET',
      path: '/v1/views',
      operation: 'listViews',
      scope: 'server',
      tag: 'views',
      summary: 'The declared views',
      folds: [],
      response: viewsSchema,
      handle: () => ({ body: { views: describeViews(context, views) } }),
    },
    readOperation(find),
    listOperation(find),
    watchOperation(find, context, subscriptions),
  ]
}

const errors = ['VIEW_UNKNOWN']

function readOperation(find: FindView): Operation {
  const properties = entrySchema['properties'] as Readonly<Record<string, JsonSchema>>
  return {
    method: 'GET',
    path: '/v1/views/:view/:key',
    operation: 'readView',
    scope: 'server',
    tag: 'views',
    summary: 'The value of a key, as it is or as it was',
    description:
      'A key without events has the value null. With `at` the value that the key had: made again from its own events, so that it costs as much as there are of them.',
    params: idParams('view', 'key'),
    query: { type: 'object', properties: { at: atParameter } },
    foldsOf: params => [find(params).fold],
    response: { ...entrySchema, properties: { view: { type: 'string' }, ...properties } },
    errors: [...errors, ...MOMENT_ERRORS],
    handle({ params, query }) {
      const { name, reader } = find(params)
      const at = momentIn(query, 'at')
      if (at !== undefined) return readPast(name, reader.at(at), params['key'] as string)
      return { body: { view: name, ...entryJson(reader.get(params['key'] as string)) } }
    },
  }
}

async function readPast(view: string, reader: PastViewReader, key: string): Promise<RouteAnswer> {
  const { position, ...entry } = await reader.get(key)
  return { body: { view, ...entryJson(entry) }, position }
}

function listOperation(find: FindView): Operation {
  return {
    method: 'GET',
    path: '/v1/views/:view',
    operation: 'listView',
    scope: 'server',
    tag: 'views',
    summary: 'Keys and values, in order or the greatest first',
    params: idParams('view'),
    query: {
      type: 'object',
      properties: {
        after: { type: 'string', maxLength: 512, description: 'The `next` of the page before.' },
        limit: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        top: {
          type: 'boolean',
          default: false,
          description: 'The greatest values first; values are numbers.',
        },
      },
    },
    foldsOf: params => [find(params).fold],
    response: listSchema,
    errors,
    handle: request => listView(request, find(request.params)),
  }
}

function watchOperation(
  find: FindView,
  context: ServerContext,
  subscriptions: Subscriptions,
): Operation {
  return {
    method: 'GET',
    path: '/v1/views/:view/:key/live',
    operation: 'watchView',
    scope: 'server',
    tag: 'views',
    summary: 'The value of a key as it changes, as server-sent events',
    description:
      'A message `value` at once and after each change, at most ten a second; its id is the position that it reflects. A slow reader gets the newest value, not all of them.',
    params: idParams('view', 'key'),
    foldsOf: params => [find(params).fold],
    media: { mediaType: 'text/event-stream', schema: {} },
    errors: [...errors, 'SUBSCRIPTIONS_TOO_MANY'],
    serve: exchange => watchView(exchange, find(exchange.params), context, subscriptions),
  }
}

function describeViews(
  { streams }: ServerContext,
  views: ReadonlyMap<string, ServedView>,
): readonly unknown[] {
  const statuses = new Map(streams.status().map(status => [status.name, status]))
  return [...views.values()].map(({ name, view, fold }) => {
    const status = statuses.get(fold)
    return {
      name,
      ...(view.description === undefined ? {} : { description: view.description }),
      key: view.key,
      from: view.from.map(event => event.name),
      ...(view.window === undefined ? {} : { window: view.window.kind }),
      state: status?.state ?? 'catching-up',
      lag: status?.lag ?? 0,
      keys: status?.keys ?? 0,
      parkedKeys: status?.parkedKeys ?? 0,
    }
  })
}

function entryJson(entry: ViewValue): Readonly<Record<string, unknown>> {
  return {
    key: entry.key,
    value: entry.value ?? null,
    isParked: entry.isParked,
    watermarkMs: Number.isFinite(entry.watermarkMs) ? entry.watermarkMs : null,
  }
}

function listView({ query }: RouteRequest, { name, reader }: ServedView): RouteAnswer {
  const limit = query['limit'] as number
  const after = query['after'] as string | undefined
  if (query['top'] === true) {
    const by = (value: unknown): number => (typeof value === 'number' ? value : NaN)
    const entries = reader.top({ n: limit, by })
    if (entries.length === 0 && reader.list({ limit: 1 }).entries.length > 0) {
      const reason = `the values of ${name} are not numbers, so none is the greatest`
      throw productErrors.create('REQUEST_INVALID', { name: 'the query, /top', reason })
    }
    return { body: { view: name, entries: entries.map(entryJson) } }
  }
  const { entries, next } = reader.list({ limit, ...(after === undefined ? {} : { after }) })
  const more = next === undefined ? {} : { next }
  return { body: { view: name, entries: entries.map(entryJson), ...more } }
}

function watchView(
  exchange: Exchange,
  { fold, reader }: ServedView,
  context: ServerContext,
  subscriptions: Subscriptions,
): void {
  const key = exchange.params['key'] as string
  const subscription = subscriptions.open(exchange)
  let sent = ''
  let timer: { cancel(): void } | undefined
  const send = (): void => {
    timer = undefined
    if (!subscription.isOpen) return
    if (subscription.isBehind) {
      void subscription.drained().then(later)
      return
    }
    const position = encodePosition(context.streams.reflected([fold]))
    const { watermarkMs, ...told } = entryJson(reader.get(key))
    const text = JSON.stringify(told)
    // Time alone is no change.
    if (text === sent) return
    sent = text
    const data = JSON.stringify({ ...told, watermarkMs })
    subscription.send({ event: 'value', id: position, data })
  }
  const later = (): void => {
    timer ??= context.clock.after(LIVE_GAP_MS, send)
  }
  subscription.onEnd(context.streams.onChange(fold, later))
  subscription.onEnd(() => timer?.cancel())
  send()
}
