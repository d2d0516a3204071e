/** Requests of the client: fetch, problem details as errors, retries with growing pauses. */
import { isError, type Clock, type MillraceError, type Random } from '@millrace/core'
import { clientErrors, serverError } from './errors.ts'

/** The part of `fetch` that the client needs. */
export type Fetch = (url: string, init?: RequestInit) => Promise<Response>

/** How often and how long failed requests are tried again. */
export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly attemptsMax: number
  /** Pause before the second try; doubles, with a random half. */
  readonly pauseMs: number
  readonly pauseMsMax: number
}

/** What the transport needs. */
export interface TransportOptions {
  readonly url: string
  readonly fetch: Fetch
  readonly clock: Clock
  readonly random: Random
  readonly retry: RetryPolicy
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, string>>
}

/** A request. */
export interface ClientRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  /** JSON value, or NDJSON text with `isLines`. */
  readonly body?: unknown
  readonly isLines?: boolean
  /** True when sending it twice has the effect of sending it once. Default: all but POST. */
  readonly isIdempotent?: boolean
}

/** An answer. */
export interface ClientAnswer {
  readonly body: unknown
  /** Token of the position that it reflects. */
  readonly position: string | undefined
}

/** Sends requests. */
export interface Transport {
  /** Rejects with the server's error, or CONNECTION_FAILED, ANSWER_INVALID. */
  send(request: ClientRequest): Promise<ClientAnswer>
  /** Opens an answer that goes on, such as server-sent events. Not tried again. */
  open(
    request: ClientRequest,
    options: { signal: AbortSignal; headers?: Record<string, string> },
  ): Promise<Response>
}

/** Creates the transport of a client. */
export function createTransport(options: TransportOptions): Transport {
  const { clock, random, retry } = options
  const once = (request: ClientRequest): Promise<ClientAnswer> => sendOnce(options, request)
  return {
    async send(request) {
      const isRetried = request.isIdempotent ?? request.method !== 'POST'
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(request)
        } catch (error) {
          const isLast = !isRetried || attempt >= retry.attemptsMax
          if (isLast || !isError(error) || !error.retryable) throw error
          await pause(clock, pauseOf(retry, attempt, error, random))
        }
      }
    },
    async open(request, { signal, headers }) {
      const response = await reach(options, request, signal, headers)
      if (response.ok) return response
      throw await refusalOf(response, options.url)
    },
  }
}

function pauseOf(
  retry: RetryPolicy,
  attempt: number,
  error: MillraceError,
  random: Random,
): number {
  const grown = Math.min(retry.pauseMsMax, retry.pauseMs * 2 ** (attempt - 1))
  return Math.max(error.retryAfterMs ?? 0, grown * (0.5 + random.next() / 2))
}

function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise(resolve => void clock.after(delayMs, resolve))
}

async function sendOnce(options: TransportOptions, request: ClientRequest): Promise<ClientAnswer> {
  const abort = new AbortController()
  const timer = options.clock.after(options.timeoutMs, () => abort.abort())
  try {
    const response = await reach(options, request, abort.signal)
    if (!response.ok) throw await refusalOf(response, options.url)
    const text = await textOf(response, options.url)
    return {
      body: parsed(text, options.url),
      position: response.headers.get('millrace-position') ?? undefined,
    }
  } finally {
    timer.cancel()
  }
}

async function reach(
  options: TransportOptions,
  request: ClientRequest,
  signal: AbortSignal,
  more: Record<string, string> = {},
): Promise<Response> {
  const { method, body, isLines = false } = request
  const headers: Record<string, string> = { ...options.headers, ...more }
  if (body !== undefined)
    headers['content-type'] = isLines ? 'application/x-ndjson' : 'application/json'
  try {
    return await options.fetch(urlOf(options.url, request), {
      method,
      headers,
      signal,
      ...(body === undefined ? {} : { body: isLines ? (body as string) : JSON.stringify(body) }),
    })
  } catch (error) {
    throw unreachable(options.url, error)
  }
}

function urlOf(base: string, { path, query = {} }: ClientRequest): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return `${base.replace(/\/+$/, '')}${path}${text === '' ? '' : `?${text}`}`
}

function unreachable(url: string, error: unknown): MillraceError {
  const reason = error instanceof Error ? error.message : String(error)
  return clientErrors.create('CONNECTION_FAILED', { url, reason }, error)
}

async function textOf(response: Response, url: string): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw unreachable(url, error)
  }
}

function parsed(text: string, url: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    throw clientErrors.create('ANSWER_INVALID', { url, reason: 'it is not JSON' })
  }
}

/** The server's problem details as the error that it threw. */
async function refusalOf(response: Response, url: string): Promise<MillraceError> {
  const text = await textOf(response, url)
  let problem: Record<string, unknown> = {}
  try {
    problem = JSON.parse(text) as Record<string, unknown>
  } catch {
    // Told below: an answer without a code is not one of ours.
  }
  const { code, detail, remedy, retryable, details, retryAfterMs } = problem
  if (typeof code !== 'string' || typeof detail !== 'string') {
    return clientErrors.create('ANSWER_INVALID', { url, reason: `status ${response.status}` })
  }
  return serverError({
    code,
    status: response.status,
    retryable: retryable === true,
    detail,
    remedy: typeof remedy === 'string' ? remedy : '',
    details: {
      ...(typeof details === 'object' ? details : {}),
      ...(typeof retryAfterMs === 'number' ? { retryAfterMs } : {}),
    },
  })
}
