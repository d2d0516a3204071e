/** Binds an operation to Fastify: reading, checking, waiting for a position, answering. */
import {
  compileSchema,
  decodePosition,
  encodePosition,
  isError,
  type JsonSchema,
  type Position,
} from '@millrace/core'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serverErrors } from '../errors.ts'
import { checkDepth, parseJson, textOf } from '../ingest/body.ts'
import { isUtf8 } from 'node:buffer'
import type { BodyBudget } from './bodies.ts'
import type { ServerContext } from './context.ts'
import type { HttpMetrics } from './metrics.ts'
import type { Operation } from './operation.ts'
import { assertFits, createQueryReader, querySchema } from './query.ts'

/** The header that carries the position that an answer reflects. */
export const POSITION_HEADER = 'millrace-position'

/** What binding needs beside the operation. */
export interface Binding {
  readonly context: ServerContext
  readonly budget: BodyBudget
  readonly metrics: HttpMetrics
}

/** Registers the operation. */
export function bindOperation(
  fastify: FastifyInstance,
  operation: Operation,
  binding: Binding,
): void {
  const { context, budget, metrics } = binding
  const isReading = operation.method === 'GET' && operation.isOutsideLog !== true
  const readQuery = createQueryReader(querySchema(operation.query, isReading))
  const readParams = paramsReader(operation)
  const bodyValidator =
    operation.body === undefined || operation.serve !== undefined
      ? undefined
      : compileSchema(operation.body)
  const observe = metrics.observerOf(operation.operation)
  const positionToken = createTokenCache()

  const handle = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const startedMs = context.clock.monotonicMs()
    const body = request.body as Buffer | undefined
    // The reply gets the status of a refusal only after this function has ended.
    let refusedWith: number | undefined
    try {
      const params = readParams(request.params)
      const query = readQuery(request.query)
      const folds = operation.foldsOf?.(params) ?? operation.folds
      if (isReading) await waitFor(folds, query, context)
      if (operation.serve !== undefined) {
        return await operation.serve({ request, reply, params, query, body })
      }
      let content: unknown
      if (bodyValidator !== undefined) {
        content = jsonOf(body, context.limits.depthMax)
        assertFits(bodyValidator, content, 'the body')
      }
      const answer = await operation.handle?.({ params, query, body: content })
      const position = answer?.position ?? positionOf(operation, folds, context)
      if (position !== undefined) reply.header(POSITION_HEADER, positionToken(position))
      reply.code(answer?.status ?? 200)
      if (answer?.text === undefined) return await reply.send(answer?.body)
      reply.header('content-type', 'application/json; charset=utf-8')
      return await reply.send(answer.text)
    } catch (error) {
      refusedWith = isError(error) ? error.status : 500
      throw error
    } finally {
      if (body !== undefined) budget.release(body.length)
      observe(refusedWith ?? reply.statusCode, context.clock.monotonicMs() - startedMs)
    }
  }

  fastify.route({
    method: operation.method,
    url: operation.path,
    exposeHeadRoute: operation.serve === undefined,
    schema: operation.response === undefined ? {} : { response: { '2xx': operation.response } },
    handler: handle,
  })
}

/** Encodes positions; answers in a row often give the same one. */
function createTokenCache(): (position: Position) => string {
  let last: Position | undefined
  let token = ''
  return position => {
    if (position !== last) {
      token = encodePosition(position)
      last = position
    }
    return token
  }
}

async function waitFor(
  folds: readonly string[] | undefined,
  query: Readonly<Record<string, unknown>>,
  context: ServerContext,
): Promise<void> {
  const { atLeast, timeoutMs } = query
  if (atLeast === undefined) return
  await context.streams.reached({
    position: decodePosition(atLeast as string),
    timeoutMs: Math.min(timeoutMs as number, context.limits.waitMsMax),
    ...(folds === undefined ? {} : { folds }),
  })
}

function positionOf(
  operation: Operation,
  folds: readonly string[] | undefined,
  context: ServerContext,
): Position | undefined {
  if (operation.isOutsideLog === true) return undefined
  // What reads no fold reads the log or the definition: the whole log is a fair answer.
  if (folds === undefined || folds.length === 0) return context.reflected()
  return context.streams.reflected(folds)
}

function paramsReader(operation: Operation): (raw: unknown) => Readonly<Record<string, string>> {
  if (operation.params === undefined) return raw => (raw ?? {}) as Record<string, string>
  const validator = compileSchema(operation.params)
  return raw => {
    // Fastify's object of parameters has no prototype, which is as good.
    const params = { ...(raw as Record<string, string>) }
    assertFits(validator, params, 'the path')
    return params
  }
}

function jsonOf(body: Buffer | undefined, depthMax: number): unknown {
  if (body === undefined || body.length === 0) throw serverErrors.create('BODY_MISSING')
  if (!isUtf8(body)) throw serverErrors.create('BODY_NOT_UTF8')
  checkDepth(body, depthMax)
  return parseJson(textOf(body))
}

/** The `params` schema of parameters that are ids. */
export function idParams(...names: readonly string[]): JsonSchema {
  return {
    type: 'object',
    properties: Object.fromEntries(
      names.map(name => [name, { type: 'string', minLength: 1, maxLength: 512 }]),
    ),
    required: names,
    additionalProperties: false,
  }
}
