/** HTTP operations on changesets. What changes something is an act, and recorded as one. */
import type { JsonSchema } from '@millrace/core'
import type { RouteDefinition, RouteRequest } from '../module.ts'
import type { Changesets, PlanRequest, RunRequest } from './changesets.ts'

const PAGE_MAX = 1000

const id: JsonSchema = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,100}$' }
const params: JsonSchema = { type: 'object', properties: { id }, required: ['id'] }
const hash: JsonSchema = {
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the plan that is meant, as its answers give it',
}
const count: JsonSchema = { type: 'integer', minimum: 0 }
const text: JsonSchema = { type: 'string' }

const changesetProperties: Readonly<Record<string, JsonSchema>> = {
  id: text,
  kind: text,
  title: text,
  state: {
    type: 'string',
    enum: ['planned', 'applying', 'applied', 'undoing', 'undone', 'cancelled'],
  },
  plannedBy: { type: 'string', description: 'who planned it, as the audit names them' },
  plannedMs: { type: 'number' },
  position: { type: 'string', description: 'the position of the log that the plan was made on' },
  hash,
  effects: { ...count, description: 'values that it changes' },
  refused: { ...count, description: 'rows of the request that were refused' },
  unchanged: { ...count, description: 'rows that would change nothing' },
  applied: { ...count, description: 'of the effects, those that hold now' },
  approvals: {
    type: 'array',
    items: {
      type: 'object',
      properties: { actor: text, atMs: { type: 'number' } },
      required: ['actor', 'atMs'],
    },
  },
  approvalsNeeded: count,
  run: {
    type: 'object',
    description: 'the last run: one way through all that is to be written',
    properties: {
      run: count,
      direction: { type: 'string', enum: ['apply', 'undo'] },
      by: text,
      begunMs: { type: 'number' },
      total: count,
      processed: count,
      refused: count,
      isPaused: { type: 'boolean' },
      reason: { type: 'string', description: 'why it paused by itself' },
      isCancelled: { type: 'boolean' },
      hasEnded: { type: 'boolean', description: 'all was looked at, and every view reflects what was written' }, // prettier-ignore
      position: { type: 'string', description: 'once it has ended: a position at which every view reflects it' }, // prettier-ignore
    },
    required: ['run', 'direction', 'by', 'total', 'processed', 'refused', 'hasEnded'],
  },
}
const required = Object.keys(changesetProperties).filter(name => name !== 'run')
/** A changeset. */
export const changesetSchema: JsonSchema = { type: 'object', properties: changesetProperties, required } // prettier-ignore

const entryProperties: Readonly<Record<string, JsonSchema>> = {
  target: { type: 'string', description: 'what is changed, such as `clip/c1`' },
  action: { type: 'string', enum: ['add', 'change', 'remove', 'refused'] },
  before: { description: 'the value that was planned on; personal fields are masked' },
  after: { description: 'the value to be' },
  code: { type: 'string', description: 'why it was not written' },
  reason: text,
}
const sample: JsonSchema = {
  type: 'object',
  properties: entryProperties,
  required: ['target', 'action'],
}
const dryRun: JsonSchema = {
  type: 'object',
  properties: {
    ...changesetProperties,
    adds: count,
    changes: count,
    removes: count,
    fields: { type: 'object', additionalProperties: count, description: 'changed fields, by name' },
    samples: { type: 'array', items: sample },
    consequences: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          what: text,
          count: { type: 'number' },
          before: { type: 'number', description: 'without the changeset' },
          samples: { type: 'array', items: text, description: 'some of what is counted' },
        },
        required: ['what', 'count'],
      },
    },
    moved: {
      type: 'object',
      description: 'values that others changed since the plan',
      properties: { count, targets: { type: 'array', items: text } },
      required: ['count', 'targets'],
    },
    overlaps: { type: 'array', items: text, description: 'changesets under way that change the same' }, // prettier-ignore
  },
  required: [...required, 'adds', 'changes', 'removes', 'samples', 'consequences', 'moved', 'overlaps'], // prettier-ignore
}

/** The body of a run; `more` tells what else may become of values that others changed. */
const runBody = (more: readonly string[], description: string): JsonSchema => ({
  type: 'object',
  properties: {
    hash,
    perSecond: { type: 'integer', minimum: 1, description: 'at most so many values a second' },
    onMoved: { type: 'string', enum: ['refuse', 'skip', ...more], description },
  },
  additionalProperties: false,
})
const MOVED =
  'what to do with values that others changed: begin nothing (the default), or leave them'
const runBodies = {
  apply: runBody([], MOVED),
  undo: runBody(['overwrite'], `${MOVED}, or write over them`),
}
const nothing: JsonSchema = { type: 'object', additionalProperties: false }

const common = { scope: 'admin' as const, response: changesetSchema, folds: [] }
const runErrors = [
  'CHANGESET_UNKNOWN',
  'CHANGE_KIND_UNKNOWN',
  'CHANGESET_STATE',
  'CHANGESET_HASH',
  'CHANGESET_STALE',
  'CHANGESET_OVERLAPS',
  'CHANGESET_UNAPPROVED',
  'CHANGESET_CONTENDED',
]

/** The routes. */
export function changesetRoutes(changesets: Changesets): RouteDefinition[] {
  return [planRoutes, runRoutes, readRoutes, entryRoutes].flatMap(routes => routes(changesets))
}

const actorOf = ({ actor = 'host' }: RouteRequest): string => actor
const idOf = ({ params: { id: name = '' } }: RouteRequest): string => name

function planRoutes(changesets: Changesets): RouteDefinition[] {
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/changesets',
      operation: 'planChangeset',
      summary: 'Plans a changeset: what would change, on the state of now',
      description:
        'Changes nothing. The same request under the same id again gives the same plan while nothing moved. `request` is what the kind takes; for `catalogue`: `{table, do, rows}` or `{table, do, where, set}`; for `corrections`: `{do, rows}` or `{do, query}`.',
      body: {
        type: 'object',
        properties: {
          id: { ...id, description: 'names the changeset; default: a new one' },
          kind: { type: 'string', maxLength: 64, description: '`catalogue`, `corrections`, or one that a module brings' }, // prettier-ignore
          title: { type: 'string', maxLength: 200 },
          request: { description: 'what the kind takes' },
        },
        required: ['kind', 'request'],
        additionalProperties: false,
      },
      errors: [
        'CHANGE_KIND_UNKNOWN',
        'CHANGESET_INVALID',
        'CHANGESET_TAKEN',
        'CHANGESET_CONTENDED',
      ],
      async handle(request) {
        return { body: await changesets.plan(request.body as PlanRequest, actorOf(request)) }
      },
    },
    {
      ...common,
      method: 'POST',
      path: '/v1/changesets/:id/approve',
      operation: 'approveChangeset',
      summary: 'Approves a plan, as a second person',
      description: 'By an admin key that is not that of whoever planned it. It holds for the plan of this hash alone.', // prettier-ignore
      params,
      body: { type: 'object', properties: { hash }, required: ['hash'], additionalProperties: false }, // prettier-ignore
      errors: ['CHANGESET_UNKNOWN', 'CHANGESET_HASH', 'APPROVAL_REFUSED', 'CHANGESET_CONTENDED'],
      async handle(request) {
        const { hash: given } = request.body as { hash: string }
        return { body: await changesets.approve(idOf(request), given, actorOf(request)) }
      },
    },
  ]
}

function runRoutes(changesets: Changesets): RouteDefinition[] {
  const run = (verb: 'apply' | 'undo', summary: string): RouteDefinition => ({
    ...common,
    method: 'POST',
    path: `/v1/changesets/:id/${verb}`,
    operation: `${verb}Changeset`,
    summary,
    description: 'Answers when it has begun; read the changeset to see how far it is.',
    params,
    body: runBodies[verb],
    errors: runErrors,
    async handle(request) {
      const body = request.body as RunRequest
      return { body: await changesets[verb](idOf(request), body, actorOf(request)) }
    },
  })
  const act = (verb: 'pause' | 'resume' | 'cancel', summary: string): RouteDefinition => ({
    ...common,
    method: 'POST',
    path: `/v1/changesets/:id/${verb}`,
    operation: `${verb}Changeset`,
    summary,
    params,
    body: nothing,
    errors: ['CHANGESET_UNKNOWN', 'CHANGESET_STATE', 'CHANGESET_CONTENDED'],
    async handle(request) {
      return { body: await changesets[verb](idOf(request), actorOf(request)) }
    },
  })
  return [
    run('apply', 'Applies a plan, or what of it is not in effect'),
    run('undo', 'Takes back what of a changeset is in effect'),
    act('pause', 'Stops a run until it is resumed'),
    act('resume', 'Goes on with a run that was paused'),
    act('cancel', 'Ends a run where it is; what was written stays until it is undone'),
  ]
}

function readRoutes(changesets: Changesets): RouteDefinition[] {
  return [
    {
      ...common,
      method: 'GET',
      path: '/v1/changesets',
      operation: 'listChangesets',
      summary: 'Lists changesets, the newest first',
      query: {
        type: 'object',
        properties: {
          state: { ...(changesetProperties['state'] as object), description: 'only those' },
          limit: { type: 'integer', minimum: 1, maximum: PAGE_MAX, default: 100 },
        },
      },
      response: {
        type: 'object',
        properties: { changesets: { type: 'array', items: changesetSchema } },
        required: ['changesets'],
      },
      handle({ query }) {
        const { state, limit } = query as { state?: string; limit: number }
        return {
          body: { changesets: changesets.list({ state, limit: Math.min(limit, PAGE_MAX) }) },
        }
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/changesets/:id',
      operation: 'getChangeset',
      summary: 'Reads a changeset, and how far its run is',
      params,
      errors: ['CHANGESET_UNKNOWN'],
      handle: request => ({ body: changesets.show(idOf(request)) }),
    },
  ]
}

function entryRoutes(changesets: Changesets): RouteDefinition[] {
  return [
    {
      ...common,
      method: 'GET',
      path: '/v1/changesets/:id/dry-run',
      operation: 'dryRunChangeset',
      summary: 'What a changeset would change, in counts and samples, and what stands in its way',
      params,
      query: {
        type: 'object',
        properties: { samples: { type: 'integer', minimum: 0, maximum: 100, default: 5, description: 'of each action' } }, // prettier-ignore
      },
      response: dryRun,
      errors: ['CHANGESET_UNKNOWN', 'CHANGE_KIND_UNKNOWN'],
      async handle(request) {
        const { samples } = request.query as { samples: number }
        return { body: await changesets.dryRun(idOf(request), { samples }) }
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/changesets/:id/entries',
      operation: 'listChangesetEntries',
      summary: 'Every value that a changeset changes, with what became of it',
      params,
      query: {
        type: 'object',
        properties: {
          from: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0, description: 'the `next` of the page before' }, // prettier-ignore
          limit: { type: 'integer', minimum: 1, maximum: PAGE_MAX, default: 100 },
        },
      },
      response: {
        type: 'object',
        properties: {
          entries: {
            type: 'array',
            items: {
              type: 'object',
              properties: {
                number: count,
                isApplied: { type: 'boolean', description: 'it is in effect' },
                ...entryProperties,
              },
              required: ['number', 'isApplied', 'target', 'action'],
            },
          },
          next: { ...count, description: 'absent on the last page' },
        },
        required: ['entries'],
      },
      errors: ['CHANGESET_UNKNOWN', 'CHANGE_KIND_UNKNOWN'],
      async handle(request) {
        const { from, limit } = request.query as { from: number; limit: number }
        const most = Math.min(limit, PAGE_MAX)
        const found = await changesets.entries(idOf(request), { from, limit: most + 1 })
        const entries = found.slice(0, most)
        const next = found[most]?.number
        return { body: next === undefined ? { entries } : { entries, next } }
      },
    },
  ]
}
