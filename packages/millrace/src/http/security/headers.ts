/** What answers tell browsers: what they may do with them, and who may read them. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serverErrors } from '../../errors.ts'
import type { Gate } from './gate.ts'

type Headers = readonly (readonly [name: string, value: string])[]

const HALF_A_YEAR_S = 15_552_000

/** Headers of every answer: it is what it says it is, and no page of another site embeds it. */
export function answerHeaders({ isEncrypted }: { isEncrypted: boolean }): Headers {
  return [
    ['x-content-type-options', 'nosniff'],
    ['cross-origin-resource-policy', 'same-origin'],
    ...(isEncrypted ? ([['strict-transport-security', `max-age=${HALF_A_YEAR_S}`]] as const) : []),
  ]
}

/** Scripts and connections of this server alone, in no frame. Styles may be inline: the documents have some. */
export const PAGE_POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

const PAGE_HEADERS: Headers = [
  ['content-security-policy', PAGE_POLICY],
  ['x-frame-options', 'DENY'],
  ['referrer-policy', 'no-referrer'],
]

/** Sets the headers of pages on what is registered from now on. */
export function protectPages(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    for (const [name, value] of PAGE_HEADERS) reply.header(name, value)
    done()
  })
}

const PREFLIGHT_S = 7200
const ALLOWED_HEADERS = 'authorization, content-type, traceparent, x-request-id'
const EXPOSED_HEADERS = 'millrace-position, retry-after, x-request-id'

/**
 * Lets pages of the origins that public keys name call the routes of the scope `public`, those
 * registered from now on. Refusals say so too, so that a page can read when to come back. Nothing is
 * sent with a request by itself (there are no cookies), so that the key alone decides.
 */
export function shareAcrossOrigins(app: FastifyInstance, gate: Gate): void {
  const share = (request: FastifyRequest, reply: FastifyReply): boolean => {
    const { origin } = request.headers
    reply.header('vary', 'origin')
    if (origin === undefined || !gate.allowsOrigin(origin)) return false
    reply.header('access-control-allow-origin', origin)
    reply.header('access-control-expose-headers', EXPOSED_HEADERS)
    return true
  }
  app.addHook('onRoute', route => {
    if (route.config?.scope !== 'public') return
    const { method, url } = route
    const hooks = [route.onRequest ?? []].flat()
    const shareThis = (
      request: FastifyRequest,
      reply: FastifyReply,
      done: (error?: Error) => void,
    ): void => {
      share(request, reply)
      done()
    }
    route.onRequest = [shareThis, ...hooks] as typeof route.onRequest
    app.options(url, { config: { scope: 'open' } }, (request, reply) => {
      if (!share(request, reply)) {
        const origin = (request.headers.origin ?? 'none').slice(0, 100)
        throw serverErrors.create('ORIGIN_REFUSED', { origin })
      }
      reply.header('access-control-allow-methods', String(method))
      reply.header('access-control-allow-headers', ALLOWED_HEADERS)
      reply.header('access-control-max-age', String(PREFLIGHT_S))
      reply.code(204).send()
    })
  })
}
