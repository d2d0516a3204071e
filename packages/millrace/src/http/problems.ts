/** Refusals as problem details (RFC 9457): stable code, place, remedy. Never personal data. */
import { isError, type MillraceError } from '@millrace/core'
import { productErrors } from '@millrace/product'
import { serverErrors } from '../errors.ts'

/** The media type of refusals. */
export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** A refusal as it is sent. */
export interface Problem {
  /** `urn:millrace:error:<CODE>`. */
  readonly type: string
  /** What is wrong in general. */
  readonly title: string
  readonly status: number
  /** What is wrong here. */
  readonly detail: string
  /** `urn:millrace:request:<request id>`. */
  readonly instance: string
  readonly code: string
  readonly remedy: string
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean
  readonly retryAfterMs?: number
  /** Facts about this occurrence, by name. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** JSON Schema of a refusal. */
export const problemSchema = {
  type: 'object',
  description: 'Problem details (RFC 9457).',
  required: ['type', 'title', 'status', 'detail', 'instance', 'code', 'remedy', 'retryable'],
  properties: {
    type: { type: 'string', format: 'uri', description: 'urn:millrace:error:<code>' },
    title: { type: 'string', description: 'The kind of refusal.' },
    status: { type: 'integer', minimum: 400, maximum: 599 },
    detail: { type: 'string', description: 'What is wrong with this request.' },
    instance: { type: 'string', format: 'uri', description: 'urn:millrace:request:<request id>' },
    code: { type: 'string', pattern: '^[A-Z][A-Z0-9_]*$', description: 'Stable: test for this.' },
    remedy: { type: 'string', description: 'What to do.' },
    retryable: { type: 'boolean', description: 'The same request may succeed later.' },
    retryAfterMs: { type: 'integer', minimum: 0 },
    details: { type: 'object', additionalProperties: true },
  },
  additionalProperties: false,
} as const

const TEXT_MAX = 2000

/** The registered error of anything that was thrown; what is not registered is INTERNAL. */
export function toRegistered(error: unknown, requestId: string): MillraceError {
  if (isError(error)) return error
  return fromFastify(error) ?? serverErrors.create('INTERNAL', { requestId }, error)
}

interface FastifyFault {
  readonly code?: unknown
  readonly statusCode?: unknown
}

/** What Fastify itself refuses before a route runs. */
function fromFastify(error: unknown): MillraceError | undefined {
  const { code, statusCode } = (error ?? {}) as FastifyFault
  if (typeof code !== 'string' || !code.startsWith('FST_')) return undefined
  if (code === 'FST_ERR_BAD_URL' || code === 'FST_ERR_MAX_PARAM_LENGTH') {
    const reason =
      code === 'FST_ERR_BAD_URL' ? 'it is not UTF-8, percent-encoded' : 'it is too long'
    return productErrors.create('REQUEST_INVALID', { name: 'the path', reason })
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return serverErrors.create('MEDIA_TYPE_UNSUPPORTED', { type: 'sent' })
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return serverErrors.create('BODY_TOO_LARGE', { limitBytes: 0 })
  }
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  return productErrors.create('REQUEST_INVALID', { name: 'its head', reason: code })
}

/** The problem details of a registered error. */
export function problemOf(error: MillraceError, requestId: string): Problem {
  const { retryAfterMs } = error
  const details = Object.keys(error.details).length === 0 ? {} : { details: error.details }
  return {
    type: `urn:millrace:error:${error.code}`,
    title: titleOf(error.code),
    status: error.status,
    detail: error.message.slice(0, TEXT_MAX),
    instance: `urn:millrace:request:${requestId}`,
    code: error.code,
    remedy: error.remedy.slice(0, TEXT_MAX),
    retryable: error.retryable,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...details,
  }
}

/** `BODY_TOO_LARGE` as `Body too large`. */
function titleOf(code: string): string {
  const words = code.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Seconds for `Retry-After`, at least 1. */
export function retryAfterSeconds(retryAfterMs: number): string {
  return String(Math.max(1, Math.ceil(retryAfterMs / 1000)))
}
