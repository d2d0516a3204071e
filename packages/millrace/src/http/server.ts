/**
 * The HTTP server: operations bound to Fastify, refusals as problem details, limits, and a close
 * that loses nothing. It can listen by itself or serve inside a host process as a handler.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import { isError, type MillraceError, type Random, type Timer } from '@millrace/core'
import type { MetricDefinition } from '@millrace/product'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { serverErrors } from '../errors.ts'
import { bindOperation } from './bind.ts'
import { createBodyBudget, receiveBody, type BodyBudget } from './bodies.ts'
import type { Limits } from '../config.ts'
import type { ServerContext } from './context.ts'
import { registerDocs } from './docs.ts'
import { NDJSON_TYPES, eventOperations, isNdjson } from './event-routes.ts'
import { isLoopbackAddress } from './guard.ts'
import { isTakingLines } from './event-lines.ts'
import { createHttpMetrics } from './metrics.ts'
import { createErrorDescription } from './mask.ts'
import { anyEventReference, openApiDocument, type OpenApiDocument } from './openapi.ts'
import { createMethodFinder, type FindMethods } from './methods.ts'
import type { Operation } from './operation.ts'
import { operationsOperations } from './operations-routes.ts'
import { registerPage } from './page.ts'
import { PROBLEM_TYPE, problemOf, retryAfterSeconds, toRegistered } from './problems.ts'
import { auditRoutes } from './security/audit.ts'
import type { Gate } from './security/gate.ts'
import { guardRoutes, openToAll, type GuardedRoute } from './security/guard-routes.ts'
import { answerHeaders, protectPages, shareAcrossOrigins } from './security/headers.ts'
import {
  openLocalDoor,
  readCertificate,
  renewCertificate,
  type Certificate,
  type LocalDoor,
  type TlsFiles,
} from './security/tls.ts'
import { continueTrace, requestIdOf, traceparentOf } from './trace.ts'
import { answerBeforeEnd, isDiscarding } from './refused-bodies.ts'
import { Turns } from './turns.ts'

/** A Node request handler, for Express, Next.js and `http.createServer`. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void

/** Where a server answers. */
export interface Listening {
  readonly url: string
  readonly port: number
  /** Where commands of this machine reach it: without TLS, on loopback. */
  readonly localUrl: string
}

/** The server of an opened Millrace. */
export interface HttpServer {
  readonly handler: NodeHandler
  readonly document: OpenApiDocument
  /** Every operation, in the order of the reference. */
  readonly operations: readonly Operation[]
  /** Every route that is answered, those of documents and pages included, with the scope that it asks for. */
  readonly routes: readonly GuardedRoute[]
  /** Starts to listen; refuses what is not loopback while there are no keys (LISTEN_REFUSED) and a port that is taken (PORT_IN_USE). */
  listen(address: { host: string; port: number }): Promise<Listening>
  /** Stops accepting, lets requests in flight finish, closes. */
  close(): Promise<void>
}

/** What a server is made from. */
export interface HttpServerOptions {
  readonly context: ServerContext
  readonly gate: Gate
  readonly random: Random
  /** Files of the certificate; empty names for plain HTTP. */
  readonly tls: TlsFiles
  readonly version: string
  /** Operations of views, log and modules. */
  readonly operations: readonly Operation[]
  readonly moduleMetrics: readonly MetricDefinition[]
  /** A folder with a page to serve at `/`. */
  readonly page: string | undefined
  /** Ends what would keep the server from closing: live subscriptions. */
  readonly endSubscriptions: () => void
}

const CLOSING_RETRY_MS = 1000
const CHECK_MS_MAX = 10_000
const SWEEP_MS = 50

/** Creates a server that does not listen yet. */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { context, gate } = options
  const budget = createBodyBudget(context.limits.bodiesBytesMax)
  const metrics = createHttpMetrics()
  const certificate = await readCertificate(options.tls)
  const app = createFastify(options, certificate)
  addHooks(app, options, answerHeaders({ isEncrypted: certificate !== undefined }))
  const guard = guardRoutes(app, gate, code => metrics.refused(code))
  auditRoutes(app, context)
  shareAcrossOrigins(app, gate)
  addParsers(app, context, budget)

  const operations: Operation[] = [
    ...eventOperations(context, anyEventReference(context.app), budget),
    ...options.operations,
  ]
  operations.push(...operationsOperations(context, metrics, options.moduleMetrics, () => document))
  answerUnknown(app, gate, createMethodFinder(operations))
  const document = openApiDocument(context.app, operations, options.version)
  const binding = { context, budget, metrics, turns: new Turns(context.clock) }
  for (const operation of operations) bindOperation(app, operation, binding)
  await app.register(async open => {
    openToAll(open)
    protectPages(open)
    await registerDocs(open, document)
    if (options.page !== undefined) await registerPage(open, options.page)
    // A person who opens the address without a page finds the documents, not a refusal.
    else open.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs'))
  })
  app.addHook('preClose', async () => options.endSubscriptions())
  await app.ready()
  const routes = guard.seal()
  const unused = watchUnused(
    app.server,
    certificate === undefined ? 'connection' : 'secureConnection',
  )
  const release =
    certificate === undefined
      ? undefined
      : renewCertificate(app.server as unknown as HttpsServer, options.tls, context)
  let door: LocalDoor | undefined

  return {
    document,
    operations,
    routes,
    handler(request, response) {
      gate.markHosted(request)
      app.routing(request, response)
    },
    async listen(address) {
      if (gate.isOpen && !isLoopbackAddress(address.host)) {
        throw serverErrors.create('LISTEN_REFUSED', { host: address.host })
      }
      const { authority, port } = await listen(app, address)
      if (certificate === undefined) {
        const url = `http://${authority}`
        return { url, port, localUrl: url }
      }
      door = await openLocalDoor(app.routing, context.limits, answerBroken(context))
      return { url: `https://${authority}`, port, localUrl: door.url }
    },
    async close() {
      release?.()
      door?.close()
      await closeServer(app, context, unused)
    },
  }
}

/** Half of the shortest time allowed, so that a limit is overrun by at most a half. */
function checkIntervalMs({ headersTimeoutMs, requestTimeoutMs }: Limits): number {
  return Math.ceil(Math.min(headersTimeoutMs, requestTimeoutMs, CHECK_MS_MAX) / 2)
}

/** The least that a connection may be idle: an answer may be waited for. */
const IDLE_BEYOND_WAIT_MS = 1000

function createFastify(
  { context, random }: HttpServerOptions,
  certificate: Certificate | undefined,
): FastifyInstance {
  const { limits } = context
  const prefix = Array.from(random.fill(new Uint8Array(6)), byte =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
  let requests = 0
  const requestLimits = {
    headersTimeout: limits.headersTimeoutMs,
    maxHeaderSize: limits.headerBytesMax,
    requireHostHeader: false,
    // Node looks for requests that take too long at this interval; its own default is 30 seconds.
    connectionsCheckingInterval: checkIntervalMs(limits),
  }
  const app: FastifyInstance = fastify({
    logger: false,
    // Our own parsers hold bodies to their limit; Fastify's would come first with another refusal.
    bodyLimit: Number.MAX_SAFE_INTEGER,
    routerOptions: { maxParamLength: 2048, ignoreTrailingSlash: false },
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionTimeout: Math.max(limits.idleTimeoutMs, limits.waitMsMax + IDLE_BEYOND_WAIT_MS),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    ...(certificate === undefined
      ? { http: requestLimits }
      : {
          https: { ...certificate, ...requestLimits, handshakeTimeout: limits.headersTimeoutMs },
        }),
    genReqId: request =>
      requestIdOf(request.headers['x-request-id']) ?? `${prefix}-${(++requests).toString(36)}`,
    // No hook has run for these.
    frameworkErrors: (error, request, reply) =>
      sendProblem(
        toRegistered(error, request.id),
        request,
        reply.header('x-request-id', request.id),
      ),
    clientErrorHandler: answerBroken(context),
  })
  // No route has this method. Fastify would want its content type before it says so.
  app.addHttpMethod('QUERY', { hasBody: false, overrideExisting: true })
  app.server.maxConnections = limits.connectionsMax
  const describeError = createErrorDescription(context.schemas)
  app.setErrorHandler((error, request, reply) => {
    const registered = toRegistered(error, request.id)
    if (registered.code === 'INTERNAL') {
      context.logger.error('request failed', {
        requestId: request.id,
        operation: request.routeOptions.url,
        error: describeError(error),
      })
    }
    return sendProblem(registered, request, reply)
  })
  return app
}

function answerUnknown(app: FastifyInstance, gate: Gate, methodsOf: FindMethods): void {
  app.setNotFoundHandler((request, reply) => {
    gate.admit(request.raw, 'open')
    const path = request.url.split('?', 1)[0] as string
    const details = { method: request.method, path: path.slice(0, 200) }
    const methods = methodsOf(path)
    if (methods.length === 0) {
      return sendProblem(serverErrors.create('ROUTE_UNKNOWN', details), request, reply)
    }
    const allowed = methods.join(', ')
    reply.header('allow', allowed)
    const refusal = serverErrors.create('METHOD_NOT_ALLOWED', { ...details, allowed })
    return sendProblem(refusal, request, reply)
  })
}

function sendProblem(error: MillraceError, request: FastifyRequest, reply: FastifyReply): unknown {
  const { retryAfterMs } = error
  if (retryAfterMs !== undefined) reply.header('retry-after', retryAfterSeconds(retryAfterMs))
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="millrace"')
  reply.code(error.status).header('content-type', PROBLEM_TYPE)
  const text = JSON.stringify(problemOf(error, request.id))
  if (request.raw.complete) return reply.send(text)
  // Nothing more will come in time, or nothing more is wanted.
  const isLast = error.code === 'REQUEST_TIMEOUT' || error.code === 'SERVER_CLOSING'
  if (isLast) return reply.header('connection', 'close').send(text)
  // Fastify would close the connection when a parser refuses a body.
  reply.removeHeader('connection')
  answerBeforeEnd(request.raw, reply.raw, () => void reply.send(text))
  return reply
}

function addHooks(
  app: FastifyInstance,
  { context, random }: HttpServerOptions,
  headers: ReturnType<typeof answerHeaders>,
): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    for (const [name, value] of headers) reply.header(name, value)
    const { traceparent } = request.headers
    if (traceparent !== undefined) {
      const trace = continueTrace(traceparent, random)
      if (trace !== undefined) {
        reply.header('traceparent', traceparentOf(trace))
        context.logger.debug('request', {
          requestId: request.id,
          traceId: trace.traceId,
          spanId: trace.spanId,
          method: request.method,
          operation: request.routeOptions.url,
        })
      }
    }
    if (context.isClosing()) {
      reply.header('connection', 'close')
      return done(serverErrors.create('SERVER_CLOSING', { retryAfterMs: CLOSING_RETRY_MS }))
    }
    done()
  })
}

function addParsers(app: FastifyInstance, context: ServerContext, budget: BodyBudget): void {
  app.removeAllContentTypeParsers()
  const limits = { bytesMax: context.limits.bodyBytesMax, budget }
  const receive = (
    request: FastifyRequest,
    payload: IncomingMessage,
    done: (error: Error | null, body?: Buffer) => void,
  ): void => {
    const type = request.headers['content-type'] ?? ''
    if (isNdjson(type) && request.routeOptions.url !== '/v1/events') return done(unsupported(type))
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity') {
      const details = { encoding: encoding.slice(0, 100) }
      return done(serverErrors.create('ENCODING_UNSUPPORTED', details))
    }
    // Lines are read by the operation itself, as they arrive.
    if (isNdjson(type)) return done(null)
    receiveBody(payload, limits, done)
  }
  app.addContentTypeParser(['application/json', ...NDJSON_TYPES], receive)
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    throw unsupported(request.headers['content-type'] ?? 'none')
  })
}

/** Connections that have not sent a request yet; Node does not count them as idle. */
function watchUnused(
  server: Server,
  opened: 'connection' | 'secureConnection',
): ReadonlySet<Socket> {
  const unused = new Set<Socket>()
  server.on(opened, (socket: Socket) => {
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  server.on('request', request => unused.delete(request.socket))
  return unused
}

/** Stops listening, lets requests in flight finish for their time, then cuts what is left. */
async function closeServer(
  app: FastifyInstance,
  { clock, limits, logger }: ServerContext,
  unused: ReadonlySet<Socket>,
): Promise<void> {
  const deadline = clock.after(limits.closeTimeoutMs, () => {
    logger.warn('connections were cut at shutdown', { afterMs: limits.closeTimeoutMs })
    app.server.closeAllConnections()
  })
  // A connection whose last answer was under way when closing began is idle a moment later.
  let timer: Timer | undefined
  const sweep = (): void => {
    app.server.closeIdleConnections()
    for (const socket of unused) socket.destroy()
    timer = clock.after(SWEEP_MS, sweep)
  }
  sweep()
  await app.close()
  timer?.cancel()
  deadline.cancel()
}

function unsupported(type: string): MillraceError {
  return serverErrors.create('MEDIA_TYPE_UNSUPPORTED', { type: type.slice(0, 100) })
}

/** What answers bytes that Node could not read as a request, or that did not arrive in time. */
function answerBroken(context: ServerContext): (error: Error, socket: Socket) => void {
  return (error, socket) => answerBrokenRequest(error, socket, context)
}

function answerBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Socket,
  context: ServerContext,
): void {
  const isTimeout = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  if (isTimeout && isTakingLines(socket)) return
  if (error.code === 'ECONNRESET' || !socket.writable || isDiscarding(socket)) {
    socket.destroy()
    return
  }
  const problem = problemOf(brokenRequest(error, context), context.newId())
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\n` +
      `content-type: ${PROBLEM_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  )
}

function brokenRequest(error: NodeJS.ErrnoException, context: ServerContext): MillraceError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    return serverErrors.create('HEADERS_TOO_LARGE', { limitBytes: context.limits.headerBytesMax })
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return serverErrors.create('REQUEST_TIMEOUT')
  return serverErrors.create('REQUEST_MALFORMED', { reason: error.code ?? 'it cannot be read' })
}

/** Addresses that stand for all of a machine, and how that machine reaches itself by them. */
const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

async function listen(
  app: FastifyInstance,
  { host, port }: { host: string; port: number },
): Promise<{ authority: string; port: number }> {
  // One address and no name: `localhost` would open a second server on ::1 with another port.
  const address = host === 'localhost' ? '127.0.0.1' : host
  try {
    await app.listen({ host: address, port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || isError(error)) throw error
    throw serverErrors.create('PORT_IN_USE', { host, port }, error)
  }
  const bound = app.server.address()
  const taken = typeof bound === 'object' && bound !== null ? bound.port : port
  const reached = ANY_ADDRESS[address] ?? address
  const shown = reached.includes(':') ? `[${reached}]` : reached
  return { authority: `${shown}:${taken}`, port: taken }
}
