/**
 * Rebuilds of declared views beside the live ones: begun, looked at, switched to, taken back. What
 * is under way goes on when the answer is sent; ask for the status to see it.
 */
import type { JsonSchema } from '@millrace/core'
import { featureFoldName } from '@millrace/features'
import type { RouteAnswer, RouteRequest } from '@millrace/product'
import { viewFoldName, type RebuildStatus } from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import type { Operation } from './operation.ts'

const buildSchema: JsonSchema = {
  type: 'object',
  required: ['build', 'version'],
  properties: {
    build: { type: 'integer', description: '0 is what was there before the first rebuild.' },
    version: { type: 'string', description: 'Version of the view that made it.' },
  },
}

const differenceSchema: JsonSchema = {
  type: 'object',
  required: ['partition', 'key', 'kind'],
  properties: {
    partition: { type: 'integer' },
    key: { type: 'string', description: '`$shared`: what belongs to no key, such as time.' },
    kind: {
      type: 'string',
      enum: ['changed', 'missing', 'extra'],
      description: '`missing`: the live view lacks the row; `extra`: the log knows nothing of it.',
    },
    live: { description: 'The row as it is served; personal values are masked.' },
    built: { description: 'The row as the log gives it.' },
  },
}

const comparisonSchema: JsonSchema = {
  type: 'object',
  required: ['build', 'keys', 'different', 'changed', 'missing', 'extra', 'samples'],
  properties: {
    build: { type: 'integer' },
    keys: { type: 'integer', description: 'Rows compared.' },
    different: { type: 'integer' },
    changed: { type: 'integer' },
    missing: { type: 'integer' },
    extra: { type: 'integer' },
    samples: { type: 'array', items: differenceSchema },
    file: {
      type: 'string',
      description: 'All differences, one JSON object a line; on the server.',
    },
  },
}

const statusSchema: JsonSchema = {
  type: 'object',
  required: ['view', 'live', 'state', 'folded', 'total', 'foldedNow', 'elapsedMs'],
  properties: {
    view: { type: 'string' },
    live: buildSchema,
    before: { ...buildSchema, description: 'The build that was served before, to go back to.' },
    open: { ...buildSchema, description: 'The build that is made, or waits for the switch.' },
    state: {
      type: 'string',
      enum: ['idle', 'building', 'comparing', 'ready', 'switching', 'failed'],
    },
    error: {
      type: 'object',
      required: ['message'],
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        remedy: { type: 'string' },
      },
    },
    folded: { type: 'integer', description: 'Records of the source that the build has folded.' },
    total: { type: 'integer' },
    foldedNow: { type: 'integer', description: 'Of these, since it was begun or gone on with.' },
    elapsedMs: { type: 'integer' },
    comparison: comparisonSchema,
    where: {
      type: 'string',
      description: 'Where the process answers that makes the open build, when it is another one.',
    },
  },
}

const maxDifferences: JsonSchema = {
  type: 'integer',
  minimum: 0,
  description:
    'Rows that may differ. Default 0 where the version of the view stays; where it changes it must be said.',
}

const common = {
  scope: 'admin' as const,
  tag: 'rebuilds',
  isOutsideLog: true,
  params: idParams('view'),
  response: statusSchema,
}
const refusals = [
  'VIEW_UNKNOWN',
  'REBUILD_RUNNING',
  'REBUILD_UNSUPPORTED',
  'REBUILD_THREAD_FAILED',
  'REBUILD_OUTDATED',
  'REBUILD_SHARED',
  'REBUILD_ELSEWHERE',
]

/** The operations on rebuilds. */
export function rebuildOperations(context: ServerContext): readonly Operation[] {
  const { rebuilds } = context.streams
  return [
    {
      ...common,
      method: 'GET',
      path: '/v1/rebuilds/:view',
      operation: 'readRebuild',
      summary: 'The builds of a view, and how a rebuild is doing',
      errors: ['VIEW_UNKNOWN'],
      handle: ({ params }) => answer(context, params, fold => rebuilds.status(fold)),
    },
    {
      ...common,
      method: 'POST',
      path: '/v1/rebuilds/:view',
      operation: 'startRebuild',
      summary: 'Builds a view from the log beside the live one, compares, and switches to it',
      description:
        'Answers when it has begun. A build that was interrupted is gone on with. With `isDryRun` it is compared and waits for the switch.',
      body: {
        type: 'object',
        properties: { isDryRun: { type: 'boolean' }, maxDifferences },
        additionalProperties: false,
      },
      errors: [...refusals, 'REBUILD_LIMIT_MISSING'],
      handle: ({ params, body }) =>
        answer(context, params, fold => rebuilds.start({ ...(body as object), fold })),
    },
    ...decidingOperations(context),
  ]
}

function decidingOperations(context: ServerContext): readonly Operation[] {
  const { rebuilds } = context.streams
  const nothing: JsonSchema = { type: 'object', additionalProperties: false }
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/rebuilds/:view/switch',
      operation: 'switchRebuild',
      summary: 'Serves the build that was compared from one position on',
      body: { type: 'object', properties: { maxDifferences }, additionalProperties: false },
      errors: [...refusals, 'REBUILD_NOT_READY', 'REBUILD_REFUSED', 'REBUILD_LIMIT_MISSING'],
      handle: ({ params, body }) =>
        answer(context, params, fold => rebuilds.switch({ ...(body as object), fold })),
    },
    {
      ...common,
      method: 'POST',
      path: '/v1/rebuilds/:view/back',
      operation: 'undoRebuild',
      summary: 'Serves the build that was served before, brought up to date',
      body: nothing,
      errors: [...refusals, 'REBUILD_NOTHING'],
      handle: ({ params }) => answer(context, params, fold => rebuilds.back(fold)),
    },
    {
      ...common,
      method: 'POST',
      path: '/v1/rebuilds/:view/drop',
      operation: 'dropRebuild',
      summary: 'Ends a rebuild and forgets its build, or the one that was served before',
      body: nothing,
      errors: ['VIEW_UNKNOWN', 'REBUILD_NOTHING', 'REBUILD_ELSEWHERE'],
      handle: ({ params }) => answer(context, params, fold => rebuilds.drop(fold)),
    },
  ]
}

/** The fold of the view, or of the feature view (`feature.<name>`), that a path names; throws VIEW_UNKNOWN. */
export function foldOfView(
  { app }: ServerContext,
  params: RouteRequest['params'],
): { readonly view: string; readonly fold: string } {
  const view = params['view'] as string
  if (Object.hasOwn(app.options.views ?? {}, view)) return { view, fold: viewFoldName(view) }
  const isFeatureView = Object.entries(app.options.features ?? {}).some(
    ([name, { kind }]) => kind === 'feature-view' && featureFoldName(name) === view,
  )
  if (isFeatureView) return { view, fold: view }
  throw serverErrors.create('VIEW_UNKNOWN', { view: view.slice(0, 64) })
}

async function answer(
  context: ServerContext,
  params: RouteRequest['params'],
  act: (fold: string) => RebuildStatus | Promise<RebuildStatus>,
): Promise<RouteAnswer> {
  const { view, fold } = foldOfView(context, params)
  const { fold: _fold, ...status } = await act(fold)
  return { body: { view, ...status } }
}
