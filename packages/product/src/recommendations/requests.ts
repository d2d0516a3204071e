/** Requests to surfaces: checked, and prepared for the ranker. The same for an answer and for its repetition. */
import { drawSeedOf } from '@millrace/recommend'
import type { FoldHandle } from '@millrace/streams'
import { itemKey, type ItemIndex } from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import type { CompiledSurface } from './compiled-surface.ts'
import type { ExposedRequest } from './events.ts'
import type { ProfileShard } from './profile-shard.ts'
import type { RankRequest } from './ranker.ts'
import { RequestContext } from './request-context.ts'

const EXCLUDE_MAX = 1_000
const ID_LENGTH_MAX = 256
const UNREAD = [{ path: '', reason: 'the surface reads no features of the context' }]

/** A request to a surface. */
export interface RecommendOptions {
  readonly person?: string | undefined
  /** Number of items; default and maximum are the surface's. */
  readonly n?: number | undefined
  readonly explain?: boolean | undefined
  /** Ids, or `kind/id`, of items that must not appear; at most 1,000. */
  readonly exclude?: readonly string[] | undefined
  /** The item that the person looks at: id, or `kind/id`. */
  readonly item?: string | undefined
  /** What the request tells, by the names of the context features of the surface's service. */
  readonly context?: Readonly<Record<string, unknown>> | undefined
}

/** A request, ready to be answered. */
export interface PreparedRequest extends RankRequest {
  readonly answerId: string
  readonly atMs: number
  /** What an exposure says of it; undefined when it asked for nothing special. */
  readonly asked: ExposedRequest | undefined
}

/** See the head of the file. */
export class Requests {
  readonly #index: ItemIndex
  readonly #profiles: Pick<FoldHandle<ProfileShard>, 'shardOf'>
  readonly #personOf: (id: string) => string

  /** `personOf` gives the person that an id is: default, the id. */
  constructor(ports: {
    readonly index: ItemIndex
    readonly profiles: Pick<FoldHandle<ProfileShard>, 'shardOf'>
    readonly personOf?: (id: string) => string
  }) {
    this.#index = ports.index
    this.#personOf = ports.personOf ?? (id => id)
    this.#profiles = ports.profiles
  }

  /** Prepares a request; throws REQUEST_INVALID. The index must be fresh. */
  prepare(
    surface: CompiledSurface,
    options: RecommendOptions,
    { answerId, atMs }: { readonly answerId: string; readonly atMs: number },
  ): PreparedRequest {
    const { exclude = [] } = options
    const { size } = surface.definition
    const count = options.n ?? size.default
    const refuse = (name: string, reason: string): never => {
      throw productErrors.create('REQUEST_INVALID', { name, reason })
    }
    if (!Number.isInteger(count) || count < 1 || count > size.max) {
      refuse('n', `it is a whole number from 1 to ${size.max}`)
    }
    const asked = options.person
    if (asked !== undefined && (asked === '' || asked.length > ID_LENGTH_MAX)) {
      refuse('person', `an id has 1 to ${ID_LENGTH_MAX} characters`)
    }
    const person = asked === undefined ? undefined : this.#personOf(asked)
    if (exclude.length > EXCLUDE_MAX) refuse('exclude', `at most ${EXCLUDE_MAX} ids`)
    const profile = person === undefined ? undefined : this.#profiles.shardOf(person)
    const row = profile === undefined || person === undefined ? -1 : profile.row(person)
    const item = options.item === undefined ? -1 : (this.#numbersOf(surface, options.item)[0] ?? -1)
    const excluded = exclude.flatMap(id => this.#numbersOf(surface, id))
    const { context: told } = options
    const [issue] =
      told === undefined ? [] : (surface.ranker?.plan.contextValidator.issues(told) ?? UNREAD)
    if (issue !== undefined) refuse(`context${issue.path}`, issue.reason)
    return {
      answerId,
      atMs,
      surface,
      person,
      profile,
      row,
      item,
      size: count,
      exclude: excluded,
      context: new RequestContext({
        index: this.#index,
        nowMs: atMs,
        surface: surface.name,
        person,
        profile,
        itemNumber: item,
        size: count,
      }),
      seed: drawSeedOf(answerId),
      isExplained: options.explain === true,
      told,
      asked:
        options.n === undefined && item < 0 && excluded.length === 0 && told === undefined
          ? undefined
          : this.#asked(options.n, excluded, item, told),
    }
  }

  #asked(
    n: number | undefined,
    exclude: readonly number[],
    item: number,
    told: PreparedRequest['told'],
  ): ExposedRequest {
    const { space } = this.#index
    return {
      ...(n === undefined ? {} : { n }),
      ...(exclude.length === 0 ? {} : { x: exclude.map(number => space.keyOf(number)) }),
      ...(item < 0 ? {} : { i: space.keyOf(item) }),
      ...(told === undefined ? {} : { c: told }),
    }
  }

  /** Numbers of the items that `text` names: `kind/id`, or an id of any kind of the surface. */
  #numbersOf(surface: CompiledSurface, text: string): number[] {
    const numbers: number[] = []
    const { space } = this.#index
    for (const { name } of surface.kinds) {
      const key = text.startsWith(`${name}/`) ? text : itemKey(name, text)
      const number = space.find(key)
      if (number >= 0) numbers.push(number)
    }
    return numbers
  }
}
