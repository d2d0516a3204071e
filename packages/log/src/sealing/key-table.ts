/** Keys in memory, 32 bytes each beside their names. */
import { KEY_BYTES, type KeyEntry } from './keys.ts'

const SLAB_KEYS = 1024

/** Names with their keys, and names whose keys were destroyed. */
export class KeyTable {
  readonly #places = new Map<string, number>()
  readonly #destroyed = new Set<string>()
  readonly #slabs: Uint8Array[] = []
  /** Places that a destroyed key has left. */
  readonly #free: number[] = []

  get(name: string): Uint8Array | undefined {
    const place = this.#places.get(name)
    return place === undefined ? undefined : this.#slot(place)
  }

  isDestroyed(name: string): boolean {
    return this.#destroyed.has(name)
  }

  /** Names of the living. */
  names(prefix = ''): readonly string[] {
    return [...this.#places.keys()].filter(name => name.startsWith(prefix)).sort()
  }

  destroyed(): Iterable<string> {
    return this.#destroyed
  }

  /** Takes a key, or that it was destroyed, which nothing takes back. */
  add({ name, key }: KeyEntry): void {
    if (key === undefined) this.#destroy(name)
    else if (!this.#destroyed.has(name) && !this.#places.has(name)) {
      const place = this.#free.pop() ?? this.#grow()
      this.#places.set(name, place)
      this.#slot(place).set(key)
    }
  }

  /** All that it holds; the keys are its own memory. */
  *entries(): Generator<KeyEntry> {
    for (const [name, place] of this.#places) yield { name, key: this.#slot(place) }
    for (const name of this.#destroyed) yield { name }
  }

  #destroy(name: string): void {
    const place = this.#places.get(name)
    if (place !== undefined) {
      this.#slot(place).fill(0)
      this.#places.delete(name)
      this.#free.push(place)
    }
    this.#destroyed.add(name)
  }

  #grow(): number {
    const first = this.#slabs.length * SLAB_KEYS
    this.#slabs.push(new Uint8Array(SLAB_KEYS * KEY_BYTES))
    for (let place = first + SLAB_KEYS - 1; place > first; place--) this.#free.push(place)
    return first
  }

  #slot(place: number): Uint8Array {
    const slab = this.#slabs[Math.floor(place / SLAB_KEYS)] as Uint8Array
    const at = (place % SLAB_KEYS) * KEY_BYTES
    return slab.subarray(at, at + KEY_BYTES)
  }
}
