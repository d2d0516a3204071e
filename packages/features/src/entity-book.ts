/**
 * The entities of a shard by key, numbered; of a view with pairs, by key and sub-key, bounded within
 * a key: the least recently active sub-key goes first.
 */

/** No entity. */
export const NONE = -1

/** What the book asks of who keeps the state of its entities. */
export interface EntityState {
  /** True while the entity has state that counts. */
  isAlive(entity: number): boolean
  /** Its state is forgotten; its number is used again. */
  clear(entity: number): void
}

/** See the head of the file. */
export class EntityBook {
  readonly #state: EntityState
  /** Sub-keys of a key at most; undefined without pairs: the only sub-key is ''. */
  readonly #pairsMax: number | undefined
  readonly #single = new Map<string, number>()
  /** Sub-keys in the order of their activity, the least recent first. */
  readonly #paired = new Map<string, Map<string, number>>()
  readonly #free: number[] = []
  #count = 0

  constructor(state: EntityState, pairsMax: number | undefined) {
    this.#state = state
    this.#pairsMax = pairsMax
  }

  get size(): number {
    return this.#keyed.size
  }

  /** Numbers of entities are below it. */
  get end(): number {
    return this.#count
  }

  keys(): MapIterator<string> {
    return this.#keyed.keys()
  }

  has(key: string): boolean {
    return this.#keyed.has(key)
  }

  /** Entities of a key with their sub-keys, the least recently active first. */
  of(key: string): readonly (readonly [subKey: string, entity: number])[] {
    if (this.#pairsMax !== undefined) return [...(this.#paired.get(key) ?? [])]
    const entity = this.#single.get(key)
    return entity === undefined ? [] : [['', entity]]
  }

  /** Calls for each of them. */
  forEachOf(key: string, call: (entity: number) => void): void {
    const entity = this.#single.get(key)
    if (entity !== undefined) call(entity)
    else for (const [, paired] of this.#paired.get(key) ?? []) call(paired)
  }

  find(key: string, subKey: string): number {
    const entity =
      this.#pairsMax === undefined ? this.#single.get(key) : this.#paired.get(key)?.get(subKey)
    return entity ?? NONE
  }

  /** The key is kept, if only for what was read of tables. */
  hold(key: string): void {
    if (this.#pairsMax === undefined) this.claim(key, '')
    else if (!this.#paired.has(key)) this.#paired.set(key, new Map<string, number>())
  }

  /** The entity of a key, made where there is none; it becomes the most recently active one. */
  claim(key: string, subKey: string): number {
    if (this.#pairsMax === undefined) {
      const known = this.#single.get(key)
      if (known !== undefined) return known
      const entity = this.#allocate()
      this.#single.set(key, entity)
      return entity
    }
    let entities = this.#paired.get(key)
    if (entities === undefined) this.#paired.set(key, (entities = new Map<string, number>()))
    const known = entities.get(subKey)
    if (known !== undefined) {
      entities.delete(subKey)
      entities.set(subKey, known)
      return known
    }
    this.#makeRoom(entities, this.#pairsMax)
    const entity = this.#allocate()
    entities.set(subKey, entity)
    return entity
  }

  forget(key: string): void {
    for (const [, entity] of this.of(key)) this.#release(entity)
    this.#keyed.delete(key)
  }

  get #keyed(): Map<string, unknown> {
    return this.#pairsMax === undefined ? this.#single : this.#paired
  }

  /** Where there are too many, lets go of sub-keys that say nothing any more, then of the least recently active one. */
  #makeRoom(entities: Map<string, number>, max: number): void {
    if (entities.size < max) return
    for (const [subKey, entity] of entities) {
      if (this.#state.isAlive(entity)) continue
      this.#release(entity)
      entities.delete(subKey)
    }
    const [oldest] = entities
    if (entities.size < max || oldest === undefined) return
    this.#release(oldest[1])
    entities.delete(oldest[0])
  }

  #allocate(): number {
    return this.#free.pop() ?? this.#count++
  }

  #release(entity: number): void {
    this.#state.clear(entity)
    this.#free.push(entity)
  }
}
