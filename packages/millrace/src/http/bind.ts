/** Binds an operation to Fastify: reading, checking, waiting for a position, answering. */
import {
  compileSchema,
  decodePosition,
  encodePosition,
  isError,
  type JsonSchema,
  type Position,
  type Validator,
} from '@millrace/core'
import type { RouteAnswer } from '@millrace/product'
import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serverErrors } from '../errors.ts'
import { checkDepth, parseJson, textOf } from '../ingest/body.ts'
import { isUtf8 } from 'node:buffer'
import type { BodyBudget } from './bodies.ts'
import type { ServerContext } from './context.ts'
import type { HttpMetrics } from './metrics.ts'
import type { Operation } from './operation.ts'
import { toRegistered } from './problems.ts'
import { assertFits, createQueryReader, querySchema, type QueryReader } from './query.ts'
import type { Turns, TurnTask } from './turns.ts'

/** The header that carries the position that an answer reflects. */
export const POSITION_HEADER = 'millrace-position'

/** What binding needs beside the operation. */
export interface Binding {
  readonly context: ServerContext
  readonly budget: BodyBudget
  readonly metrics: HttpMetrics
  readonly turns: Turns
}

/** Registers the operation. */
export function bindOperation(
  fastify: FastifyInstance,
  operation: Operation,
  binding: Binding,
): void {
  const bound = compileOperation(operation, binding)
  fastify.route({
    method: operation.method,
    url: operation.path,
    exposeHeadRoute: operation.serve === undefined,
    config: { scope: operation.scope, operation: operation.operation },
    schema: operation.response === undefined ? {} : { response: { '2xx': operation.response } },
    // Nothing is handed back: what a handler returns is looked at and waited for at every level above.
    handler(request, reply) {
      const answering = new Answering(bound, request, reply)
      if (operation.serve === undefined) binding.turns.add(answering)
      else answering.serve(operation.serve)
    },
  })
}

/** An operation, prepared for answering. */
interface BoundOperation {
  readonly operation: Operation
  readonly binding: Binding
  readonly isReading: boolean
  readonly readQuery: QueryReader
  readonly readParams: (raw: unknown) => Readonly<Record<string, string>>
  readonly bodyValidator: Validator | undefined
  readonly observe: (status: number, durationMs: number) => void
  readonly positionToken: (position: Position) => string
}

function compileOperation(operation: Operation, binding: Binding): BoundOperation {
  const isReading = operation.method === 'GET' && operation.isOutsideLog !== true
  const { body } = operation
  return {
    operation,
    binding,
    isReading,
    readQuery: createQueryReader(querySchema(operation.query, isReading)),
    readParams: paramsReader(operation),
    bodyValidator:
      body === undefined || operation.serve !== undefined ? undefined : compileSchema(body),
    observe: binding.metrics.observerOf(operation.operation),
    positionToken: createTokenCache(),
  }
}

/** One request, from its parameters to its answer. */
class Answering implements TurnTask {
  readonly #bound: BoundOperation
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #startedMs: number
  #answer: RouteAnswer | undefined
  #error: unknown
  #hasRead = false
  #isLater = false

  constructor(bound: BoundOperation, request: FastifyRequest, reply: FastifyReply) {
    this.#bound = bound
    this.#request = request
    this.#reply = reply
    this.#startedMs = bound.binding.context.clock.monotonicMs()
  }

  work(): void {
    try {
      const answer = this.#workOut()
      if (!(answer instanceof Promise)) {
        this.#answer = answer
        return
      }
      this.#isLater = true
      answer.then(
        later => this.#send(later),
        (error: unknown) => this.#refuse(error),
      )
    } catch (error) {
      this.#error = error
    }
  }

  write(): void {
    if (this.#isLater) return
    if (this.#error === undefined) this.#send(this.#answer)
    else this.#refuse(this.#error)
  }

  /** Lets an operation that speaks something else than JSON answer by itself, at once. */
  serve(serve: NonNullable<Operation['serve']>): void {
    const { context } = this.#bound.binding
    const run = async (): Promise<void> => {
      const { params, query, folds } = this.#read()
      if (this.#bound.isReading && query['atLeast'] !== undefined) {
        await waitFor(folds, query, context)
      }
      const body = this.#request.body as Buffer | undefined
      await serve({ request: this.#request, reply: this.#reply, params, query, body })
    }
    run().then(
      () => this.#end(this.#reply.statusCode),
      (error: unknown) => this.#refuse(error),
    )
  }

  #read(): {
    readonly params: Readonly<Record<string, string>>
    readonly query: Readonly<Record<string, unknown>>
    readonly folds: readonly string[] | undefined
  } {
    const { operation, readParams, readQuery } = this.#bound
    const params = readParams(this.#request.params)
    const query = readQuery(this.#request.query)
    const folds = operation.foldsOf?.(params) ?? operation.folds
    this.#hasRead = true
    return { params, query, folds }
  }

  #workOut(): RouteAnswer | Promise<RouteAnswer> | undefined {
    const { operation, isReading, binding, bodyValidator } = this.#bound
    const { params, query, folds } = this.#read()
    const { actor } = this.#request.caller
    let body: unknown
    if (bodyValidator !== undefined) {
      body = jsonOf(this.#request.body as Buffer | undefined, binding.context.limits.depthMax)
      assertFits(bodyValidator, body, 'the body')
    }
    if (!isReading || query['atLeast'] === undefined) {
      return operation.handle?.({ params, query, body, actor })
    }
    return waitFor(folds, query, binding.context).then(
      () => operation.handle?.({ params, query, body, actor }) ?? { body: undefined },
    )
  }

  #send(answer: RouteAnswer | undefined): void {
    const { operation, binding } = this.#bound
    const reply = this.#reply
    try {
      this.#tell(answer?.position ?? this.#positionOf(operation, binding.context))
      reply.code(answer?.status ?? 200)
      if (answer?.bytes === undefined) reply.send(answer?.body)
      else sendBytes(reply, answer.bytes)
    } catch (error) {
      this.#refuse(error)
      return
    }
    this.#end(reply.statusCode)
  }

  #positionOf(operation: Operation, context: ServerContext): Position | undefined {
    if (operation.isOutsideLog === true) return undefined
    const folds =
      operation.foldsOf?.(this.#bound.readParams(this.#request.params)) ?? operation.folds
    // What reads no fold reads the log or the definition: the whole log is a fair answer.
    if (folds === undefined || folds.length === 0) return context.reflected()
    return context.streams.reflected(folds)
  }

  #tell(position: Position | undefined): void {
    if (position === undefined) return
    this.#reply.header(POSITION_HEADER, this.#bound.positionToken(position))
  }

  /** Fastify hands errors, and nothing else, to the handler that makes problem details of them. */
  #refuse(error: unknown): void {
    const { operation, isReading, binding } = this.#bound
    const known = error instanceof Error ? error : toRegistered(error, this.#request.id)
    // That something is not there is said as of a position, too.
    if (isReading && this.#hasRead && isError(error) && error.status === 404) {
      this.#tell(this.#positionOf(operation, binding.context))
    }
    this.#reply.send(known)
    this.#end(isError(error) ? error.status : 500)
  }

  #end(status: number): void {
    const { binding, observe } = this.#bound
    const body = this.#request.body as Buffer | undefined
    if (body !== undefined) binding.budget.release(body.length)
    observe(status, binding.context.clock.monotonicMs() - this.#startedMs)
  }
}

/**
 * Sends JSON (`RouteAnswer.bytes`) past Fastify, which would take the text for UTF-8. Node writes text
 * together with the head; a buffer behind it costs a fifth of a bare request more.
 */
function sendBytes(reply: FastifyReply, bytes: string): void {
  reply.header('content-type', 'application/json; charset=utf-8')
  reply.header('content-length', bytes.length)
  reply.hijack()
  reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders)
  reply.raw.end(bytes, 'latin1')
}

/** Encodes positions; answers in a row often give the same one. */
export function createTokenCache(): (position: Position) => string {
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
