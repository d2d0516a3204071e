/**
 * Branches: what the views would say if other things had happened. Opened, read, compared with the
 * world without the changes, and thrown away; nothing of them is written.
 */
import { Readable } from 'node:stream'
import { encodePosition, type JsonSchema } from '@millrace/core'
import {
  momentIn,
  momentParameter,
  productErrors,
  type RouteAnswer,
  type RouteRequest,
} from '@millrace/product'
import type {
  AddedEvent,
  Branch,
  FieldDifference,
  FoldDifferences,
  RequestedCorrection,
} from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { createRowMask, MASKED, type RowMask } from './mask.ts'
import type { Exchange, Operation } from './operation.ts'
import { foldOfView } from './rebuild-routes.ts'

const EVENTS_MAX = 1_000_000
const SAMPLES_DEFAULT = 20
const SAMPLES_MAX = 1_000
const IDLE_MS_MAX = 24 * 3_600_000
const RECORDS_MAX = 1_000_000_000
const BYTES_MAX = 1024 * 1024 * 1024

const verb: JsonSchema = { type: 'string', enum: ['retract', 'hold', 'correct', 'restore'] }

const bodySchema: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    at: momentParameter('Where it leaves the live world; default: now'),
    corrections: {
      type: 'array',
      maxItems: EVENTS_MAX,
      description: 'Events that count otherwise.',
      items: {
        type: 'object',
        required: ['id'],
        additionalProperties: false,
        properties: {
          id: { type: 'string', minLength: 1, maxLength: 128 },
          do: { ...verb, default: 'retract' },
          data: { description: 'With `correct`: what is folded in place of the data.' },
        },
      },
    },
    events: {
      type: 'array',
      maxItems: EVENTS_MAX,
      description:
        'Events that did not happen, as they would be sent, each with its time `at`. They stand behind all others and pass no time.',
      items: { type: 'object' },
    },
    limits: {
      type: 'object',
      additionalProperties: false,
      properties: {
        records: {
          type: 'integer',
          minimum: 1,
          maximum: RECORDS_MAX,
          description: 'Records that one question may fold. Default 5,000,000.',
        },
        bytes: {
          type: 'integer',
          minimum: 1,
          maximum: BYTES_MAX,
          description: 'Memory of what was folded. Default 64 MiB.',
        },
      },
    },
    idleMs: {
      type: 'integer',
      minimum: 1_000,
      maximum: IDLE_MS_MAX,
      description:
        'It is thrown away when nobody asked it anything for so long. Default 15 minutes.',
    },
  },
}

const count: JsonSchema = { type: 'integer' }

const branchSchema: JsonSchema = {
  type: 'object',
  required: ['id', 'at', 'expiresInMs', 'results', 'estimate', 'overlay'],
  properties: {
    id: { type: 'string' },
    at: { type: 'string', description: 'Where it leaves the live world, as a position.' },
    expiresInMs: { type: 'integer' },
    results: {
      type: 'object',
      description: 'What became of the corrections that were asked for.',
      required: ['corrected', 'unchanged', 'refused'],
      properties: {
        corrected: count,
        unchanged: count,
        refused: {
          type: 'array',
          items: {
            type: 'object',
            required: ['id', 'reason'],
            properties: { id: { type: 'string' }, reason: { type: 'string' } },
          },
        },
      },
    },
    estimate: {
      type: 'object',
      description:
        'What reading all that differs would cost, but for what follows from emissions; and fold by fold.',
      required: ['keys', 'records', 'bytes', 'folds'],
      properties: {
        keys: count,
        records: count,
        bytes: count,
        folds: {
          type: 'array',
          items: {
            type: 'object',
            required: ['fold', 'keys', 'records', 'bytes', 'emits'],
            properties: {
              fold: { type: 'string' },
              keys: count,
              records: count,
              bytes: count,
              emits: { type: 'boolean', description: 'What is behind it may differ as well.' },
            },
          },
        },
      },
    },
    overlay: {
      type: 'object',
      description: 'What it has folded and still holds.',
      required: ['keys', 'bytes'],
      properties: { keys: count, bytes: count },
    },
  },
}

const differenceSchema: JsonSchema = {
  type: 'object',
  required: ['view', 'key', 'field'],
  properties: {
    view: { type: 'string' },
    key: { type: 'string' },
    field: { type: 'string', description: 'Empty for the value itself.' },
    before: { description: 'Without the changes; personal values are masked.' },
    after: { description: 'With them.' },
  },
}

const differencesSchema: JsonSchema = {
  type: 'object',
  required: ['views'],
  properties: {
    views: {
      type: 'array',
      items: {
        type: 'object',
        required: ['view', 'keys', 'changed', 'added', 'removed', 'fields', 'samples'],
        properties: {
          view: { type: 'string' },
          keys: { type: 'integer', description: 'Keys that can differ.' },
          changed: count,
          added: count,
          removed: count,
          fields: {
            type: 'object',
            additionalProperties: count,
            description: 'In how many keys each field differs.',
          },
          samples: { type: 'array', items: differenceSchema },
        },
      },
    },
  },
}

const viewParameter: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 64,
  description: 'Only of this view.',
}

const common = { scope: 'admin' as const, tag: 'branches', isOutsideLog: true }
const asked = ['BRANCH_UNKNOWN', 'BRANCH_TOO_LARGE', 'BRANCH_INVALID', 'MOMENT_GONE', 'MOMENT_UNSUPPORTED'] // prettier-ignore

/** The operations on branches. */
export function branchOperations(context: ServerContext): readonly Operation[] {
  const { branches } = context.streams
  const mask = createRowMask(context.app)
  const find = ({ params }: Pick<RouteRequest, 'params'>): Branch =>
    branches.get(params['branch'] as string)
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/branches',
      operation: 'openBranch',
      summary: 'Opens a branch: the log up to a moment, with changes of its own',
      description:
        'Nothing is written. It says before what reading all that differs would cost, and is refused above its limits.',
      body: bodySchema,
      errors: ['BRANCH_INVALID', 'BRANCH_TOO_LARGE', 'BRANCHES_FULL', 'MOMENT_AHEAD', 'MOMENT_GONE', 'POSITION_INVALID', 'POSITION_NOT_REACHED'], // prettier-ignore
      response: branchSchema,
      handle: request => open(context, request),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/branches',
      operation: 'listBranches',
      summary: 'The branches that are open',
      errors: [],
      response: {
        type: 'object',
        required: ['branches'],
        properties: { branches: { type: 'array', items: branchSchema } },
      },
      handle: () => ({
        body: { branches: branches.list().map(branch => shown(context, branch)) },
      }),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/branches/:branch',
      operation: 'readBranch',
      summary: 'One branch',
      params: idParams('branch'),
      errors: ['BRANCH_UNKNOWN'],
      response: branchSchema,
      handle: request => ({ body: shown(context, find(request)) }),
    },
    {
      ...common,
      method: 'DELETE',
      path: '/v1/branches/:branch',
      operation: 'closeBranch',
      summary: 'Throws a branch away',
      params: idParams('branch'),
      errors: ['BRANCH_UNKNOWN'],
      response: { type: 'object', required: ['id'], properties: { id: { type: 'string' } } },
      handle(request) {
        const branch = find(request)
        branch.close()
        return { body: { id: branch.id } }
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/branches/:branch/views/:view/:key',
      operation: 'readBranchView',
      summary: 'The value of a key in a branch',
      params: idParams('branch', 'view', 'key'),
      errors: [...asked, 'VIEW_UNKNOWN'],
      response: {
        type: 'object',
        required: ['view', 'key', 'value', 'isParked', 'watermarkMs'],
        properties: {
          view: { type: 'string' },
          key: { type: 'string' },
          value: { description: 'null when it has nothing.' },
          isParked: { type: 'boolean' },
          watermarkMs: { type: ['integer', 'null'] },
        },
      },
      handle: request => read(context, find(request), request),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/branches/:branch/differences',
      operation: 'compareBranch',
      summary: 'What the changes of a branch change, by view, key and field',
      params: idParams('branch'),
      query: {
        type: 'object',
        properties: {
          view: viewParameter,
          samples: {
            type: 'integer',
            minimum: 0,
            maximum: SAMPLES_MAX,
            default: SAMPLES_DEFAULT,
            description: 'Of each view.',
          },
        },
      },
      errors: [...asked, 'VIEW_UNKNOWN'],
      response: differencesSchema,
      handle: request => compare(context, mask, find(request), request),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/branches/:branch/differences/lines',
      operation: 'exportBranch',
      summary: 'All differences as lines of JSON',
      params: idParams('branch'),
      query: { type: 'object', properties: { view: viewParameter } },
      errors: [...asked, 'VIEW_UNKNOWN'],
      media: { mediaType: 'application/x-ndjson', schema: { type: 'string' } },
      serve: exchange => sendLines(context, mask, find(exchange), exchange),
    },
  ]
}

interface OpenBody {
  readonly at?: unknown
  readonly corrections?: readonly {
    readonly id: string
    readonly do?: RequestedCorrection['action']
    readonly data?: unknown
  }[]
  readonly events?: readonly unknown[]
  readonly limits?: { readonly records?: number; readonly bytes?: number }
  readonly idleMs?: number
}

async function open(context: ServerContext, { body }: RouteRequest): Promise<RouteAnswer> {
  const { corrections = [], events = [], limits = {}, idleMs, at } = body as OpenBody
  const { records: recordsMax, bytes: bytesMax } = limits
  const moment = momentIn({ at }, 'at')
  const branch = await context.streams.branches.open({
    ...(moment === undefined ? {} : { at: moment }),
    changes: {
      corrections: corrections.map(({ id, do: action = 'retract', data }) => ({
        id,
        action,
        data,
      })),
      events: events.map((event, index) => addedEvent(context, event, index)),
    },
    limits: {
      ...(recordsMax === undefined ? {} : { recordsMax }),
      ...(bytesMax === undefined ? {} : { bytesMax }),
    },
    ...(idleMs === undefined ? {} : { idleMs }),
  })
  return { body: shown(context, branch) }
}

/** An event as it would be sent. Throws REQUEST_INVALID. */
function addedEvent({ app, clock }: ServerContext, envelope: unknown, index: number): AddedEvent {
  const admitted = app.admit(envelope)
  if (!admitted.ok) {
    const [issue] = admitted.issues
    const place = `the body, /events/${index}${issue?.path ?? ''}`
    throw productErrors.create('REQUEST_INVALID', {
      name: place,
      reason: issue?.reason ?? 'the definition has no such event',
    })
  }
  const { event, key, id, atMs = clock.nowMs(), data } = admitted
  const { stream, name: type } = event.definition
  return { stream, type, key, eventTimeMs: atMs, data, ...(id === undefined ? {} : { id }) }
}

function shown(
  { clock }: ServerContext,
  { id, position, expiresAtMs, results, estimate, overlay }: Branch,
): Readonly<Record<string, unknown>> {
  const of = (status: string): number => results.filter(each => each.status === status).length
  const refused = results.filter(({ status }) => status === 'refused')
  return {
    id,
    at: encodePosition(position),
    expiresInMs: Math.max(0, Math.round(expiresAtMs - clock.monotonicMs())),
    results: {
      corrected: of('corrected'),
      unchanged: of('unchanged'),
      refused: refused.map(({ id: event, reason }) => ({ id: event, reason })),
    },
    estimate,
    overlay,
  }
}

async function read(
  context: ServerContext,
  branch: Branch,
  { params }: RouteRequest,
): Promise<RouteAnswer> {
  const { view } = foldOfView(context, params)
  const entry = await branch.view(view).get(params['key'] as string)
  const { key, value = null, isParked, watermarkMs } = entry
  const known = Number.isFinite(watermarkMs) ? watermarkMs : null
  return { body: { view, key, value, isParked, watermarkMs: known } }
}

async function compare(
  context: ServerContext,
  mask: RowMask,
  branch: Branch,
  { query }: RouteRequest,
): Promise<RouteAnswer> {
  const samplesMax = query['samples'] as number
  const found = await branch.compare({ ...foldsOf(context, query), samplesMax })
  const views = found.map(({ fold, samples, ...counts }: FoldDifferences) => ({
    view: viewOf(fold),
    ...counts,
    samples: samples.map(each => masked(mask, each)),
  }))
  return { body: { views } }
}

function foldsOf(
  context: ServerContext,
  { view }: Readonly<Record<string, unknown>>,
): { readonly folds?: readonly string[] } {
  if (view === undefined) return {}
  return { folds: [foldOfView(context, { view: view as string }).fold] }
}

/** Sends differences as they are found, no faster than they are read. */
async function sendLines(
  context: ServerContext,
  mask: RowMask,
  branch: Branch,
  { query, reply }: Exchange,
): Promise<void> {
  const folds = foldsOf(context, query)
  let goOn = (): void => undefined
  const body = new Readable({ highWaterMark: 64 * 1024, read: () => goOn() })
  const closed = new Promise<void>(resolve => body.once('close', resolve))
  const onDifference = async (difference: FieldDifference): Promise<void> => {
    // A reader that goes ends it.
    if (body.destroyed) throw serverErrors.create('BODY_INCOMPLETE', { reason: 'nobody reads the answer' }) // prettier-ignore
    if (body.push(`${JSON.stringify(masked(mask, difference))}\n`)) return
    await Promise.race([closed, new Promise<void>(resolve => (goOn = resolve))])
  }
  reply.header('content-type', 'application/x-ndjson')
  void reply.send(body)
  try {
    await branch.compare({ ...folds, onDifference })
    body.push(null)
  } catch (error) {
    body.destroy(error as Error)
  }
  await closed
}

function viewOf(fold: string): string {
  return fold.slice(fold.indexOf('.') + 1)
}

function masked(
  mask: RowMask,
  { fold, key, field, ...values }: FieldDifference,
): Readonly<Record<string, unknown>> {
  const names = field.split(/[.[\]]+/).filter(name => name !== '')
  const isHidden = names.some(name => isMasked(mask, fold, name))
  const hidden = Object.entries(values).map(([side, value]) => [
    side,
    isHidden ? MASKED : mask(fold, value),
  ])
  return { view: viewOf(fold), key, field, ...(Object.fromEntries(hidden) as object) }
}

function isMasked(mask: RowMask, fold: string, name: string): boolean {
  return (mask(fold, { [name]: '' }) as Readonly<Record<string, unknown>>)[name] === MASKED
}
