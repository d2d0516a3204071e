/**
 * The typed client, for browsers and servers: what it takes and gives follows from the app
 * definition (`createClient<typeof app>`), of which only the type is needed. It stands on `fetch`
 * alone.
 */
import {
  createIdSource,
  foregroundClock,
  isError,
  systemRandom,
  type App,
  type Clock,
  type EventData,
  type EventNames,
  type ItemAttributes,
  type ItemNames,
  type Random,
  type SurfaceNames,
  type ViewNames,
  type ViewValue,
} from '@millrace/core'
import { createAnswersClient, type AnswersClient } from './answers.ts'
import { createBranchesClient, type BranchesClient } from './branches.ts'
import { createChangesetsClient, type ChangesetsClient } from './changesets.ts'
import { createEventQueue, type Acknowledged, type QueueOptions } from './event-queue.ts'
import { watchMessages } from './event-stream.ts'
import {
  createTransport,
  type ClientRequest,
  type Fetch,
  type RetryPolicy,
  type Transport,
} from './transport.ts'

/** How to reach a server. All but the address has a default. */
export interface ClientOptions {
  /** `http://127.0.0.1:4321`; empty for the server that the page came from. */
  readonly url: string
  /** A key of `millrace keys create`; in a page, a public one. */
  readonly key?: string
  readonly fetch?: Fetch
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** Time for one request. Default 30,000. */
  readonly timeoutMs?: number
  /** Default: 5 tries, pauses from 200 ms, at most 10 s. */
  readonly retry?: Partial<RetryPolicy>
  /** Default: 500 events together, no pause, 10,000 waiting. Events gather while a request is under way. */
  readonly queue?: Partial<QueueOptions>
  /** Told of every event that could not be stored, beside the rejected promise of its `track`. */
  readonly onError?: (error: unknown) => void
  readonly clock?: Clock
  readonly random?: Random
}

/** What a read may ask for. */
export interface ReadOptions {
  /** A position from an earlier answer: the answer reflects at least it. */
  readonly atLeast?: string | undefined
  /** How long to wait for it. Default 5,000. */
  readonly timeoutMs?: number
}

/** What a read of one thing may ask for. */
export interface PastOptions extends ReadOptions {
  /**
   * As it was then: a time of arrival (milliseconds since the epoch, RFC 3339 text or a date), or the
   * position of an earlier answer. Rejects with MOMENT_AHEAD, MOMENT_EMPTY, MOMENT_GONE.
   */
  readonly at?: number | string | Date
}

/** A value with the position that it reflects. */
export interface ViewAnswer<T> {
  /** Null when the key has nothing. */
  readonly value: T | null
  /** True while the key waits for a repair. */
  readonly isParked: boolean
  readonly position: string | undefined
}

/** What to recommend. */
export interface RecommendOptions extends ReadOptions {
  readonly person?: string
  /** How many; default is that of the surface. */
  readonly n?: number
  readonly explain?: boolean
  /** What the request tells features of the context, by their names. */
  readonly context?: Readonly<Record<string, unknown>>
}

/** One recommended item. `A`: its attributes. */
export interface RecommendedItem<A = Readonly<Record<string, unknown>>> {
  readonly kind: string
  readonly id: string
  readonly slot: number
  readonly score: number
  readonly source: string
  readonly propensity: number
  readonly isExplored: boolean
  /** Absent for an item that was never put; personal ones are left out. */
  readonly attributes?: A
  readonly reasons?: readonly string[]
}

/** A slate. */
export interface RecommendAnswer<A = Readonly<Record<string, unknown>>> {
  readonly answerId: string
  readonly surface: string
  readonly items: readonly RecommendedItem<A>[]
  readonly isColdStart: boolean
  readonly token: string
  readonly position: string
  readonly explanation?: unknown
}

/** Attributes of what a surface shows. */
type ShownAttributes<A extends App, S extends SurfaceNames<A>> = NonNullable<
  A['options']['surfaces']
>[S] extends { readonly items: readonly (infer I extends { readonly name: string })[] }
  ? I['name'] extends ItemNames<A>
    ? ItemAttributes<A, I['name']>
    : never
  : never

/** Items of one kind. */
export interface ItemsClient<Attributes> {
  /** Puts an item: all its attributes. Gives the position that contains it. */
  put(id: string, attributes: Attributes): Promise<{ readonly position: string | undefined }>
  /** Undefined when there is no such item. */
  get(id: string, options?: PastOptions): Promise<Attributes | undefined>
  remove(id: string): Promise<{ readonly position: string | undefined }>
}

/** One view. */
export interface ViewClient<Value> {
  get(key: string, options?: PastOptions): Promise<ViewAnswer<Value>>
  /** Keys and values in the order of the keys. */
  list(options?: { readonly after?: string; readonly limit?: number }): Promise<{
    readonly entries: readonly (ViewAnswer<Value> & { readonly key: string })[]
    readonly next: string | undefined
  }>
  /** The value now and after each change, until `signal` aborts; connects again by itself. */
  watch(key: string, options: { readonly signal: AbortSignal }): AsyncIterable<ViewAnswer<Value>>
}

/** A client of the app `A`. */
export interface Client<A extends App> {
  /** Queues an event; resolves when it is durable. The promise need not be awaited. */
  track<N extends EventNames<A>>(
    type: N,
    data: EventData<A, N>,
    options?: { readonly id?: string; readonly at?: number | string | Date },
  ): Promise<Acknowledged>
  /** Sends what is queued; resolves when it was answered. */
  flush(): Promise<void>
  recommend<S extends SurfaceNames<A>>(
    surface: S,
    options?: RecommendOptions,
  ): Promise<RecommendAnswer<ShownAttributes<A, S>>>
  items<K extends ItemNames<A>>(kind: K): ItemsClient<ItemAttributes<A, K>>
  view<V extends ViewNames<A>>(name: V): ViewClient<ViewValue<A, V>>
  /** Past answers, and what they were made from. */
  readonly answers: AnswersClient
  /** Many changes as one; for a key of scope `admin`. */
  readonly changesets: ChangesetsClient
  /** What the views would say if other things had happened; for a key of scope `admin`. */
  readonly branches: BranchesClient
  /** Sends what is queued, then takes no more. */
  close(): Promise<void>
}

const RETRY: RetryPolicy = { attemptsMax: 5, pauseMs: 200, pauseMsMax: 10_000 }
const QUEUE: QueueOptions = { batchMax: 500, flushAfterMs: 0, queueMax: 10_000 }
const TIMEOUT_MS = 30_000

/** Creates a client. Nothing is sent before it is asked to do something. */
export function createClient<A extends App>(options: ClientOptions): Client<A> {
  const clock = options.clock ?? foregroundClock
  const random = options.random ?? systemRandom
  const transport = createTransport({
    url: options.url,
    // Called through an arrow: browsers refuse a fetch that is called on another object.
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    headers: {
      ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
      ...options.headers,
    },
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    retry: { ...RETRY, ...options.retry },
    clock,
    random,
  })
  const queue = createEventQueue(transport, clock, { ...QUEUE, ...options.queue })
  const newId = createIdSource({ clock, random })
  const { onError } = options
  return {
    track(type, data, { id = newId(), at = clock.nowMs() } = {}) {
      const time = at instanceof Date ? at.getTime() : at
      const acknowledged = queue.add({ type, id, at: time, data } as { id: string })
      if (onError !== undefined) acknowledged.catch(onError)
      return acknowledged
    },
    flush: () => queue.flush(),
    recommend: (surface, request = {}) => recommend(transport, surface, request),
    items: kind => createItems(transport, kind),
    view: name => createView(transport, name, clock),
    answers: createAnswersClient(transport),
    changesets: createChangesetsClient(transport),
    branches: createBranchesClient(transport),
    close: () => queue.close(),
  }
}

async function recommend<A>(
  transport: Transport,
  surface: string,
  { context, ...request }: RecommendOptions,
): Promise<RecommendAnswer<A>> {
  const { body } = await transport.send({
    method: 'GET',
    path: `/v1/surfaces/${encodeURIComponent(surface)}/recommendations`,
    query: context === undefined ? request : { ...request, context: JSON.stringify(context) },
  })
  return body as RecommendAnswer<A>
}

function queryOf({ at, ...request }: PastOptions): NonNullable<ClientRequest['query']> {
  if (at === undefined) return request
  return { ...request, at: at instanceof Date ? at.getTime() : at }
}

function createItems<Attributes>(transport: Transport, kind: string): ItemsClient<Attributes> {
  const pathOf = (id: string): string =>
    `/v1/items/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`
  return {
    async put(id, attributes) {
      const { position } = await transport.send({
        method: 'PUT',
        path: pathOf(id),
        body: attributes,
      })
      return { position }
    },
    async get(id, request = {}) {
      try {
        const { body } = await transport.send({
          method: 'GET',
          path: pathOf(id),
          query: queryOf(request),
        })
        return (body as { attributes: Attributes }).attributes
      } catch (error) {
        if (isError(error, 'ITEM_UNKNOWN')) return undefined
        throw error
      }
    },
    async remove(id) {
      const { position } = await transport.send({ method: 'DELETE', path: pathOf(id) })
      return { position }
    },
  }
}

interface Entry<Value> {
  readonly key: string
  readonly value: Value | null
  readonly isParked: boolean
}

function createView<Value>(transport: Transport, name: string, clock: Clock): ViewClient<Value> {
  const path = `/v1/views/${encodeURIComponent(name)}`
  return {
    async get(key, request = {}) {
      const answer = await transport.send({
        method: 'GET',
        path: `${path}/${encodeURIComponent(key)}`,
        query: queryOf(request),
      })
      const { value, isParked } = answer.body as Entry<Value>
      return { value, isParked, position: answer.position }
    },
    async list(request = {}) {
      const { body, position } = await transport.send({
        method: 'GET',
        path,
        query: { ...request },
      })
      const { entries, next } = body as { entries: readonly Entry<Value>[]; next?: string }
      return {
        entries: entries.map(({ key, value, isParked }) => ({ key, value, isParked, position })),
        next,
      }
    },
    async *watch(key, { signal }) {
      const messages = watchMessages(transport, clock, {
        path: `${path}/${encodeURIComponent(key)}/live`,
        signal,
      })
      for await (const message of messages) {
        if (message.event !== 'value') continue
        const { value, isParked } = JSON.parse(message.data) as Entry<Value>
        yield { value, isParked, position: message.id }
      }
    },
  }
}
