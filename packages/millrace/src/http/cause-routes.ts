/** What changed between two moments, of a key of a view or of all together, and why. Personal values are masked. */
import { encodePosition, type JsonSchema } from '@millrace/core'
import {
  MOMENT_ERRORS,
  momentIn,
  momentParameter,
  productErrors,
  type RouteAnswer,
  type RouteRequest,
} from '@millrace/product'
import type { Causes, Moment } from '@millrace/streams'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { createRowMask, maskField, type RowMask } from './mask.ts'
import type { Operation } from './operation.ts'
import { foldOfView } from './rebuild-routes.ts'

const number = { type: 'number' }
const anyValue = (description: string): JsonSchema => ({ description: `${description}; absent for none.` }) // prettier-ignore

const fieldsSchema: JsonSchema = {
  type: 'array',
  description: 'Fields that are not the same, or that causes moved there and back.',
  items: {
    type: 'object',
    required: ['field'],
    properties: {
      field: { type: 'string', description: 'Empty for a value that has no fields.' },
      before: anyValue('The value at the first moment'),
      after: anyValue('The value at the second'),
      difference: { ...number, description: 'Of a number.' },
      together: { ...number, description: 'What of the difference no single cause explains.' },
    },
  },
}

const causesSchema: JsonSchema = {
  type: 'array',
  description: 'The largest share first.',
  items: {
    type: 'object',
    required: ['kind', 'name', 'effects'],
    properties: {
      kind: { type: 'string', enum: ['traffic', 'changeset', 'merge', 'definition', 'rows', 'time'] }, // prettier-ignore
      name: { type: 'string', description: 'A type of events, a changeset, two versions.' },
      records: { type: 'integer', description: 'Records that it is about.' },
      by: { type: 'string' },
      reason: { type: 'string' },
      effects: {
        type: 'array',
        items: {
          type: 'object',
          required: ['field'],
          properties: {
            field: { type: 'string' },
            without: anyValue('As it would be without the cause'),
            with: anyValue('As it is with it'),
            amount: { ...number, description: 'The second less the first.' },
          },
        },
      },
    },
  },
}

const responseSchema: JsonSchema = {
  type: 'object',
  required: ['view', 'from', 'to', 'fields', 'causes', 'unmeasured', 'isParked'],
  properties: {
    view: { type: 'string' },
    key: { type: 'string' },
    from: { type: 'string', description: 'The first moment, as a position.' },
    to: { type: 'string', description: 'The second moment, as a position.' },
    fields: fieldsSchema,
    causes: causesSchema,
    unmeasured: {
      type: 'array',
      items: { type: 'string' },
      description: 'What changed and could not be taken away, and why.',
    },
    keys: {
      type: 'array',
      description: 'Of all keys, those that changed most.',
      items: {
        type: 'object',
        required: ['key', 'before', 'after'],
        properties: { key: { type: 'string' }, before: number, after: number },
      },
    },
    rate: {
      type: 'object',
      required: ['of', 'per', 'before', 'after', 'mix', 'rate'],
      properties: {
        of: { type: 'string' },
        per: { type: 'string' },
        before: { type: ['number', 'null'] },
        after: { type: ['number', 'null'] },
        mix: { ...number, description: 'What of the change came from other shares of the keys.' },
        rate: { ...number, description: 'What of it came from other quotients of the keys.' },
      },
    },
    isParked: { type: 'boolean', description: 'True when a key waited for a repair.' },
  },
}

const moments = {
  from: momentParameter('The first moment'),
  to: momentParameter('The second moment; default: now'),
}
const errors = ['VIEW_UNKNOWN', 'REPLAY_INVALID', ...MOMENT_ERRORS]

/** The operations that tell what changed, and why. */
export function causeOperations(context: ServerContext): readonly Operation[] {
  const mask = createRowMask(context.app)
  const common = { method: 'GET' as const, scope: 'admin' as const, tag: 'views', response: responseSchema } // prettier-ignore
  const foldsOf = (params: RouteRequest['params']): readonly string[] => [foldOfView(context, params).fold] // prettier-ignore
  return [
    {
      ...common,
      path: '/v1/causes/:view/:key',
      operation: 'explainChange',
      summary: 'What changed the value of a key between two moments, and why',
      description:
        'Each cause - events by type, a changeset, a merge, another version of the view, rows that it joins, the passing of time - with what its removal would have made of the value: the events of the key are folded once more without it.',
      params: idParams('view', 'key'),
      query: { type: 'object', required: ['from'], properties: moments },
      foldsOf,
      errors,
      handle: request => explainChange(context, mask, request),
    },
    {
      ...common,
      path: '/v1/causes/:view',
      operation: 'explainMetric',
      summary: 'What changed the sums over all keys of a view between two moments, and why',
      description:
        'The same for all keys together: the numbers of their values are summed. With `of` and `per` their quotient is told too, and how much of its change came from other shares of the keys (mix), and from other quotients of theirs (rate). Above 5,000,000 events it is refused.',
      params: idParams('view'),
      query: {
        type: 'object',
        required: ['from'],
        properties: {
          ...moments,
          of: { type: 'string', description: 'The number above the line of a quotient.' },
          per: { type: 'string', description: 'The number below it.' },
        },
      },
      foldsOf,
      errors: [...errors, 'CAUSES_TOO_LARGE'],
      handle: request => explainChange(context, mask, request),
    },
  ]
}

async function explainChange(
  context: ServerContext,
  mask: RowMask,
  { params, query }: RouteRequest,
): Promise<RouteAnswer> {
  const { view, fold } = foldOfView(context, params)
  const { key } = params
  const { of, per } = query as { readonly of?: string; readonly per?: string }
  if ((of === undefined) !== (per === undefined)) {
    const reason = 'a quotient has both, `of` and `per`'
    throw productErrors.create('REQUEST_INVALID', { name: 'the query', reason })
  }
  const causes = await context.streams.past.causes({
    fold,
    from: momentIn(query, 'from') as Moment,
    to: momentIn(query, 'to') ?? { timeMs: context.clock.nowMs() },
    ...(key === undefined ? {} : { key }),
    ...(of === undefined || per === undefined ? {} : { rate: { of, per } }),
  })
  return { body: { view, ...(key === undefined ? {} : { key }), ...masked(causes, fold, mask) } }
}

function masked(
  { from, to, fields, causes, ...rest }: Causes,
  fold: string,
  mask: RowMask,
): Readonly<Record<string, unknown>> {
  const hide = <T extends { readonly field: string }>(
    each: T,
    names: readonly string[],
  ): Record<string, unknown> => {
    const hidden = Object.entries(each).map(([name, value]) => [
      name,
      names.includes(name) ? maskField(mask, { fold, field: each.field }, value) : value,
    ])
    return Object.fromEntries(hidden) as Record<string, unknown>
  }
  return {
    from: encodePosition(from),
    to: encodePosition(to),
    fields: fields.map(field => hide(field, ['before', 'after'])),
    causes: causes.map(cause => ({
      ...cause,
      effects: cause.effects.map(effect => hide(effect, ['without', 'with'])),
    })),
    ...rest,
  }
}
