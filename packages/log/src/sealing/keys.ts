/**
 * The contract of the store of keys: one random key of 32 bytes for each person, and for each thing
 * that is to become unreadable as a whole. It is apart from the log, so that what is kept in the log
 * for ever, and in its backups, can still be made unreadable: by destroying a key. Every
 * implementation passes `suite.ts`.
 *
 * Promise: a key that `ensure` resolved for survives a crash; one that `destroy` resolved for is
 * nowhere in the store any more, not in its files either, and its name never gets another.
 */

/** Bytes of a key: of AES-256. */
export const KEY_BYTES = 32
/** Names of keys of people are their ids, which have no control characters; those of other keys begin with one. */
export const OTHER_KEYS = '\u0001'

/** See the head of the file. Names are 1 to 512 characters. */
export interface KeyStore {
  /** False where `load` has to be asked before `get` is certain: other processes make keys too. */
  readonly isWhole: boolean
  /** The key of a name, from memory; undefined when there is none, or it is not loaded. Not to be kept. */
  get(name: string): Uint8Array | undefined
  /** True when the key of a name was destroyed. */
  isDestroyed(name: string): boolean
  /** Makes keys for those that have none; resolves when they are durable and in memory. Destroyed ones stay without. */
  ensure(names: readonly string[]): Promise<void>
  /** Brings to memory the keys of these names, or that they were destroyed, as the store has it now. */
  load(names: readonly string[]): Promise<void>
  /** Destroys keys, also those that nobody ever made; resolves when that is durable. */
  destroy(names: readonly string[]): Promise<void>
  /** The living names that begin with `prefix`, sorted. */
  list(prefix: string): Promise<readonly string[]>
  /** The names whose keys were destroyed. */
  destroyed(): Iterable<string>
  /** All that it holds, for another store. */
  entries(): Promise<readonly KeyEntry[]>
  /** Takes what another store holds; what was destroyed in either is destroyed. */
  adopt(entries: readonly KeyEntry[]): Promise<void>
  close(): Promise<void>
}

/** A name with its key; without one it was destroyed. */
export interface KeyEntry {
  readonly name: string
  readonly key?: Uint8Array | undefined
}
