/** The identity module: which ids of people are one person, merged and taken back. */
import { ID_PATTERN, type JsonSchema, type Position } from '@millrace/core'
import type { Identities } from '@millrace/streams'
import type { Changesets } from '../changesets/index.ts'
import { defineModule, type ProductModule, type RouteDefinition } from '../module.ts'
import { identityCommands } from './commands.ts'
import { identityErrors } from './errors.ts'
import { createIdentitiesKind } from './kind.ts'

/** Who an id is. */
export interface IdentityView {
  readonly id: string
  /** The person that it is: itself, when it is merged into nobody. */
  readonly person: string
  /** Into whom it is merged directly. */
  readonly into?: string
  /** Other ids that are this one. */
  readonly aliases: readonly string[]
  /** What was decided on it, oldest first: into whom it was merged, null for a split. */
  readonly history: readonly (string | null)[]
}

/** What became of a merge or a split. */
export interface IdentityChanged extends IdentityView {
  /** False: it was so already. */
  readonly isChanged: boolean
  readonly position: Position
}

/** Who decides, and why. */
export interface Decided {
  readonly by: string
  /** Default: that it was asked for. */
  readonly reason?: string | undefined
}

/** What other modules and the host process may call. */
export interface Identity {
  /**
   * The events of `from` count as those of `into` from here on, those that came before included;
   * resolves when all views reflect it. Throws MERGE_REFUSED.
   */
  merge(from: string, into: string, decided: Decided): Promise<IdentityChanged>
  /** Takes a merge back: each has what came under its own id. Throws NOT_MERGED. */
  split(id: string, decided: Decided): Promise<IdentityChanged>
  show(id: string): IdentityView
}

/** The identity module. */
export function createIdentity(): ProductModule<Identity> {
  return defineModule<Identity>({
    name: 'identity',
    errors: identityErrors,
    uses: ['changesets'],
    commands: identityCommands,
    open(context) {
      const changesets = context.modules.get('changesets')?.api as Changesets
      changesets.register(createIdentitiesKind(context))
      const isErased = (id: string): boolean => context.privacy?.isErased(id) === true
      const api = createApi(context.streams.identities, isErased)
      return { api, routes: routes(api), metrics: [] }
    },
  })
}

function createApi(identities: Identities, isErased: (id: string) => boolean): Identity {
  const show = (id: string): IdentityView => {
    const into = identities.into(id)
    return {
      id,
      person: identities.canonical(id),
      ...(into === undefined ? {} : { into }),
      aliases: identities.members(id),
      history: identities.history(id).map(each => each ?? null),
    }
  }
  const apply = async (
    from: string,
    into: string | null,
    { by, reason = into === null ? 'it was split' : 'it was merged' }: Decided,
  ): Promise<IdentityChanged> => {
    const { results, position } = await identities.apply({ links: [{ from, into }], reason, by })
    const [result] = results
    if (result?.status === 'refused') {
      throw identityErrors.create('MERGE_REFUSED', { from, into, reason: result.reason })
    }
    return { ...show(from), isChanged: result?.status === 'changed', position }
  }
  return {
    show,
    async merge(from, into, decided) {
      const erased = [from, into].find(isErased)
      if (erased !== undefined) {
        const reason = `${erased} was erased, and who comes back is a new person`
        throw identityErrors.create('MERGE_REFUSED', { from, into, reason })
      }
      const now = identities.into(from)
      if (now !== undefined && now !== into) {
        const reason = `it is merged into ${now}: split it first`
        throw identityErrors.create('MERGE_REFUSED', { from, into, reason })
      }
      return await apply(from, into, decided)
    },
    async split(id, decided) {
      if (identities.into(id) === undefined) throw identityErrors.create('NOT_MERGED', { id })
      return await apply(id, null, decided)
    },
  }
}

const id: JsonSchema = { type: 'string', pattern: ID_PATTERN }
const params: JsonSchema = { type: 'object', properties: { id }, required: ['id'] }
const text: JsonSchema = { type: 'string' }
const reason: JsonSchema = { type: 'string', minLength: 1, maxLength: 500 }

const shown: Readonly<Record<string, JsonSchema>> = {
  id: text,
  person: { ...text, description: 'the person that the id is: itself, when merged into nobody' },
  into: { ...text, description: 'into whom it is merged directly' },
  aliases: { type: 'array', items: text, description: 'other ids that are this one' },
  history: {
    type: 'array',
    items: { type: ['string', 'null'] },
    description: 'into whom it was merged, oldest first; null for a split',
  },
}
const required = ['id', 'person', 'aliases', 'history']
const changed: JsonSchema = {
  type: 'object',
  properties: { ...shown, isChanged: { type: 'boolean', description: 'false: it was so already' } },
  required: [...required, 'isChanged'],
}

function routes(api: Identity): RouteDefinition[] {
  return [
    {
      method: 'POST',
      path: '/v1/people/:id/merge',
      operation: 'mergePerson',
      scope: 'admin',
      summary: 'Merges a person into another one',
      description:
        'What the one did, and will do under that id, counts as done by the other: in every view, feature and recommendation. Answers when all of them reflect it. Nothing is rewritten: a split takes it back without loss.',
      params,
      body: {
        type: 'object',
        properties: { into: { ...id, description: 'who the person is' }, reason },
        required: ['into'],
        additionalProperties: false,
      },
      response: changed,
      folds: [],
      errors: ['MERGE_REFUSED', 'POSITION_NOT_REACHED'],
      async handle({ params: { id: from = '' }, body, actor: by = 'host' }) {
        const { into, reason } = body as { readonly into: string; readonly reason?: string }
        const { position, ...view } = await api.merge(from, into, { by, reason })
        return { body: view, position }
      },
    },
    {
      method: 'POST',
      path: '/v1/people/:id/split',
      operation: 'splitPerson',
      scope: 'admin',
      summary: 'Takes the merge of a person back',
      description:
        'Each has exactly what came under their own id, before the merge and since. Answers when all views reflect it.',
      params,
      body: { type: 'object', properties: { reason }, additionalProperties: false },
      response: changed,
      folds: [],
      errors: ['NOT_MERGED', 'POSITION_NOT_REACHED'],
      async handle({ params: { id: from = '' }, body, actor: by = 'host' }) {
        const { reason } = (body ?? {}) as { readonly reason?: string }
        const { position, ...view } = await api.split(from, { by, reason })
        return { body: view, position }
      },
    },
    {
      method: 'GET',
      path: '/v1/people/:id/identity',
      operation: 'getIdentity',
      scope: 'server',
      summary: 'Says which person an id is, and which ids are this one',
      params,
      response: { type: 'object', properties: shown, required },
      folds: [],
      handle: ({ params: { id: of = '' } }) => ({ body: api.show(of) }),
    },
  ]
}
