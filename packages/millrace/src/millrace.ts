/**
 * `openMillrace`: the whole product in one process. Use it inside a server of your own (`handler`),
 * let it listen by itself (`listen`), or neither, for scripts and tests.
 */
import {
  systemClock,
  systemRandom,
  type App,
  type Clock,
  type EventData,
  type EventNames,
  type ItemAttributes,
  type ItemNames,
  type Logger,
  type Position,
  type Random,
  type SurfaceNames,
  type ViewNames,
  type ViewValue,
} from '@millrace/core'
import type { EventLog } from '@millrace/log'
import {
  productErrors,
  type Answer,
  type Catalogue,
  type Recommendations,
  type RecommendOptions,
  type RowsWritten,
} from '@millrace/product'
import { createViewReader, type Moment, type Streams, type ViewReader } from '@millrace/streams'
import { readConfig, type ConfigOverrides } from './config.ts'
import { serverErrors } from './errors.ts'
import { backupOperations } from './http/backup-routes.ts'
import { exportOperations } from './http/export-routes.ts'
import { causeOperations } from './http/cause-routes.ts'
import { changeOperations } from './http/change-routes.ts'
import { branchOperations } from './http/branch-routes.ts'
import { correctionOperations } from './http/correction-routes.ts'
import { deadLetterOperations } from './http/dead-letter-routes.ts'
import { createGate } from './http/security/gate.ts'
import { openKeyBook, type KeyBook } from './http/security/key-book.ts'
import { keyOperations } from './http/security/key-routes.ts'
import { isLoopbackAddress } from './http/guard.ts'
import { leaseOperations } from './http/lease-routes.ts'
import { liveOperations } from './http/live-routes.ts'
import { logOperations } from './http/log-routes.ts'
import { operationOf } from './http/operation.ts'
import { createHttpServer, type HttpServer, type NodeHandler } from './http/server.ts'
import { rebuildOperations } from './http/rebuild-routes.ts'
import { replayOperations } from './http/replay-routes.ts'
import { createSubscriptions } from './http/subscriptions.ts'
import { viewOperations } from './http/view-routes.ts'
import type { IngestOptions } from './ingest/ingest.ts'
import { refusalOf } from './ingest/refusal.ts'
import { isRefused, type EventResult, type IngestOutcome } from './ingest/results.ts'
import { createDefinitionFiles } from './wiring/definition-file.ts'
import { createLogger } from './wiring/logger.ts'
import { openRuntime, type Runtime } from './wiring/runtime.ts'
import { VERSION } from './version.ts'

/** How to open a Millrace. What is not given comes from the environment, then from the defaults. */
export interface MillraceOptions<A extends App> extends ConfigOverrides {
  readonly app: A
  /**
   * The file whose default export, or export `app`, is `app`: threads load the definition from it, so
   * that a rebuild leaves this one alone. Without it rebuilds run in slices between other work.
   */
  readonly appFile?: string
  /** A folder with a page to serve at `/`. */
  readonly page?: string
  /** Default: JSON lines on standard error at `logLevel`. */
  readonly logger?: Logger
  readonly clock?: Clock
  readonly random?: Random
}

/** An event of an app, to be tracked. */
export type TrackedEvent<A extends App> = {
  [N in EventNames<A>]: {
    readonly type: N
    /** Recognises the event when it is sent again. Default: made here. */
    readonly id?: string
    /** When it happened: milliseconds since the epoch, RFC 3339 text or a date. Default: now. */
    readonly at?: number | string | Date
    readonly data: EventData<A, N>
  }
}[EventNames<A>]

/** What became of a tracked event. */
export interface Tracked {
  readonly status: 'appended' | 'duplicate'
  readonly id: string
  /** Pass it as `atLeast` to a read that must reflect the event. */
  readonly position: Position
}

/** Items of one kind. */
export interface Items<Attributes> {
  /** Puts an item, all its attributes; resolves, when it is durable, to the position that contains it. Throws REQUEST_INVALID. */
  put(id: string, attributes: Attributes): Promise<Position>
  /** Undefined when there is no such item. */
  get(id: string): Attributes | undefined
  /** The items as they were at a time of arrival or a position. Rejects with MOMENT_AHEAD, MOMENT_EMPTY, MOMENT_GONE. */
  at(moment: Moment): { get(id: string): Promise<Attributes | undefined> }
  remove(id: string): Promise<Position>
}

/** The log, for reading. */
export type LogReader = Pick<
  EventLog,
  'capabilities' | 'read' | 'history' | 'find' | 'seek' | 'ends' | 'onAdvance' | 'stats'
>

/** A product, opened. */
export interface Millrace<A extends App = App> {
  readonly app: A
  readonly log: LogReader
  readonly streams: Streams
  /** Appends an event; resolves when it is durable. Throws EVENT_INVALID, EVENT_CONFLICT, LOG_OVERLOADED. */
  track<N extends EventNames<A>>(
    type: N,
    data: EventData<A, N>,
    options?: { readonly id?: string; readonly at?: number | string | Date },
  ): Promise<Tracked>
  /** Appends events in one commit; each has its result. */
  trackMany(events: readonly TrackedEvent<A>[], options?: IngestOptions): Promise<IngestOutcome>
  /** Appends the events of an NDJSON text, as `POST /v1/events` does; owns `lines`. */
  trackLines(lines: Buffer, options?: IngestOptions): Promise<IngestOutcome>
  /** Resolves when all views reflect `position`; rejects with POSITION_NOT_REACHED after `timeoutMs` (default 5,000). */
  reached(position: Position, options?: { readonly timeoutMs?: number }): Promise<void>
  /** What all views reflect now. */
  reflected(): Position
  /** Recommends items; synchronous, from state in memory. What is served is logged as an exposure. */
  recommend<S extends SurfaceNames<A>>(surface: S, options?: RecommendOptions): Answer
  /** Items of one kind. */
  items<K extends ItemNames<A>>(kind: K): Items<ItemAttributes<A, K>>
  /** A declared view, read in memory. */
  view<V extends ViewNames<A>>(name: V): ViewReader<ViewValue<A, V>>
  /** The API of a module by its name; throws MODULE_UNKNOWN. */
  module<Api = unknown>(name: string): Api
  /** Serves requests of a host process: Express, Next.js, `http.createServer`. */
  readonly handler: NodeHandler
  /** The HTTP API. */
  readonly server: Pick<HttpServer, 'document' | 'operations' | 'routes'>
  /** Listens; on loopback alone while there are no keys (LISTEN_REFUSED). Gives the address. Defaults from the configuration. */
  listen(address?: {
    readonly host?: string
    readonly port?: number
  }): Promise<{ readonly url: string; readonly port: number }>
  /**
   * Tells the commands of this data directory where a host process serves `handler`, its path
   * included: `http://127.0.0.1:3000/millrace`. `listen` does this by itself. Throws CONFIG_INVALID.
   */
  announce(url: string): Promise<void>
  /** Stops accepting, finishes what is in flight, folds what is durable, closes. Nothing acknowledged is lost. */
  close(): Promise<void>
}

/** Opens the product that `app` defines. Throws what refuses to start, with a remedy. */
export async function openMillrace<const A extends App>(
  options: MillraceOptions<A>,
): Promise<Millrace<A>> {
  const config = readConfig(options)
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const logger = options.logger ?? createLogger(config.logLevel)
  const { limits } = config
  const runtime = await openRuntime({
    app: options.app,
    data: config.data,
    database: config.database,
    ...(options.appFile === undefined ? {} : { appFile: options.appFile }),
    limits,
    clock,
    random,
    logger,
  })
  try {
    return await assemble(options, { config, clock, random, logger, runtime })
  } catch (error) {
    await runtime.close()
    throw error
  }
}

interface Parts {
  readonly config: ReturnType<typeof readConfig>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly runtime: Runtime
}

const WAIT_MS_DEFAULT = 5000

async function assemble<A extends App>(
  options: MillraceOptions<A>,
  parts: Parts,
): Promise<Millrace<A>> {
  const { runtime, config } = parts
  const { streams, ingest, backends } = runtime
  const { log } = backends
  let closing: Promise<void> | undefined
  const { clock, random, logger } = parts
  const keys = await openKeyBook({ log, clock, random, logger, newId: runtime.newId })
  const server = await openServer(options, parts, keys, () => closing !== undefined)
  const trackMany = (events: readonly unknown[], how?: IngestOptions): Promise<IngestOutcome> => {
    if (closing !== undefined) throw serverErrors.create('MILLRACE_CLOSED')
    return ingest.events(events.map(plainTime), how)
  }
  const closeAll = async (): Promise<void> => {
    backends.hurry?.()
    await server.close()
    await keys.close()
    await runtime.close()
  }
  return {
    app: options.app,
    log,
    streams,
    server,
    handler: server.handler,
    async track(type, data, how = {}) {
      const outcome = await trackMany([{ type, data, ...how }])
      return trackedOf(outcome)
    },
    trackMany: async (events, how) => trackMany(events, how),
    async trackLines(lines, how) {
      if (closing !== undefined) throw serverErrors.create('MILLRACE_CLOSED')
      return ingest.body(lines, 'ndjson', how)
    },
    reached: (position, { timeoutMs = WAIT_MS_DEFAULT } = {}) =>
      streams.reached({ position, timeoutMs }),
    reflected: () => runtime.reflected(),
    recommend: (surface, how) =>
      apiOf<Recommendations>(runtime, 'recommendations').recommend(surface, how),
    items: kind => createItems(apiOf<Catalogue>(runtime, 'catalogue'), kind),
    view: name => createViewReader(streams, name),
    module: name => apiOf(runtime, name),
    async listen({ host = config.host, port = config.port } = {}) {
      const { localUrl, ...address } = await server.listen({ host, port })
      await backends.announce(localUrl)
      parts.logger.info('listening', { url: address.url, app: options.app.name })
      if (!isLoopbackAddress(host) && address.url.startsWith('http:')) {
        parts.logger.warn('keys travel in clear: set tlsCert and tlsKey, or end TLS in front')
      }
      return address
    },
    announce: async url => backends.announce(announced(url)),
    close() {
      closing ??= closeAll()
      return closing
    },
  }
}

/** The address without a slash at its end; paths of requests are put behind it. */
function announced(url: string): string {
  const { protocol, host, pathname, search, hash } = URL.parse(url) ?? {}
  const isPlain = (protocol === 'http:' || protocol === 'https:') && `${search}${hash}` === ''
  if (!isPlain) {
    const reason = 'it is not an address such as http://127.0.0.1:3000'
    throw serverErrors.create('CONFIG_INVALID', { name: `announce(${url})`, reason })
  }
  return `${protocol}//${host}${pathname?.replace(/\/+$/, '')}`
}

function apiOf<Api>(runtime: Runtime, name: string): Api {
  const found = runtime.modules.find(({ module }) => module.name === name)
  if (found === undefined) throw serverErrors.create('MODULE_UNKNOWN', { module: name })
  return found.instance.api as Api
}

function createItems<Attributes>(catalogue: Catalogue, kind: string): Items<Attributes> {
  return {
    async put(id, attributes) {
      const written = await catalogue.put(kind, [{ id, attributes }])
      assertWritten(written)
      return written.position
    },
    get: id => catalogue.get(kind, id)?.attributes as Attributes | undefined,
    at: moment => ({
      get: async id =>
        (await catalogue.getAt(kind, id, moment))?.attributes as Attributes | undefined,
    }),
    async remove(id) {
      const written = await catalogue.remove(kind, { id })
      assertWritten(written)
      return written.position
    },
  }
}

/** Throws the refusal of the only row. */
function assertWritten({ results }: RowsWritten): void {
  const [result] = results
  if (result?.status !== 'refused') return
  throw productErrors.create('REQUEST_INVALID', { name: 'the item', reason: result.reason })
}

/** A date as milliseconds; anything else as it is. */
function plainTime(event: unknown): unknown {
  const { at } = event as { at?: unknown }
  return at instanceof Date ? { ...(event as object), at: at.getTime() } : event
}

function trackedOf(outcome: IngestOutcome): Tracked {
  const result = outcome.results()[0] as EventResult
  if (isRefused(result)) throw refusalOf(result)
  return { status: result.status, id: result.id, position: outcome.position }
}

function openServer<A extends App>(
  options: MillraceOptions<A>,
  { runtime, config, clock, random, logger }: Parts,
  keys: KeyBook,
  isClosing: () => boolean,
): Promise<HttpServer> {
  const { limits } = config
  const subscriptions = createSubscriptions({ clock, subscriptionsMax: limits.subscriptionsMax })
  const context = {
    app: options.app,
    log: runtime.backends.log,
    streams: runtime.streams,
    schemas: runtime.schemas,
    ingest: runtime.ingest,
    definitions: createDefinitionFiles(options.appFile),
    newId: runtime.newId,
    reflected: runtime.reflected,
    clock,
    logger,
    limits,
    isClosing,
    warnings: () => runtime.modules.flatMap(({ instance }) => instance.warnings?.() ?? []),
  }
  return createHttpServer({
    context,
    gate: createGate({ keys, clock, operatorToken: runtime.backends.operatorToken }),
    random,
    tls: config,
    version: VERSION,
    page: options.page,
    operations: [
      ...runtime.modules.flatMap(({ module, instance }) =>
        instance.routes.map(route => operationOf(route, module.name)),
      ),
      ...viewOperations(context, subscriptions),
      ...changeOperations(context),
      ...causeOperations(context),
      ...logOperations(context, subscriptions),
      ...deadLetterOperations(context),
      ...correctionOperations(context),
      ...branchOperations(context),
      ...rebuildOperations(context),
      ...replayOperations(context),
      ...keyOperations(keys),
      ...exportOperations(context),
      ...backupOperations({ ...context, files: runtime.backends.files }, subscriptions),
      ...leaseOperations(runtime.backends.leases),
      ...liveOperations(context, subscriptions),
    ],
    moduleMetrics: runtime.modules.flatMap(({ instance }) => instance.metrics),
    endSubscriptions: () => subscriptions.endAll(),
  })
}
