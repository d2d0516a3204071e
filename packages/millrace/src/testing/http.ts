/** Requests for the tests of the server. */
import { connect } from 'node:net'

/** An answer, read. */
export interface TestAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON. */
  readonly json: Record<string, unknown>
}

/** How long a read waits for what it asks for, where a test does not say: a machine with much to do takes its time. */
const PATIENCE = '&timeoutMs=30000'

/** Sends a request; a body that is no text is sent as JSON. */
export async function send(
  url: string,
  path: string,
  options: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<TestAnswer> {
  const { body, method = body === undefined ? 'GET' : 'POST', headers = {} } = options
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const isWaiting = path.includes('atLeast=') && !path.includes('timeoutMs=')
  const response = await fetch(`${url}${path}${isWaiting ? PATIENCE : ''}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: isRaw ? (body as BodyInit) : JSON.stringify(body) }),
  })
  const text = await response.text()
  let json: Record<string, unknown> = {}
  try {
    json = JSON.parse(text) as Record<string, unknown>
  } catch {
    // Not all answers are JSON.
  }
  return { status: response.status, headers: response.headers, text, json }
}

/** Sends bytes over a socket of its own and gives all that came back until it was closed. */
export function sendRaw(
  port: number,
  parts: readonly (string | Uint8Array)[],
  options: { isHalfClosed?: boolean; isCut?: boolean } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => {
      for (const part of parts) socket.write(part)
      if (options.isHalfClosed === true) socket.end()
      if (options.isCut === true) socket.destroy()
    })
    let text = ''
    socket.on('data', chunk => (text += chunk.toString('utf8')))
    socket.on('error', error => {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') reject(error)
    })
    socket.on('close', () => resolve(text))
  })
}
