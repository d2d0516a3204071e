/** Keys over HTTP: make, list, rotate, revoke. For admins only. */
import type { JsonSchema } from '@millrace/core'
import { productErrors } from '@millrace/product'
import { idParams } from '../bind.ts'
import type { Operation } from '../operation.ts'
import type { KeyBook, MadeKey, NewKey } from './key-book.ts'
import { KEY_SCOPES, type KeyScope } from './key-text.ts'
import { ANY_ORIGIN, type Key } from './key-view.ts'
import type { RateLimit } from './rate-limit.ts'

const ORIGINS_MAX = 32
const ORIGIN_LENGTH_MAX = 256
const BYTE = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const IPV4 = `${BYTE}(\\.${BYTE}){3}`
const PORT =
  '([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])'
const HOST = `([a-z0-9-]+\\.)*[a-z][a-z0-9-]*|${IPV4}|\\[::1\\]`
const ORIGIN_PATTERN = `^(\\*|https?://(${HOST})(:${PORT})?)$`
const RATE_MAX = 1_000_000
const GRACE_S_DEFAULT = 86_400
const GRACE_S_MAX = 90 * 86_400
/** A public key is in the hands of everybody. */
const PUBLIC_LIMIT: RateLimit = { requestsPerSecond: 1000, burst: 2000 }

const moment = (description: string): JsonSchema => ({ type: ['integer', 'null'], description })
const rate: JsonSchema = { type: 'integer', minimum: 1, maximum: RATE_MAX }

const keyProperties: Readonly<Record<string, JsonSchema>> = {
  id: { type: 'string' },
  scope: { type: 'string', enum: KEY_SCOPES },
  name: { type: 'string' },
  origins: { type: 'array', items: { type: 'string' } },
  requestsPerSecond: { type: ['integer', 'null'], description: 'Null: no limit.' },
  burst: { type: ['integer', 'null'] },
  createdMs: { type: 'integer' },
  rotatedMs: moment('When its newest secret was made; null when it has its first.'),
  revokedMs: moment('Null while it is valid.'),
  usedMs: moment('Its last use; null before the first.'),
}
const keySchema: JsonSchema = {
  type: 'object',
  required: ['id', 'scope', 'name', 'origins', 'createdMs'],
  properties: keyProperties,
}
const madeSchema: JsonSchema = {
  type: 'object',
  required: ['key', 'id', 'scope', 'name', 'origins', 'createdMs'],
  properties: {
    key: { type: 'string', description: 'The key itself. It is shown this once.' },
    ...keyProperties,
  },
}

/** The operations on keys. */
export function keyOperations(keys: KeyBook): readonly Operation[] {
  return [
    {
      ...route('POST', '/v1/keys', 'createKey', 'Makes a key'),
      description:
        'The first key ends the time in which everybody on loopback may do everything: make an admin key first.',
      body: newKeySchema,
      bodies: { 'application/json': { oneOf: [publicKeySchema, secretKeySchema] } },
      response: {},
      answers: { 201: { description: 'The key, shown this once.', schema: madeSchema } },
      errors: ['REQUEST_INVALID'],
      async handle({ body }) {
        return { status: 201, body: madeJson(await keys.create(newKeyOf(body))) }
      },
    },
    {
      ...route('GET', '/v1/keys', 'listKeys', 'The keys, without their secrets'),
      response: {
        type: 'object',
        required: ['keys'],
        properties: { keys: { type: 'array', items: keySchema } },
      },
      handle: () => ({ body: { keys: keys.list().map(keyJson) } }),
    },
    {
      ...route('POST', '/v1/keys/:id/rotate', 'rotateKey', 'Gives a key a new secret'),
      description: 'The secrets before it go on for a while, so that callers can be changed over.',
      params: idParams('id'),
      body: {
        type: 'object',
        additionalProperties: false,
        properties: {
          graceSeconds: {
            type: 'integer',
            minimum: 0,
            maximum: GRACE_S_MAX,
            default: GRACE_S_DEFAULT,
            description: 'How long the secrets before it go on.',
          },
        },
      },
      response: madeSchema,
      errors: ['KEY_ID_UNKNOWN', 'KEY_REVOKED'],
      async handle({ params, body }) {
        const { graceSeconds = GRACE_S_DEFAULT } = body as { graceSeconds?: number }
        return { body: madeJson(await keys.rotate(params['id'] as string, graceSeconds * 1000)) }
      },
    },
    {
      ...route('DELETE', '/v1/keys/:id', 'revokeKey', 'Ends a key at once'),
      params: idParams('id'),
      response: keySchema,
      errors: ['KEY_ID_UNKNOWN'],
      async handle({ params }) {
        return { body: keyJson(await keys.revoke(params['id'] as string)) }
      },
    },
  ]
}

type RouteHead = Pick<
  Operation,
  'method' | 'path' | 'operation' | 'summary' | 'tag' | 'scope' | 'isOutsideLog'
>

function route(
  method: Operation['method'],
  path: string,
  operation: string,
  summary: string,
): RouteHead {
  return { method, path, operation, summary, tag: 'keys', scope: 'admin', isOutsideLog: true }
}

const newKeySchema: JsonSchema = {
  type: 'object',
  required: ['scope', 'name'],
  additionalProperties: false,
  properties: {
    scope: {
      type: 'string',
      enum: KEY_SCOPES,
      description:
        'public: sends events, for pages; server: reads and writes the product; admin: everything.',
    },
    name: {
      type: 'string',
      pattern: '^[^\\u0000-\\u001f\\u007f]{1,100}$',
      description: 'Who uses it, for the list and the audit.',
    },
    origins: {
      type: 'array',
      maxItems: ORIGINS_MAX,
      items: { type: 'string', maxLength: ORIGIN_LENGTH_MAX },
      description:
        'Origins of the pages that may use a public key, such as https://shop.example; * for any, and for callers that are no pages.',
    },
    requestsPerSecond: {
      ...rate,
      description: 'Default: 1,000 for a public key, no limit for the others.',
    },
    burst: { ...rate, description: 'Requests at once. Default: twice the requests per second.' },
  },
}

const { origins: originsSchema, ...ownProperties } = newKeySchema['properties'] as Readonly<
  Record<string, JsonSchema>
>
const withBurst = { dependentRequired: { burst: ['requestsPerSecond'] } }
const publicKeySchema: JsonSchema = {
  ...newKeySchema,
  ...withBurst,
  required: ['scope', 'name', 'origins'],
  properties: {
    ...ownProperties,
    scope: { type: 'string', const: 'public' },
    origins: {
      ...originsSchema,
      minItems: 1,
      items: { type: 'string', maxLength: ORIGIN_LENGTH_MAX, pattern: ORIGIN_PATTERN },
    },
  },
}
const secretKeySchema: JsonSchema = {
  ...newKeySchema,
  ...withBurst,
  properties: {
    ...ownProperties,
    scope: { type: 'string', enum: KEY_SCOPES.filter(scope => scope !== 'public') },
    origins: { type: 'array', maxItems: 0 },
  },
}

function newKeyOf(body: unknown): NewKey {
  const { scope, name, requestsPerSecond, burst, ...rest } = body as {
    scope: KeyScope
    name: string
    origins?: readonly string[]
    requestsPerSecond?: number
    burst?: number
  }
  const refuse = (place: string, reason: string): never => {
    throw productErrors.create('REQUEST_INVALID', { name: `the body, /${place}`, reason })
  }
  const { origins: given = [] } = rest
  if (scope === 'public' && given.length === 0) {
    refuse('origins', 'a public key names the origins of the pages that may use it')
  }
  if (scope !== 'public' && given.length > 0) refuse('origins', 'only a public key has origins')
  for (const [index, origin] of given.entries()) {
    if (!isOrigin(origin)) {
      refuse(`origins/${index}`, 'it is no origin such as https://shop.example')
    }
  }
  const origins = [...new Set(given.map(asSent))]
  if (requestsPerSecond === undefined) {
    if (burst !== undefined) refuse('burst', 'it goes with requestsPerSecond')
    return { scope, name, origins, limit: scope === 'public' ? PUBLIC_LIMIT : undefined }
  }
  const limit = { requestsPerSecond, burst: burst ?? 2 * requestsPerSecond }
  return { scope, name, origins, limit }
}

const originPattern = new RegExp(ORIGIN_PATTERN)

function isOrigin(text: string): boolean {
  return text === ANY_ORIGIN || (originPattern.test(text) && URL.canParse(text))
}

/** An origin as browsers send it: without the port that its scheme implies. */
function asSent(origin: string): string {
  return origin === ANY_ORIGIN ? origin : new URL(origin).origin
}

function madeJson({ key, text }: MadeKey): Readonly<Record<string, unknown>> {
  return { key: text, ...keyJson(key) }
}

function keyJson(key: Key): Readonly<Record<string, unknown>> {
  return {
    id: key.id,
    scope: key.scope,
    name: key.name,
    origins: key.origins,
    requestsPerSecond: key.limit?.requestsPerSecond ?? null,
    burst: key.limit?.burst ?? null,
    createdMs: key.createdMs,
    rotatedMs: key.rotatedMs ?? null,
    revokedMs: key.revokedMs ?? null,
    usedMs: key.usedMs ?? null,
  }
}
