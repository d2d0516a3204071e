/**
 * The contract of an object store: whole objects under names, which is all that backups need of a
 * directory, of S3 and of its likes. Every implementation passes `suite.ts`.
 *
 * Promise: what `put` resolved for is read back whole, also after a crash; while it runs, and when
 * it fails, readers see the object before, the new one or none. `list` and `get` see every `put`
 * and `remove` that was done before they were called.
 */
import { logErrors } from '../errors.ts'

/** An object as it is listed. */
export interface StoredObject {
  readonly name: string
  readonly bytes: number
}

/** See the head of the file. Failures are OBJECTS_UNAVAILABLE (a retry can help) or OBJECTS_REFUSED. */
export interface ObjectStore {
  /** Where it is, as people name it; without credentials. */
  readonly place: string
  /** Stores an object, in place of one of that name. */
  put(name: string, bytes: Uint8Array): Promise<void>
  /** The bytes of an object; undefined when there is none. */
  get(name: string): Promise<Uint8Array | undefined>
  /** The objects whose names begin with `prefix` (a folder, ending in `/`), sorted by name. */
  list(prefix: string): AsyncIterable<StoredObject>
  /** Removes an object; harmless when there is none. */
  remove(name: string): Promise<void>
}

/** Refuses what is no name: folders and a file of `a-z`, `0-9`, `.`, `_` and `-`, at most 200 characters. */
export function checkObjectName(name: string): string {
  if (name.length <= 200 && /^([a-z0-9_-]+\/)*[a-z0-9_-][a-z0-9._-]*$/.test(name)) return name
  throw logErrors.create('OBJECT_NAME_INVALID', { name })
}

/** What a store says of a failed call. */
export function unavailable(
  store: Pick<ObjectStore, 'place'>,
  operation: string,
  cause: unknown,
): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return logErrors.create('OBJECTS_UNAVAILABLE', { place: store.place, operation, reason }, cause)
}
