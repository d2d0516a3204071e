/**
 * How a command reaches its product: the running server of the data directory, or the directory
 * itself, opened in this process for as long as the command takes. Both answer the same requests.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isError, silentLogger, type App } from '@millrace/core'
import { operatorTokenOf } from '../http/security/operator.ts'
import { readIdentity } from '../wiring/identity.ts'
import { openMillrace } from '../millrace.ts'
import { builtInApp } from '../import/index.ts'
import { findAppFile, loadApp } from './app-file.ts'
import type { CommandContext } from './context.ts'
import { cliErrors } from './errors.ts'
import { ownerOf } from './owner.ts'

/** A request to the API. */
export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Sent as it is, in place of `body`. */
  readonly raw?: { readonly bytes: Uint8Array; readonly mediaType: string }
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer of the API that is no refusal. */
export interface ApiAnswer {
  readonly status: number
  readonly body: unknown
  readonly headers: Headers
}

/** A server that answers, and what this command shows it to be let in. */
export interface Server {
  readonly url: string
  readonly key: string | undefined
}

/** A product that answers. */
export interface Connection {
  /** False: this process opened the directory. */
  readonly isRemote: boolean
  /** Sends a request; a refusal of the API is thrown (CLI_REFUSED with its code). */
  request(request: ApiRequest): Promise<ApiAnswer>
  /** The answer as a stream: server-sent events, or lines. */
  open(path: string, signal: AbortSignal, method?: 'GET' | 'POST'): Promise<Response>
  close(): Promise<void>
}

/** The definition that the command means: `--app`, the working directory, or what the data directory remembers. */
export async function appOf(context: CommandContext): Promise<{
  readonly app: App
  /** Its file; undefined for a built-in one. */
  readonly file: string | undefined
}> {
  const file = findAppFile(context.cwd, context.options.app)
  const remembered = await rememberedApp(context)
  // A folder with an app of its own is no reason to refuse a data directory that holds a built-in one.
  if (remembered !== undefined && context.options.app === undefined) {
    if (file === undefined || context.options.data !== undefined)
      return { app: remembered, file: undefined }
  }
  if (file !== undefined) return { app: await loadApp(file), file }
  const reason = `${context.cwd} has no app.ts, and ${context.data} holds no built-in one`
  throw cliErrors.create('CLI_APP_MISSING', { reason })
}

/** The built-in app that the data directory holds, or undefined. */
export async function rememberedApp(context: CommandContext): Promise<App | undefined> {
  if (context.data === 'memory') return undefined
  const identity = await readIdentity(context.data)
  return identity?.builtIn === undefined ? undefined : builtInApp(identity.builtIn)
}

/** Connects; refuses with CLI_UNREACHABLE, CLI_OWNER_SILENT, DIRECTORY_LOCKED, CLI_APP_MISSING or what opening refuses. */
export async function connect(context: CommandContext): Promise<Connection> {
  const running = await findServer(context)
  if (running !== undefined) return remote(running)
  return openDirectory(context)
}

/** Works over a connection, which is closed whatever comes of it; refuses as `connect` does. */
export async function withConnection<Value>(
  context: CommandContext,
  work: (connection: Connection) => Promise<Value>,
): Promise<Value> {
  const connection = await connect(context)
  try {
    return await work(connection)
  } finally {
    await connection.close()
  }
}

/** Asks one thing, and gives the body of the answer; refuses as `connect` and `request` do. */
export async function ask(context: CommandContext, request: ApiRequest): Promise<unknown> {
  return await withConnection(context, async connection => (await connection.request(request)).body)
}

/** A server that runs: on the port asked for, or of the data directory; undefined when none does. */
export async function findServer(context: CommandContext): Promise<Server | undefined> {
  const { port, data } = context
  const named = port.isSet && port.number !== 0 ? await namedServer(context) : undefined
  if (named !== undefined) return named
  const url = data === 'memory' ? undefined : await ownerUrl(context)
  return url === undefined ? undefined : { url, key: await keyFor(context, url) }
}

/**
 * The server of the port asked for, unless `--data` names the folder of another one: then the port of
 * the environment is passed over, which says less than an option, and `--port` is refused. Refuses
 * with CLI_UNREACHABLE, CLI_DATA_ELSEWHERE.
 */
async function namedServer(context: CommandContext): Promise<Server | undefined> {
  const { port, data, options, output } = context
  const url = `http://127.0.0.1:${port.number}`
  const reason = await whyNot(url)
  if (reason !== undefined) {
    if (port.isExplicit) throw cliErrors.create('CLI_UNREACHABLE', { url, reason })
    return undefined
  }
  if (options.data !== undefined && !isOwnedAt(data, port.number)) {
    if (!port.isExplicit) {
      output.note(`PORT=${port.number} is the server of another folder than ${data}: not asked.`)
      return undefined
    }
    if (data !== 'memory' && (await readIdentity(data)) !== undefined) {
      throw cliErrors.create('CLI_DATA_ELSEWHERE', { url, directory: data })
    }
  }
  return { url, key: await keyFor(context, url) }
}

/** The key that the environment gives, else the operator's token where the server is that of our data directory. */
async function keyFor({ key, data }: CommandContext, url: string): Promise<string | undefined> {
  if (key !== '') return key
  if (data === 'memory' || ownerOf(data)?.url !== url) return undefined
  const identity = await readIdentity(data)
  return identity === undefined ? undefined : operatorTokenOf(data, identity.secret)
}

/** Whether the process that owns the directory answers at that port, under whatever name of this machine. */
function isOwnedAt(directory: string, port: number): boolean {
  const url = directory === 'memory' ? undefined : ownerOf(directory)?.url
  return url !== undefined && portOf(new URL(url)) === port
}

function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

const OWNER_WAIT_MS = 3000
const OWNER_POLL_MS = 50

/** The address of the owner; one that has just started gets a moment to listen. Refuses with CLI_OWNER_SILENT. */
async function ownerUrl({ data, clock }: CommandContext): Promise<string | undefined> {
  const untilMs = clock.monotonicMs() + OWNER_WAIT_MS
  for (;;) {
    const owner = ownerOf(data)
    if (owner === undefined || owner.url !== undefined) return owner?.url
    if (clock.monotonicMs() > untilMs) {
      const { pid, command } = owner
      throw cliErrors.create('CLI_OWNER_SILENT', { directory: data, pid, command })
    }
    await new Promise<void>(resolve => clock.after(OWNER_POLL_MS, resolve))
  }
}

/** Why no Millrace answers there; undefined when one does. */
async function whyNot(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(3000) })
    const body = (await answer.json()) as { status?: unknown }
    return body.status === 'alive' ? undefined : 'something else answers there'
  } catch (error) {
    return isRefusal(error) ? 'nothing listens there' : 'something else answers there'
  }
}

function isRefusal(error: unknown): boolean {
  const cause = (error as { cause?: { code?: unknown } }).cause
  return cause?.code === 'ECONNREFUSED'
}

function remote(server: Server): Connection {
  return {
    isRemote: true,
    request: request => sendRequest(server, request),
    open: (path, signal, method) => openStream(server, path, { signal, method }),
    close: () => Promise.resolve(),
  }
}

const CATCH_UP_MS = 24 * 3_600_000

async function openDirectory(context: CommandContext): Promise<Connection> {
  const { app, file } = await appOf(context)
  const { data, clock, random, output } = context
  const appFile = file === undefined ? {} : { appFile: file }
  const millrace = await openMillrace({
    app,
    ...appFile,
    data,
    clock,
    random,
    logger: silentLogger,
  })
  try {
    const noticed = clock.after(1000, () => output.note('Catching up with the log ...'))
    await millrace.reached(millrace.log.ends(), { timeoutMs: CATCH_UP_MS })
    noticed.cancel()
    const host = createServer(millrace.handler)
    await new Promise<void>(done => host.listen(0, '127.0.0.1', done))
    const identity = await readIdentity(data)
    const server = {
      url: `http://127.0.0.1:${(host.address() as AddressInfo).port}`,
      // This process owns the directory, so that the token is its own.
      key: identity === undefined ? undefined : operatorTokenOf(data, identity.secret),
    }
    return {
      isRemote: false,
      request: request => sendRequest(server, request),
      open: (path, signal, method) => openStream(server, path, { signal, method }),
      async close() {
        host.closeAllConnections()
        await new Promise(done => host.close(done))
        await millrace.close()
      },
    }
  } catch (error) {
    await millrace.close()
    throw error
  }
}

function keyHeader({ key }: Server): Readonly<Record<string, string>> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` }
}

/** Sends a request to a server; a refusal is thrown (CLI_REFUSED with its code). */
export async function sendRequest(server: Server, request: ApiRequest): Promise<ApiAnswer> {
  const { url } = server
  const query = new URLSearchParams(request.query)
  const target = `${url}${request.path}${query.size > 0 ? `?${query.toString()}` : ''}`
  const raw = request.raw
  const content =
    raw === undefined
      ? request.body === undefined
        ? undefined
        : { text: JSON.stringify(request.body), mediaType: 'application/json' }
      : { text: raw.bytes, mediaType: raw.mediaType }
  const answer = await reach(url, () =>
    fetch(target, {
      method: request.method,
      headers: {
        ...keyHeader(server),
        ...request.headers,
        ...(content === undefined ? {} : { 'content-type': content.mediaType }),
      },
      ...(content === undefined ? {} : { body: content.text as BodyInit }),
    }),
  )
  const text = await reach(url, () => answer.text())
  const body = parse(text)
  if (!answer.ok) throw refusal(answer.status, body, text)
  return { status: answer.status, body, headers: answer.headers }
}

async function openStream(
  server: Server,
  path: string,
  { signal, method = 'GET' }: { signal: AbortSignal; method?: 'GET' | 'POST' | undefined },
): Promise<Response> {
  const { url } = server
  const headers = { accept: 'text/event-stream, application/x-ndjson', ...keyHeader(server) }
  const answer = await reach(url, () => fetch(url + path, { method, signal, headers }))
  if (answer.ok) return answer
  const text = await answer.text()
  throw refusal(answer.status, parse(text), text)
}

async function reach<T>(url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isError(error) || (error as Error).name === 'AbortError') throw error
    const cause = (error as { cause?: unknown }).cause
    const reason = isRefusal(error) ? 'nothing listens there' : messageOf(cause ?? error)
    throw cliErrors.create('CLI_UNREACHABLE', { url, reason }, error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A refusal of the API as an error that keeps its code and its remedy. */
function refusal(status: number, body: unknown, text: string): Error {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const said = (name: string): string | undefined =>
    typeof problem[name] === 'string' ? problem[name] : undefined
  return cliErrors.create('CLI_REFUSED', {
    // First, for they may hold a reason of their own: the whole sentence is what is said.
    ...(typeof problem['details'] === 'object' ? (problem['details'] as object) : {}),
    reason: said('detail') ?? `The server answered ${status}: ${text.slice(0, 200)}`,
    next: said('remedy') ?? 'Check that the address is that of a Millrace server.',
    code: said('code') ?? `HTTP_${status}`,
    status,
  })
}
