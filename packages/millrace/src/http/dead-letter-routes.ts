/**
 * Dead letters: the keys that a fold could not go on with, and what people decide about them. The
 * later events of such a key wait behind the one that failed; all other keys go on.
 */
import type { JsonSchema } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { productErrors, type RouteAnswer, type RouteRequest } from '@millrace/product'
import { viewFoldName, type ParkedInfo } from '@millrace/streams'
import { idParams } from './bind.ts'
import type { ServerContext } from './context.ts'
import { fromParameter, recordJson, recordSchema } from './log-routes.ts'
import { createMask, MASKED, type Mask } from './mask.ts'
import type { Operation } from './operation.ts'

const LIMIT_DEFAULT = 100
const LIMIT_MAX = 1000
/** Keys that still wait are listed in the answer up to this many. */
const WAITING_SHOWN_MAX = 100

const reason: JsonSchema = { type: 'string', minLength: 1, maxLength: 500 }
const offset: JsonSchema = {
  type: 'integer',
  minimum: 0,
  description: 'A record that waits for the key; default: the one at which it waits.',
}

const selection: Readonly<Record<string, JsonSchema>> = {
  fold: { type: 'string', minLength: 1, maxLength: 60, description: 'Only of this fold.' },
  key: { type: 'string', minLength: 1, maxLength: 512, description: 'Only this key.' },
  error: {
    type: 'string',
    minLength: 1,
    maxLength: 500,
    description: 'Only those whose error has this text in it.',
  },
}

const skipSchema: JsonSchema = {
  type: 'object',
  required: ['reason'],
  properties: { ...selection, offset, reason },
  additionalProperties: false,
}

const letterProperties: Readonly<Record<string, JsonSchema>> = {
  fold: { type: 'string' },
  key: { type: 'string' },
  partition: { type: 'integer' },
  offset: { type: 'integer', description: 'The record at which the key waits.' },
  error: { type: 'string' },
  attempts: { type: 'integer' },
  waiting: { type: 'integer', description: 'Records that wait, that one included.' },
  sinceMs: { type: 'integer', description: 'When the log took the first that failed.' },
  version: { type: 'string', description: 'Version of the fold.' },
}
const letterSchema: JsonSchema = {
  type: 'object',
  required: Object.keys(letterProperties),
  properties: letterProperties,
}

const listSchema: JsonSchema = {
  type: 'object',
  required: ['deadLetters', 'total'],
  properties: {
    deadLetters: { type: 'array', items: letterSchema },
    total: { type: 'integer', description: 'All that fit the query.' },
    next: { type: 'string', description: 'Go on `after` this one; absent at the end.' },
  },
}

const showSchema: JsonSchema = {
  type: 'object',
  required: [...Object.keys(letterProperties), 'records', 'next'],
  properties: {
    ...letterProperties,
    records: { type: 'array', items: recordSchema },
    next: {
      type: ['integer', 'null'],
      description: 'The offset to go on `from`; null at the end.',
    },
  },
}

const outcomeSchema: JsonSchema = {
  type: 'object',
  required: ['tried', 'released', 'waiting'],
  properties: {
    tried: { type: 'integer' },
    released: { type: 'integer' },
    waiting: {
      type: 'array',
      description: `Those that failed again, at most ${WAITING_SHOWN_MAX}.`,
      items: letterSchema,
    },
  },
}

type Letter = ParkedInfo & { readonly version: string }

const common = {
  scope: 'admin' as const,
  tag: 'dead letters',
  errors: ['FOLD_UNKNOWN', 'KEY_NOT_PARKED'],
}
const decided = { ...common, errors: [...common.errors, 'AMENDMENT_INVALID'] }

/** The operations on dead letters. */
export function deadLetterOperations(context: ServerContext): readonly Operation[] {
  return [...readingOperations(context), ...decidingOperations(context)]
}

function readingOperations(context: ServerContext): readonly Operation[] {
  const mask = createMask(context.app, context.schemas)
  return [
    {
      ...common,
      method: 'GET',
      path: '/v1/dead-letters',
      operation: 'listDeadLetters',
      summary: 'Keys that wait because a fold failed',
      folds: [],
      query: {
        type: 'object',
        properties: {
          ...selection,
          limit: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
          after: { type: 'string', maxLength: 600, description: 'The `next` of the page before.' },
        },
      },
      response: listSchema,
      handle: request => list(context, request),
    },
    {
      ...common,
      method: 'GET',
      path: '/v1/dead-letters/:fold/:key',
      operation: 'readDeadLetter',
      summary: 'A key that waits, with the records that wait for it',
      folds: [],
      params: idParams('fold', 'key'),
      query: {
        type: 'object',
        properties: {
          from: fromParameter,
          limit: { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: LIMIT_DEFAULT },
        },
      },
      response: showSchema,
      handle: request => show(context, mask, request),
    },
  ]
}

function decidingOperations(context: ServerContext): readonly Operation[] {
  return [
    {
      ...common,
      method: 'POST',
      path: '/v1/dead-letters/retry',
      operation: 'retryDeadLetters',
      summary: 'Tries keys again: one, those of a fold, those of an error, or all',
      body: { type: 'object', properties: selection, additionalProperties: false },
      response: outcomeSchema,
      handle: ({ body }) =>
        decide(context, body as Selection, ({ fold, key }) => context.streams.retry({ fold, key })),
    },
    {
      ...decided,
      method: 'POST',
      path: '/v1/dead-letters/skip',
      operation: 'skipDeadLetters',
      summary: 'Leaves the failing record of keys out of the fold, and tries them again',
      body: skipSchema,
      // The reference says in the schema what `skip` refuses in words.
      bodies: {
        'application/json': { ...skipSchema, dependentRequired: { offset: ['fold', 'key'] } },
      },
      response: outcomeSchema,
      handle: ({ body }) => skip(context, body as Selection & { offset?: number; reason: string }),
    },
    {
      ...decided,
      method: 'POST',
      path: '/v1/dead-letters/:fold/:key/fix',
      operation: 'fixDeadLetter',
      summary: 'Folds other data in place of a record, and tries the key again',
      description:
        'The record keeps what was sent; the fold takes `data` in its place, now, after restarts and in rebuilds. A personal field that is given as it is shown, masked, keeps its value.',
      params: idParams('fold', 'key'),
      body: {
        type: 'object',
        required: ['data', 'reason'],
        properties: { data: { type: 'object' }, offset, reason },
        additionalProperties: false,
      },
      response: outcomeSchema,
      handle: request => fix(context, request),
    },
  ]
}

interface Selection {
  readonly fold?: string
  readonly key?: string
  readonly error?: string
}

function select({ streams }: ServerContext, { fold, key, error }: Selection): readonly Letter[] {
  const handles = fold === undefined ? streams.status().map(({ name }) => name) : [fold]
  return handles
    .map(name => streams.fold(name))
    .flatMap(handle => {
      const { version } = handle.definition
      return handle.parked().map(parked => ({ ...parked, version }))
    })
    .filter(letter => key === undefined || letter.key === key)
    .filter(letter => error === undefined || letter.error.includes(error))
    .sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
}

/** The names of folds have no slash. */
function placeOf({ fold, key }: Letter): string {
  return `${fold}/${key}`
}

function list(context: ServerContext, { query }: RouteRequest): RouteAnswer {
  const letters = select(context, query)
  const after = query['after'] as string | undefined
  const limit = query['limit'] as number
  const rest = after === undefined ? letters : letters.filter(letter => placeOf(letter) > after)
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const next = rest.length > limit && last !== undefined ? { next: placeOf(last) } : {}
  return { body: { deadLetters: page, total: letters.length, ...next } }
}

async function show(
  context: ServerContext,
  mask: Mask,
  { params, query }: RouteRequest,
): Promise<RouteAnswer> {
  const { fold, key } = params as { fold: string; key: string }
  const limit = query['limit'] as number
  const from = query['from'] as number | undefined
  const records = await context.streams.waiting({
    fold,
    key,
    recordsMax: limit + 1,
    ...(from === undefined ? {} : { from }),
  })
  const [letter] = select(context, { fold, key })
  const shown = records.slice(0, limit).map(record => recordJson(record, mask))
  return { body: { ...letter, records: shown, next: records[limit]?.offset ?? null } }
}

async function decide(
  context: ServerContext,
  selected: Selection,
  work: (letter: Letter) => Promise<boolean>,
): Promise<RouteAnswer> {
  const letters = select(context, selected)
  if (letters.length === 0 && selected.fold !== undefined && selected.key !== undefined) {
    // Says that it does not wait.
    await context.streams.waiting({ fold: selected.fold, key: selected.key, recordsMax: 0 })
  }
  const waiting: Letter[] = []
  let released = 0
  for (const letter of letters) {
    // An earlier one of the list may have taken it along.
    const isParked = context.streams.fold(letter.fold).isParked(letter.key)
    if (!isParked || (await work(letter))) released += 1
    else waiting.push(...select(context, { fold: letter.fold, key: letter.key }))
  }
  const shown = waiting.slice(0, WAITING_SHOWN_MAX)
  return { body: { tried: letters.length, released, waiting: shown } }
}

async function skip(
  context: ServerContext,
  request: Selection & { readonly offset?: number; readonly reason: string },
): Promise<RouteAnswer> {
  const { offset: at, reason: why, ...selected } = request
  if (at !== undefined && (selected.fold === undefined || selected.key === undefined)) {
    throw invalid('/offset', 'it needs a fold and a key beside it')
  }
  const chosen = at === undefined ? {} : { offset: at }
  const amendment = { kind: 'skip', reason: why } as const
  return await decide(context, selected, ({ fold, key }) =>
    context.streams.amend({ fold, key, amendment, ...chosen }),
  )
}

async function fix(context: ServerContext, { params, body }: RouteRequest): Promise<RouteAnswer> {
  const { fold, key } = params as { fold: string; key: string }
  const {
    data,
    offset: at,
    reason: why,
  } = body as {
    readonly data: Readonly<Record<string, unknown>>
    readonly offset?: number
    readonly reason: string
  }
  const from = at === undefined ? {} : { from: at }
  const [record] = await context.streams.waiting({ fold, key, recordsMax: 1, ...from })
  const fixed = record === undefined ? data : fittingData(context, fold, record, data)
  const amendment = { kind: 'fix', reason: why, data: fixed } as const
  const chosen = at === undefined ? {} : { offset: at }
  return await decide(context, { fold, key }, () =>
    context.streams.amend({ fold, key, amendment, ...chosen }),
  )
}

/** The data as the fold will take it, checked against the definition of its event. */
function fittingData(
  { app }: ServerContext,
  fold: string,
  record: LogRecord,
  data: Readonly<Record<string, unknown>>,
): unknown {
  const declared = app.events.get(record.type)
  if (declared === undefined) {
    throw invalid('/data', `${record.type} is no event of the definition; skip the record`)
  }
  const sent = record.data as Readonly<Record<string, unknown>>
  const fixed: Record<string, unknown> = { ...data }
  for (const [name, { isPersonal }] of Object.entries(declared.definition.fields)) {
    if (isPersonal && fixed[name] === MASKED && name in sent) fixed[name] = sent[name]
  }
  const [issue] = declared.validator.check(fixed) ? [] : declared.validator.issues(fixed)
  if (issue !== undefined) throw invalid(`/data${issue.path}`, issue.reason)
  const views = Object.entries(app.options.views ?? {})
  const view = views.find(([name]) => viewFoldName(name) === fold)?.[1]
  for (const name of new Set([declared.definition.key, view?.key ?? declared.definition.key])) {
    if (fixed[name] === sent[name]) continue
    throw invalid(`/data/${name}`, 'it is the key of the event, which stays; skip the record')
  }
  return fixed
}

function invalid(path: string, why: string): Error {
  return productErrors.create('REQUEST_INVALID', { name: `the body, ${path}`, reason: why })
}
