/**
 * Dense integers for items, so that statistics and scores live in typed arrays. The numbers belong
 * to one process: they follow the order in which items are first met, are never reused and never
 * part of state, snapshots or answers.
 */
import type { App } from '@millrace/core'
import { drawSeedOf } from '@millrace/recommend'

/** The key of an item among items of all kinds. A kind holds no slash, so keys do not collide. */
export function itemKey(kind: string, id: string): string {
  return `${kind}/${id}`
}

/** The kind and the id of an item key. */
export function partsOfKey(key: string): { readonly kind: string; readonly id: string } {
  const slash = key.indexOf('/')
  return { kind: key.slice(0, slash), id: key.slice(slash + 1) }
}

/** FNV-1a, finished as in MurmurHash3. State depends on it: stable for ever. */
function hashOfText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** Numbers items by their keys. */
export class ItemSpace {
  readonly #numbers = new Map<string, number>()
  readonly #keys: string[] = []
  readonly #hashes: number[] = []
  #draws = new Int32Array(512)

  /** The number of a key; a new one when it was never met. */
  intern(key: string): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#keys.length
    this.#keys.push(key)
    this.#hashes.push(hashOfText(key))
    this.#setDraws(number, key)
    this.#numbers.set(key, number)
    return number
  }

  /** The number of a key, -1 when it was never met. */
  find(key: string): number {
    return this.#numbers.get(key) ?? -1
  }

  /** The key of a number that `intern` gave. */
  keyOf(number: number): string {
    return this.#keys[number] as string
  }

  /** 32 bits of the key of a number that `intern` gave: unlike the number, the same in every process. */
  hashOf(number: number): number {
    return this.#hashes[number] as number
  }

  /** Two more hashes of the keys, one behind the other, by number: what is drawn from items does not depend on their numbers. */
  get draws(): Int32Array {
    return this.#draws
  }

  #setDraws(number: number, key: string): void {
    const at = number * 2
    if (at >= this.#draws.length) {
      const wider = new Int32Array(at * 2)
      wider.set(this.#draws)
      this.#draws = wider
    }
    const { a, b } = drawSeedOf(key)
    this.#draws[at] = a
    this.#draws[at + 1] = b
  }

  /** Numbers are below this. */
  get size(): number {
    return this.#keys.length
  }
}

const spaces = new WeakMap<App, ItemSpace>()

/**
 * The numbers of an app's items: one space for all folds and modules of an app, so that the rows of
 * one are the columns of the other. Opening one app twice in a process shares it, which is harmless.
 */
export function itemSpaceOf(app: App): ItemSpace {
  const known = spaces.get(app)
  if (known !== undefined) return known
  const space = new ItemSpace()
  spaces.set(app, space)
  return space
}
