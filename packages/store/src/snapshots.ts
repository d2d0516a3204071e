/**
 * The contract of the snapshot store: rebuildable state, kept beside the log so that a restart
 * does not fold all of history. Every implementation passes `suite.ts`.
 *
 * Promise: `load` gives a snapshot that was saved completely, or none. A crash at any moment
 * leaves the one before. Nothing here is the only copy of anything: what cannot be read is folded
 * from the log again.
 */

/** What a snapshot says about itself. */
export interface SnapshotMeta {
  /** Version of what wrote it; the reader compares it with its own and folds again when it differs. */
  readonly version: string
  /** The position that the state reflects, and whatever else its owner needs; a JSON value. */
  readonly info: unknown
}

/** A snapshot being read. */
export interface Snapshot {
  readonly meta: SnapshotMeta
  /**
   * The chunks in order, with the borders they were saved with. May be iterated once. Checksums
   * were verified before; if the medium changed since, iteration throws SNAPSHOT_DAMAGED. Start
   * before the next save of the name: a file replaced twice may be gone (DISK_NOT_FOUND).
   */
  readonly chunks: AsyncIterable<Uint8Array>
}

/** Keeps the newest snapshot of each name, and the one before it in case the newest is damaged. */
export interface SnapshotStore {
  /**
   * Replaces the snapshot of `name` atomically; resolves when it is durable. Saves of one name run
   * one after the other. Refuses a chunk of more than `CHUNK_BYTES_MAX` bytes or facts that are not
   * JSON (SNAPSHOT_INVALID), a name that is empty or too long (SNAPSHOT_NAME_INVALID). When
   * `chunks` throws or the disk fails, that error is passed on and the earlier snapshot stays.
   * A chunk must not change until the next one is asked for.
   */
  save(
    name: string,
    meta: SnapshotMeta,
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<void>
  /** The newest readable snapshot of `name`, or undefined when there is none: then fold from the log. */
  load(name: string): Promise<Snapshot | undefined>
  /** The names that have a snapshot, sorted. */
  list(): Promise<readonly string[]>
  /** Removes all snapshots of `name`; harmless when there are none. */
  remove(name: string): Promise<void>
  /** Waits for running saves. Later calls are refused (SNAPSHOT_STORE_CLOSED). */
  close(): Promise<void>
}

/** The most bytes that one chunk may have; what a reader holds in memory at a time. */
export const CHUNK_BYTES_MAX = 64 * 1024 * 1024
/** The longest a snapshot name may be: `a-z`, `0-9`, `-` and `_` count 1, any other byte of its UTF-8 form counts 3. */
export const NAME_LENGTH_MAX = 200
