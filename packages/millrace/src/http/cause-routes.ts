/** What changed between two moments, of a key of a view or of all together, of an item or of a person, and why. Personal values are masked. */
import { encodePosition, isError, type JsonSchema } from '@millrace/core'
import {
  ITEM_STATS_FOLD,
  itemKey,
  MOMENT_ERRORS,
  momentIn,
  momentParameter,
  productErrors,
  PROFILE_FOLD,
  type ItemStatsShard,
  type ProfileShard,
  type RouteAnswer,
  type RouteRequest,
} from '@millrace/product'
import {
  rankedCauses,
  tableFoldName,
  type Cause,
  type Causes,
  type CausesRequest,
  type FoldShard,
  type Moment,
  type VersionedTable,
} from '@millrace/streams'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { createRowMask, maskField, type RowMask } from './mask.ts'
import type { Operation } from './operation.ts'
import { foldOfView } from './rebuild-routes.ts'

/** Of a person: their newest distinct items. */
const INTERESTS_TOLD = 20

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

const unmeasuredSchema: JsonSchema = {
  type: 'array',
  items: { type: 'string' },
  description: 'What changed and could not be taken away, and why.',
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
    unmeasured: unmeasuredSchema,
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

const partsSchema: JsonSchema = {
  type: 'object',
  required: ['id', 'fields', 'causes', 'unmeasured', 'isParked'],
  properties: {
    kind: { type: 'string' },
    id: { type: 'string' },
    fields: fieldsSchema,
    causes: causesSchema,
    unmeasured: unmeasuredSchema,
    isParked: { type: 'boolean', description: 'True when it waited for a repair.' },
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
    ...thingOperations(context, mask),
  ]
}

/** The same of what is known of a person, and of an item. */
function thingOperations(context: ServerContext, mask: RowMask): readonly Operation[] {
  const things = {
    method: 'GET' as const,
    scope: 'admin' as const,
    query: { type: 'object', required: ['from'], properties: moments },
    response: partsSchema,
    folds: [],
  }
  return [
    {
      ...things,
      path: '/v1/people/:id/causes',
      operation: 'explainPersonChange',
      tag: 'people',
      summary: 'What changed of what is known about a person between two moments, and why',
      description:
        'The attributes, the signals and the interests, as `GET /v1/people/{id}` tells them. An id that was merged is the person that it is now.',
      params: idParams('id'),
      errors: MOMENT_ERRORS,
      handle: request => explainParts(context, mask, request, partsOfPerson(context, request)),
    },
    {
      ...things,
      path: '/v1/items/:kind/:id/causes',
      operation: 'explainItemChange',
      tag: 'catalogue',
      summary: 'What changed of an item between two moments, and why',
      description: 'Its attributes, and how many signals people gave it.',
      params: idParams('kind', 'id'),
      errors: ['KIND_UNKNOWN', ...MOMENT_ERRORS],
      handle: request => explainParts(context, mask, request, partsOfItem(context, request)),
    },
  ]
}

/** A fold that knows something of a person or an item. */
interface Part {
  readonly fold: string
  readonly key: string
  /** Its fields begin with this. */
  readonly prefix: string
  readonly read: (shard: FoldShard, key: string) => unknown
}

function tablePart(kind: string, id: string): Part {
  const read = (shard: FoldShard, key: string): unknown =>
    (shard as VersionedTable).asOf(key, Number.MAX_SAFE_INTEGER)
  return { fold: tableFoldName(kind), key: id, prefix: 'attributes.', read }
}

function partsOfPerson({ app, streams }: ServerContext, { params }: RouteRequest): readonly Part[] {
  const id = streams.identities.canonical(params['id'] as string)
  const read = (shard: FoldShard, key: string): unknown => {
    const profile = shard as ProfileShard
    const interests = profile.interactions(key, INTERESTS_TOLD)
    const byItem = Object.fromEntries(interests.map(({ item, weight }) => [item, weight]))
    return { signals: profile.signalsOf(key), interests: byItem }
  }
  const profile: Part = { fold: PROFILE_FOLD, key: id, prefix: '', read }
  return app.tables.has('person') ? [profile, tablePart('person', id)] : [profile]
}

function partsOfItem({ app }: ServerContext, { params }: RouteRequest): readonly Part[] {
  const { kind = '', id = '' } = params
  const kinds = (app.options.items ?? []).map(({ name }) => name)
  if (!kinds.includes(kind)) {
    const known = kinds.join(', ')
    throw productErrors.create('KIND_UNKNOWN', { kind: kind.slice(0, 64), known })
  }
  const read = (shard: FoldShard, key: string): unknown => {
    return { signals: (shard as ItemStatsShard).countOfKey(key) }
  }
  return [{ fold: ITEM_STATS_FOLD, key: itemKey(kind, id), prefix: '', read }, tablePart(kind, id)]
}

/** What several folds know together: fields of all, and causes with what they did to any of them. */
async function explainParts(
  context: ServerContext,
  mask: RowMask,
  { params, query }: RouteRequest,
  parts: readonly Part[],
): Promise<RouteAnswer> {
  const from = momentIn(query, 'from') as Moment
  const to = momentIn(query, 'to') ?? { timeMs: context.clock.nowMs() }
  const fields: object[] = []
  const causes = new Map<string, Cause>()
  const unmeasured: string[] = []
  let isParked = false
  for (const { fold, key, prefix, read } of parts) {
    const found = await changesOf(context, { fold, key, from, to, read })
    if (found === undefined) continue
    const told = masked(found, fold, mask)
    fields.push(...told.fields.map(each => ({ ...each, field: `${prefix}${each.field}` })))
    for (const cause of told.causes) {
      const name = `${cause.kind} ${cause.name}`
      const known = causes.get(name)
      const effects = cause.effects.map(each => ({ ...each, field: `${prefix}${each.field}` }))
      causes.set(name, { ...cause, ...known, effects: [...(known?.effects ?? []), ...effects] })
    }
    unmeasured.push(...found.unmeasured)
    isParked ||= found.isParked
  }
  return { body: { ...params, fields, causes: rankedCauses([...causes.values()]), unmeasured, isParked } } // prettier-ignore
}

/** Undefined where nothing that the fold reads had arrived. */
async function changesOf(
  { streams }: ServerContext,
  request: CausesRequest,
): Promise<Causes | undefined> {
  try {
    return await streams.past.causes(request)
  } catch (error) {
    if (isError(error, 'MOMENT_EMPTY')) return undefined
    throw error
  }
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
  const positions = { from: encodePosition(causes.from), to: encodePosition(causes.to) }
  const told = { ...causes, ...positions, ...masked(causes, fold, mask) }
  return { body: { view, ...(key === undefined ? {} : { key }), ...told } }
}

function masked(
  { fields, causes }: Pick<Causes, 'fields' | 'causes'>,
  fold: string,
  mask: RowMask,
): Pick<Causes, 'fields' | 'causes'> {
  const hide = <T extends { readonly field: string }>(each: T, names: readonly string[]): T => {
    const hidden = Object.entries(each).map(([name, value]) => [
      name,
      names.includes(name) ? maskField(mask, { fold, field: each.field }, value) : value,
    ])
    return Object.fromEntries(hidden) as T
  }
  return {
    fields: fields.map(field => hide(field, ['before', 'after'])),
    causes: causes.map(cause => ({
      ...cause,
      effects: cause.effects.map(effect => hide(effect, ['without', 'with'])),
    })),
  }
}
