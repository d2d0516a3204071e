/**
 * The audit: who changed what, when, from where, and with which result. An act is a request to an
 * admin route that is not a read. It is on the stream `access.audit` before it is done, and again
 * with its result before it is answered: an act that cannot be recorded is not done. Where the
 * second record is missing, the process ended in between.
 *
 * The key of a record is who acted, so that `millrace log read access.audit --key <actor>` is what
 * one of them did. Bodies are not recorded: they may hold secrets and personal data.
 */
import { isError, type Clock, type Logger } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'

/** The stream of acts. */
export const AUDIT_STREAM = 'access.audit'

declare module 'fastify' {
  interface FastifyRequest {
    /** The act that the request is, once it is on record. */
    act: Act | undefined
  }
}

/** Data of `act.begun` and `act.refused`: what somebody set out to do. */
export interface Act {
  /** Names the act in both of its records. */
  readonly act: string
  readonly actor: string
  readonly operation: string
  /** What the path names. */
  readonly params: Readonly<Record<string, string>>
  /** The address that the connection came from. */
  readonly from: string
  readonly requestId: string
}

/** What an audit stands on. */
export interface AuditPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly logger: Logger
  readonly newId: () => string
}

/** Records the acts of the routes that are registered from now on. */
export function auditRoutes(app: FastifyInstance, ports: AuditPorts): void {
  app.decorateRequest('act')
  app.addHook('onRoute', route => {
    if (!isAct(route)) return
    const operation = route.config?.operation ?? `${String(route.method)} ${route.url}`
    const begin = async (request: FastifyRequest): Promise<void> => {
      const act = actOf(request, request.caller.actor, operation, ports)
      await write(ports, 'act.begun', act.actor, act)
      request.act = act
    }
    const end = async (
      request: FastifyRequest,
      reply: { readonly statusCode: number },
      payload: unknown,
    ): Promise<unknown> => {
      await record(ports, request, operation, { status: reply.statusCode, ...answerOf(payload) })
      return payload
    }
    route.preHandler = [begin, ...[route.preHandler ?? []].flat()] as typeof route.preHandler
    route.onSend = [...[route.onSend ?? []].flat(), end] as typeof route.onSend
  })
}

/** Records an act that a command does by itself, without a server: before it is done, and its result. */
export async function recordAct<T>(
  ports: Omit<AuditPorts, 'logger'>,
  operation: string,
  params: Readonly<Record<string, string>>,
  run: () => Promise<T>,
): Promise<T> {
  const actor = 'operator'
  const act = ports.newId()
  const begun: Act = { act, actor, operation, params, from: 'local', requestId: act }
  await write(ports, 'act.begun', actor, begun)
  try {
    const result = await run()
    await write(ports, 'act.ended', actor, { act, status: 200 })
    return result
  } catch (error) {
    const code = isError(error) ? error.code : 'INTERNAL'
    await write(ports, 'act.ended', actor, { act, status: 500, code })
    throw error
  }
}

/** True for a route by which an operator changes something. */
function isAct({ config, method }: RouteOptions): boolean {
  return config?.scope === 'admin' && method !== 'GET' && method !== 'HEAD'
}

interface Result {
  readonly status: number
  /** Of a refusal. */
  readonly code?: string
  /** Of a refused caller. */
  readonly refused?: string
  /** What the answer names as its subject, such as a key that was made. */
  readonly id?: string
}

async function record(
  ports: AuditPorts,
  request: FastifyRequest,
  operation: string,
  { refused, ...result }: Result,
): Promise<void> {
  const { act } = request
  try {
    if (act !== undefined) {
      await write(ports, 'act.ended', act.actor, { act: act.act, ...result })
    } else if (refused !== undefined) {
      const attempt = actOf(request, refused, operation, ports)
      await write(ports, 'act.refused', refused, { ...attempt, ...result })
    }
  } catch (error) {
    // What was done is done, and that it was begun is on record.
    ports.logger.error('the result of an act is not on record', { operation, error: String(error) })
  }
}

function actOf(
  request: FastifyRequest,
  actor: string,
  operation: string,
  { newId }: AuditPorts,
): Act {
  return {
    act: newId(),
    actor,
    operation,
    params: { ...(request.params as Record<string, string>) },
    from: request.raw.socket.remoteAddress ?? 'unknown',
    requestId: request.id,
  }
}

/** What of an answer is recorded; never the rest, which holds the key that was made. */
function answerOf(payload: unknown): Omit<Result, 'status'> {
  if (typeof payload !== 'string') return {}
  try {
    const { id, code, details } = JSON.parse(payload) as Readonly<Record<string, unknown>>
    const actor = (details as { actor?: unknown } | undefined)?.actor
    return {
      ...(typeof id === 'string' ? { id } : {}),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof actor === 'string' ? { refused: actor } : {}),
    }
  } catch {
    return {}
  }
}

async function write(
  { log, clock, newId }: Omit<AuditPorts, 'logger'>,
  type: string,
  actor: string,
  data: object,
): Promise<void> {
  await log.declare([{ name: AUDIT_STREAM, partitions: 1 }])
  const event = { stream: AUDIT_STREAM, type, key: actor, id: newId(), eventTimeMs: clock.nowMs() }
  await log.commit({ events: [{ ...event, data, isUnique: true }] })
}
