/** What changed a key of a view between two moments, one record after the other. Personal values are masked. */
import type { JsonSchema } from '@millrace/core'
import {
  MOMENT_ERRORS,
  momentIn,
  momentParameter,
  type RouteAnswer,
  type RouteRequest,
} from '@millrace/product'
import type { Change } from '@millrace/streams'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { recordJson, recordSchema } from './log-routes.ts'
import { createMask, createRowMask, type Mask, type RowMask } from './mask.ts'
import type { Operation } from './operation.ts'
import { foldOfView } from './rebuild-routes.ts'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 500

const changesSchema: JsonSchema = {
  type: 'object',
  required: ['view', 'key', 'changes', 'isParked'],
  properties: {
    view: { type: 'string' },
    key: { type: 'string' },
    changes: {
      type: 'array',
      description: 'In the order in which they took effect.',
      items: {
        type: 'object',
        required: ['kind', 'before', 'after'],
        properties: {
          kind: {
            type: 'string',
            enum: ['record', 'time'],
            description: 'A record of the key; or time alone: a timer, the end of a window.',
          },
          record: recordSchema,
          watermarkMs: { type: 'integer', description: 'The time that had come.' },
          before: { description: 'The value before; null for none.' },
          after: { description: 'The value after; null for none.' },
        },
      },
    },
    next: { type: 'integer', description: 'Go on `after` this change; absent at the end.' },
    isParked: {
      type: 'boolean',
      description: 'True when the key waited for a repair: what came behind changed nothing.',
    },
  },
}

/** The operations that tell what changed. */
export function changeOperations(context: ServerContext): readonly Operation[] {
  const mask = createMask(context.app, context.schemas)
  const maskRow = createRowMask(context.app)
  return [
    {
      method: 'GET',
      path: '/v1/views/:view/:key/changes',
      operation: 'listChanges',
      scope: 'admin',
      tag: 'views',
      summary: 'What changed the value of a key between two moments',
      description:
        'Each record of the key with the value before and after it, and the changes that time alone made. The history of the key is folded again, as far as the end of the page.',
      params: idParams('view', 'key'),
      query: {
        type: 'object',
        properties: {
          from: momentParameter('Changes since then; default: all'),
          to: momentParameter('Changes until then; default: now'),
          after: {
            type: 'integer',
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description: 'The `next` of the page before.',
          },
          limit: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        },
      },
      foldsOf: params => [foldOfView(context, params).fold],
      response: changesSchema,
      errors: ['VIEW_UNKNOWN', 'REPLAY_INVALID', ...MOMENT_ERRORS],
      handle: request => listChanges(context, { mask, maskRow }, request),
    },
  ]
}

async function listChanges(
  context: ServerContext,
  masks: { readonly mask: Mask; readonly maskRow: RowMask },
  { params, query }: RouteRequest,
): Promise<RouteAnswer> {
  const { view, fold } = foldOfView(context, params)
  const key = params['key'] as string
  const from = momentIn(query, 'from')
  const after = query['after'] as number | undefined
  const { changes, next, isParked } = await context.streams.past.changes({
    fold,
    key,
    to: momentIn(query, 'to') ?? { position: context.streams.reflected([fold]) },
    limit: query['limit'] as number,
    ...(from === undefined ? {} : { from }),
    ...(after === undefined ? {} : { after }),
  })
  const more = next === undefined ? {} : { next }
  const told = changes.map(change => changeJson(change, fold, masks))
  return { body: { view, key, changes: told, ...more, isParked } }
}

function changeJson(
  change: Change,
  fold: string,
  { mask, maskRow }: { readonly mask: Mask; readonly maskRow: RowMask },
): Readonly<Record<string, unknown>> {
  const { kind, before, after } = change
  return {
    kind,
    ...(kind === 'record'
      ? { record: recordJson(change.record, mask) }
      : { watermarkMs: change.watermarkMs }),
    before: maskRow(fold, before) ?? null,
    after: maskRow(fold, after) ?? null,
  }
}
