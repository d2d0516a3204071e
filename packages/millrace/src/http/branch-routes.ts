/**
 * Branches: what the views would say if other things had happened. Opened, read, compared with the
 * world without the changes, and thrown away; nothing of them is written.
 */
import { Readable } from 'node:stream'
import { encodePosition } from '@millrace/core'
import { momentIn, productErrors, type RouteAnswer, type RouteRequest } from '@millrace/product'
import {
  tableFoldName,
  type AddedEvent,
  type Branch,
  type FieldDifference,
  type FoldDifferences,
  type RequestedCorrection,
  type VersionedTable,
} from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { idParams } from './bind.ts'
import { definitionIn, definitionOf, type DefinitionRequest } from './branch-definition.ts'
import { bodySchema, branchSchema, differencesSchema, viewParameter } from './branch-schemas.ts'
import type { ServerContext } from './context.ts'
import { createRowMask, maskField, type RowMask } from './mask.ts'
import { anyEventReference } from './openapi.ts'
import type { Exchange, Operation } from './operation.ts'
import { foldOfView } from './rebuild-routes.ts'

const SAMPLES_DEFAULT = 20
const SAMPLES_MAX = 1_000

const common = { scope: 'admin' as const, tag: 'branches', isOutsideLog: true }
const asked = ['BRANCH_UNKNOWN', 'BRANCH_TOO_LARGE', 'BRANCH_INVALID', 'MOMENT_GONE', 'MOMENT_UNSUPPORTED'] // prettier-ignore

/** The operations on branches. */
export function branchOperations(context: ServerContext): readonly Operation[] {
  return [...lifeOperations(context), ...readOperations(context)]
}

function branchOf(context: ServerContext, { params }: Pick<RouteRequest, 'params'>): Branch {
  return context.streams.branches.get(params['branch'] as string)
}

function lifeOperations(context: ServerContext): readonly Operation[] {
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/branches',
      operation: 'openBranch',
      summary: 'Opens a branch: the log up to a moment, with changes of its own',
      description:
        'Nothing is written. It says before what reading all that differs would cost, and is refused above its limits. Of more than 128 corrections the cost is estimated from some of them, and `results` are told by `readBranch`.',
      // Its events are checked by the app.
      body: bodySchema({ type: 'object' }),
      bodies: { 'application/json': bodySchema(anyEventReference(context.app)) },
      errors: ['BRANCH_INVALID', 'BRANCH_TOO_LARGE', 'BRANCHES_FULL', 'DEFINITION_FILE_INVALID', 'DEFINITION_FILE_REFUSED', 'KIND_UNKNOWN', 'MOMENT_AHEAD', 'MOMENT_GONE', 'POSITION_INVALID', 'POSITION_NOT_REACHED', 'SETTING_INVALID'], // prettier-ignore
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
        body: { branches: context.streams.branches.list().map(each => shown(context, each)) },
      }),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/branches/:branch',
      operation: 'readBranch',
      summary: 'One branch, with what became of its corrections',
      params: idParams('branch'),
      errors: ['BRANCH_UNKNOWN'],
      response: branchSchema,
      handle: request => answer(context, branchOf(context, request)),
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
        const branch = branchOf(context, request)
        branch.close()
        return { body: { id: branch.id } }
      },
    },
  ]
}

function readOperations(context: ServerContext): readonly Operation[] {
  const mask = createRowMask(context.app)
  return [
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
      handle: request => read(context, branchOf(context, request), request),
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
      handle: request => compare(context, mask, branchOf(context, request), request),
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
      serve: exchange => sendLines(context, mask, branchOf(context, exchange), exchange),
    },
  ]
}

interface ItemEdit {
  readonly kind: string
  readonly id: string
  /** Null: it is removed. */
  readonly attributes: unknown
}

interface OpenBody {
  readonly at?: unknown
  readonly corrections?: readonly {
    readonly id: string
    readonly do?: RequestedCorrection['action']
    readonly data?: unknown
  }[]
  readonly events?: readonly unknown[]
  readonly items?: readonly ItemEdit[]
  readonly identities?: readonly { readonly from: string; readonly into?: string }[]
  readonly definition?: DefinitionRequest
  readonly limits?: { readonly records?: number; readonly bytes?: number }
  readonly idleMs?: number
}

async function open(context: ServerContext, { body, actor }: RouteRequest): Promise<RouteAnswer> {
  const { corrections = [], events = [], items = [], identities = [], limits = {}, idleMs, at, definition } = body as OpenBody // prettier-ignore
  const { records: recordsMax, bytes: bytesMax } = limits
  const moment = momentIn({ at }, 'at')
  const otherwise = definition === undefined ? {} : await definitionIn(context, definition, actor)
  const branch = await context.streams.branches.open({
    ...(moment === undefined ? {} : { at: moment }),
    changes: {
      ...otherwise,
      corrections: corrections.map(({ id, do: action = 'retract', data }) => ({
        id,
        action,
        data,
      })),
      links: identities.map(({ from, into = null }) => ({ from, into })),
      events: [
        ...events.map((event, index) => addedEvent(context, event, index)),
        ...items.map((item, index) => editOf(context, item, index)),
      ],
    },
    limits: {
      ...(recordsMax === undefined ? {} : { recordsMax }),
      ...(bytesMax === undefined ? {} : { bytesMax }),
    },
    ...(idleMs === undefined ? {} : { idleMs }),
  })
  return branch.isSampled ? { body: shown(context, branch) } : await answer(context, branch)
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

/** An item as it is to be, as the event that makes it so. Throws REQUEST_INVALID, KIND_UNKNOWN. */
function editOf(
  { app, clock, streams }: ServerContext,
  { kind, id, attributes }: ItemEdit,
  index: number,
): AddedEvent {
  const table = app.tables.get(kind)
  if (table?.definition.kind !== 'item') {
    const known = (app.options.items ?? []).map(({ name }) => name).join(', ')
    throw productErrors.create('KIND_UNKNOWN', { kind: kind.slice(0, 64), known })
  }
  const [issue] = attributes === null ? [] : table.validator.issues(attributes)
  if (issue !== undefined) {
    const name = `the body, /items/${index}/attributes${issue.path}`
    throw productErrors.create('REQUEST_INVALID', { name, reason: issue.reason })
  }
  // The newest version by event time is the one that counts.
  const newestMs = streams.fold<VersionedTable>(tableFoldName(kind)).shardOf(id).newestMs(id) ?? 0
  return {
    stream: kind,
    type: attributes === null ? `${kind}.removed` : `${kind}.put`,
    key: id,
    eventTimeMs: Math.max(clock.nowMs(), newestMs),
    data: attributes === null ? { id } : { id, attributes },
  }
}

/** A branch with what became of its corrections. */
async function answer(context: ServerContext, branch: Branch): Promise<RouteAnswer> {
  const results = await branch.results()
  const of = (status: string): number => results.filter(each => each.status === status).length
  const refused = results.filter(({ status }) => status === 'refused')
  return {
    body: {
      ...shown(context, branch),
      results: {
        corrected: of('corrected'),
        unchanged: of('unchanged'),
        refused: refused.map(({ id, reason }) => ({ id, reason })),
      },
    },
  }
}

function shown(context: ServerContext, branch: Branch): Readonly<Record<string, unknown>> {
  const { id, position, expiresAtMs, estimate, overlay } = branch
  const expiresInMs = Math.max(0, Math.round(expiresAtMs - context.clock.monotonicMs()))
  const definition = definitionOf(context, branch)
  const told = { id, at: encodePosition(position), expiresInMs, estimate, overlay }
  return definition === undefined ? told : { ...told, definition }
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
  const hidden = Object.entries(values).map(([side, value]) => [
    side,
    maskField(mask, { fold, field }, value),
  ])
  return { view: viewOf(fold), key, field, ...(Object.fromEntries(hidden) as object) }
}
