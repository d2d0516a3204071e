/** What the stages of a request may look at, read when a stage asks: most requests have no such stage. */
import { itemKey, partsOfKey, type Attributes, type ItemIndex } from '../catalogue/index.ts'
import { RECENT_MAX, type Interaction, type ProfileShard } from './profile-shard.ts'
import type { ItemRef, StageContext } from './stages.ts'

/** What a context is made from. */
export interface RequestParts {
  readonly index: ItemIndex
  /** When it was asked, milliseconds since the epoch. */
  readonly nowMs: number
  readonly surface: string
  readonly person: string | undefined
  readonly profile: ProfileShard | undefined
  /** Number of the item that the request is about, -1 without one. */
  readonly itemNumber: number
  readonly size: number
}

/** See the head of the file. */
export class RequestContext implements StageContext {
  readonly #parts: RequestParts
  #history: readonly Interaction[] | undefined

  constructor(parts: RequestParts) {
    this.#parts = parts
  }

  get surface(): string {
    return this.#parts.surface
  }

  get person(): string | undefined {
    return this.#parts.person
  }

  get item(): ItemRef | undefined {
    const { index, itemNumber } = this.#parts
    return itemNumber < 0 ? undefined : partsOfKey(index.space.keyOf(itemNumber))
  }

  get size(): number {
    return this.#parts.size
  }

  get nowMs(): number {
    return this.#parts.nowMs
  }

  history(): readonly Interaction[] {
    const { person, profile } = this.#parts
    this.#history ??= person === undefined ? [] : (profile?.interactions(person, RECENT_MAX) ?? [])
    return this.#history
  }

  attributes({ kind, id }: ItemRef): Attributes | undefined {
    const { index } = this.#parts
    const number = index.space.find(itemKey(kind, id))
    return number < 0 ? undefined : index.attributesOf(number)
  }
}
