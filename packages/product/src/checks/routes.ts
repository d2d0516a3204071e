/** HTTP operations on checks. */
import type { JsonSchema } from '@millrace/core'
import type { RouteDefinition } from '../module.ts'
import type { Checks, CheckStatus } from './checks.ts'

const text: JsonSchema = { type: 'string' }
const integer: JsonSchema = { type: 'integer' }
const moment: JsonSchema = {
  type: ['integer', 'null'],
  description: 'milliseconds since the epoch',
}
const state: JsonSchema = { type: 'string', enum: ['ok', 'failing', 'unknown'] }
const object = (properties: Record<string, JsonSchema>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
})
const example = object({ place: text, reason: text })
const examples: JsonSchema = { type: 'array', items: example }
const params = object({ check: { type: 'string', maxLength: 64 } })

const described = {
  name: text,
  of: text,
  field: { type: ['string', 'null'] },
  rule: text,
  severity: { type: 'string', enum: ['warn', 'quarantine', 'refuse'] },
}
const status = {
  ...described,
  description: { type: ['string', 'null'] },
  state,
  found: { ...text, description: 'what was found, in words' },
  fromMs: { ...moment, description: 'from when the window of the verdict is' },
  toMs: moment,
  held: { ...integer, description: 'events that are held because of it' },
  refused: { ...integer, description: 'since the process started' },
  disliked: { ...integer, description: 'taken, and not liked, since the process started' },
}
const held = object({
  id: text,
  type: text,
  stream: text,
  partition: integer,
  offset: integer,
  atMs: integer,
})
const report = object({
  ...described,
  judged: { ...integer, description: 'events, or windows' },
  failed: integer,
  unit: { type: 'string', enum: ['events', 'windows'] },
  state,
  examples,
})

/** What is told of a check. */
function told({
  check,
  state: is,
  found,
  fromMs,
  toMs,
  held: count,
  refused,
  disliked,
}: CheckStatus): unknown {
  // prettier-ignore
  const { name, rule, severity, definition } = check
  const { of, field = null, description = null } = definition
  return { name, of: of.name, field, rule, severity, description, state: is, found, fromMs: fromMs ?? null, toMs: toMs ?? null, held: count, refused, disliked } // prettier-ignore
}

/** The routes of checks. */
export function checkRoutes(checks: Checks): readonly RouteDefinition[] {
  return [
    {
      method: 'GET',
      path: '/v1/checks',
      operation: 'listChecks',
      scope: 'server',
      summary: 'Lists checks with their verdicts',
      response: object({ checks: { type: 'array', items: object(status) } }),
      handle: async () => ({ body: { checks: (await checks.list()).map(told) } }),
    },
    {
      method: 'GET',
      path: '/v1/checks/:check',
      operation: 'getCheck',
      scope: 'server',
      summary:
        'Shows a check with the newest events that it does not like, and those that it holds',
      params,
      response: object({ ...status, examples, heldEvents: { type: 'array', items: held } }),
      errors: ['CHECK_UNKNOWN'],
      async handle({ params: { check = '' } }) {
        const { examples: newest, heldEvents, ...rest } = await checks.show(check)
        const events = heldEvents.map(({ id, type, stream, partition, offset, atMs }) => ({ id, type, stream, partition, offset, atMs })) // prettier-ignore
        return { body: { ...(told(rest) as object), examples: newest, heldEvents: events } }
      },
    },
    {
      method: 'POST',
      path: '/v1/checks/run',
      operation: 'runChecks',
      scope: 'admin',
      summary: 'Runs checks over all events of the log that count',
      body: { type: 'object', properties: { check: text }, additionalProperties: false },
      response: object({ checks: { type: 'array', items: report } }),
      errors: ['CHECK_UNKNOWN'],
      async handle({ body }) {
        const { check } = (body ?? {}) as { readonly check?: string }
        return { body: { checks: await checks.run(check) } }
      },
    },
    {
      method: 'POST',
      path: '/v1/checks/:check/release',
      operation: 'releaseHeldEvents',
      scope: 'admin',
      summary: 'Takes events that a check holds back into the folds',
      description:
        'Those that fit by now, or with `all` the others, too. Each is folded at the place that it has in the log. Answers when all views reflect it.',
      params,
      body: {
        type: 'object',
        properties: { all: { type: 'boolean' }, reason: { type: 'string', minLength: 1, maxLength: 500 } }, // prettier-ignore
        additionalProperties: false,
      },
      response: object({ released: integer, held: { ...integer, description: 'still' } }),
      errors: ['CHECK_UNKNOWN', 'POSITION_NOT_REACHED'],
      async handle({ params: { check = '' }, body, actor: by = 'host' }) {
        const { all = false, reason = 'it was released' } = (body ?? {}) as { readonly all?: boolean; readonly reason?: string } // prettier-ignore
        return { body: await checks.release(check, { isAll: all, by, reason }) }
      },
    },
  ]
}
