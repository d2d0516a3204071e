/** The people module: attributes of people, and what the log knows about their interests. */
import type { CompiledTable, Position } from '@millrace/core'
import {
  tableFold,
  tableFoldName,
  type Branch,
  type FoldHandle,
  type Moment,
  type VersionedTable,
} from '@millrace/streams'
import type { Attributes } from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import { defineModule, type ModuleContext, type ProductModule } from '../module.ts'
import {
  PROFILE_FOLD,
  type ProfileShard,
  type ProfileView,
  type Recommendations,
} from '../recommendations/index.ts'
import { TableWriter, type RowPut, type RowsWritten } from '../table-writer.ts'
import { peopleRoutes, personInBranchRoute } from './routes.ts'

/** Recent interactions in a person's view. */
const INTERESTS_MAX = 20
const TIME_MAX = Number.MAX_SAFE_INTEGER

/** What is known about a person. */
export interface PersonView {
  readonly id: string
  /** Other ids that are this person, by merges. */
  readonly aliases?: readonly string[]
  /** Absent when none were put. */
  readonly attributes?: Attributes
  /** How many signals of interest were folded. */
  readonly signals: number
  /** Newest distinct items that the person acted on, newest first. */
  readonly interests: readonly {
    readonly kind: string
    readonly id: string
    readonly title: string
    readonly weight: number
    readonly atMs: number
  }[]
}

/** What was known about a person. */
export interface PastPerson extends PersonView {
  /** The moment as a position of the stream of people. */
  readonly position: Position
}

/** What other modules and the host process may call. */
export interface People {
  /** Undefined for a person of whom nothing is known. Who was merged into another person is that one. */
  get(id: string): PersonView | undefined
  /** What was known of a person at a moment; titles are those of today. Rejects as `streams.past`. */
  getAt(id: string, at: Moment): Promise<PastPerson | undefined>
  /** What would be known of a person in a branch; titles are those of today. Rejects as the branch. */
  getIn(branch: Branch, id: string): Promise<PersonView | undefined>
  put(row: RowPut): Promise<RowsWritten>
  remove(row: Omit<RowPut, 'attributes'>): Promise<RowsWritten>
}

/** The people module. */
export function createPeople(): ProductModule<People> {
  return defineModule<People>({
    name: 'people',
    errors: productErrors,
    uses: ['recommendations'],
    folds: app => (app.tables.has('person') ? [tableFold('person')] : []),
    open(context) {
      const api = createApi(context)
      const folds = [
        PROFILE_FOLD,
        ...(context.app.tables.has('person') ? [tableFoldName('person')] : []),
      ]
      const attributes = context.app.tables.get('person')?.schema
      const routes = [
        ...peopleRoutes(api, { folds, attributes }),
        personInBranchRoute(api, context.streams.branches),
      ]
      return { api, routes, metrics: [] }
    },
  })
}

/** What a table says of an id. */
interface Row {
  readonly attributes?: unknown
  /** Event time of the newest version. */
  readonly newestMs?: number | undefined
}

/** The attributes of a person: their own, and what these lack of the ids that were merged into them, of the newest row that has it. */
function attributesOf(own: Row, merged: readonly Row[]): unknown {
  const rows = merged
    .filter(({ attributes }) => attributes !== undefined)
    .sort((a, b) => (a.newestMs ?? 0) - (b.newestMs ?? 0))
  if (rows.length === 0) return own.attributes
  return Object.assign({}, ...[...rows, own].map(({ attributes }) => attributes))
}

/** Rows of people in a branch. */
async function rowsIn(branch: Branch, ids: readonly string[]): Promise<readonly Row[]> {
  const found: Row[] = []
  for (const key of ids) {
    const request = { fold: tableFoldName('person'), key }
    const { shard } = await branch.state<VersionedTable>(request)
    found.push({ attributes: shard.asOf(key, TIME_MAX), newestMs: shard.newestMs(key) })
  }
  return found
}

function createApi(context: ModuleContext): People {
  const { app, streams } = context
  const declared: CompiledTable | undefined = app.tables.get('person')
  const table = (): CompiledTable => {
    if (declared === undefined) throw productErrors.create('PEOPLE_UNDECLARED')
    return declared
  }
  const recommendations = context.modules.get('recommendations')?.api as Recommendations
  const rows: FoldHandle<VersionedTable> | undefined =
    declared === undefined ? undefined : streams.fold(tableFoldName('person'))
  const writer = new TableWriter(context)
  const { identities } = streams
  const viewOf = (
    id: string,
    attributes: unknown,
    profile: ProfileView,
    aliases = identities.members(id),
  ): PersonView | undefined => {
    return attributes === undefined && profile.signals === 0
      ? undefined
      : {
          id,
          ...(aliases.length === 0 ? {} : { aliases }),
          ...(attributes === undefined ? {} : { attributes: attributes as Attributes }),
          ...profile,
        }
  }
  const rowOf = (id: string): Row => ({
    attributes: rows?.shardOf(id).asOf(id, TIME_MAX),
    newestMs: rows?.shardOf(id).newestMs(id),
  })
  const rowAt = async (id: string, at: Moment): Promise<Row> => {
    if (rows === undefined) return {}
    const request = { fold: tableFoldName('person'), key: id, at }
    const { shard } = await streams.past.state<VersionedTable>(request)
    return { attributes: shard.asOf(id, TIME_MAX), newestMs: shard.newestMs(id) }
  }
  return {
    get(asked) {
      const id = identities.canonical(asked)
      const merged = identities.members(id).map(rowOf)
      const profile = recommendations.profile(id, INTERESTS_MAX)
      return viewOf(id, attributesOf(rowOf(id), merged), profile)
    },
    async getAt(asked, at) {
      const id = identities.canonical(asked)
      const profile = await streams.past.state<ProfileShard>({ fold: PROFILE_FOLD, key: id, at })
      const known = recommendations.profileIn(profile.shard, id, INTERESTS_MAX)
      const merged = await Promise.all(identities.members(id).map(member => rowAt(member, at)))
      const found = viewOf(id, attributesOf(await rowAt(id, at), merged), known)
      return found === undefined ? undefined : { ...found, position: profile.position }
    },
    async getIn(branch, asked) {
      const people = branch.people()
      const id = people.canonical(asked)
      const aliases = people.members(id)
      const profile = await branch.state<ProfileShard>({ fold: PROFILE_FOLD, key: id })
      const known = recommendations.profileIn(profile.shard, id, INTERESTS_MAX)
      const [row = {}, ...merged] = rows === undefined ? [] : await rowsIn(branch, [id, ...aliases])
      return viewOf(id, attributesOf(row, merged), known, aliases)
    },
    put: async row => writer.put(table(), [row]),
    remove: async row => writer.remove(table(), row),
  }
}
