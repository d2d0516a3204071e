/** W3C trace context (https://www.w3.org/TR/trace-context/): the caller's trace goes on here. */
import type { Random } from '@millrace/core'

/** A span of this server within the caller's trace. */
export interface TraceContext {
  readonly traceId: string
  readonly parentId: string
  readonly spanId: string
  readonly flags: string
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** The context of a request with such a `traceparent`; undefined when it has none that is valid. */
export function continueTrace(header: unknown, random: Random): TraceContext | undefined {
  if (typeof header !== 'string' || header.length > 256) return undefined
  const match = TRACEPARENT.exec(header)
  if (match === null) return undefined
  const [, version, traceId, parentId, flags, more] = match as unknown as string[]
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId as string) || /^0+$/.test(parentId as string)) return undefined
  const bytes = random.fill(new Uint8Array(8))
  const spanId = Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
  return {
    traceId: traceId as string,
    parentId: parentId as string,
    spanId,
    flags: flags as string,
  }
}

/** The header that hands a context on. */
export function traceparentOf(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.flags}`
}

const REQUEST_ID = /^[\w.:/+=-]{1,128}$/

/** The caller's request id when it is one. */
export function requestIdOf(header: unknown): string | undefined {
  return typeof header === 'string' && REQUEST_ID.test(header) ? header : undefined
}
