/**
 * An operation of the server: what a module's route is, and beside it the few that speak something
 * else than one JSON body in, one JSON body out. `/openapi.json` is made from the same list.
 */
import type { JsonSchema } from '@millrace/core'
import { ROUTE_SCOPES, type RouteDefinition } from '@millrace/product'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { serverErrors } from '../errors.ts'

/** An answer that is not the route's JSON. */
export interface MediaAnswer {
  readonly mediaType: string
  readonly schema: JsonSchema
}

/** An operation with its place in the reference. */
export interface Operation extends Omit<RouteDefinition, 'handle' | 'response'> {
  /** The group it is listed under. */
  readonly tag: string
  /** Schema of the JSON answer; absent for other media. */
  readonly response?: JsonSchema
  /** Statuses beside 200 that carry another body, by status. */
  readonly answers?: Readonly<Record<number, { description: string; schema: JsonSchema }>>
  /** The answer when it is no JSON. */
  readonly media?: MediaAnswer
  /** True: the answer has no position and takes no `atLeast`. */
  readonly isOutsideLog?: boolean
  /** True: it may be asked for by its path alone, without documentation. */
  readonly isHidden?: boolean
  /** Folds that the answer reads, when they depend on the path. In place of `folds`. */
  readonly foldsOf?: (params: Readonly<Record<string, string>>) => readonly string[]
  readonly handle?: RouteDefinition['handle']
  /** Serves the request itself, in place of `handle`. `body` are the bytes received. */
  readonly serve?: (exchange: Exchange) => unknown
}

/** A request that an operation serves by itself. Query and parameters are checked. */
export interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly body: Buffer | undefined
}

/** The operation of a module's route. Throws MODULE_INVALID for one that does not say who may call it: a module may be JavaScript. */
export function operationOf(route: RouteDefinition, tag: string): Operation {
  if (!ROUTE_SCOPES.includes(route.scope)) {
    const reason = `the scope of its route ${route.operation} is none of ${ROUTE_SCOPES.join(', ')}`
    throw serverErrors.create('MODULE_INVALID', { module: tag, reason })
  }
  return { ...route, tag, handle: request => route.handle(request) }
}
