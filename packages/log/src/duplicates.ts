/**
 * The contract of the duplicate index: event id -> place of its record. Exact, with no window,
 * within bounded memory. See docs/adr/0004-deduplication.md.
 */

/** Where the record of an id is. Streams are numbered by the log. */
export interface Place {
  readonly stream: number
  readonly partition: number
  readonly offset: number
}

/**
 * Remembers every id for ever. The log calls `lookup` before an append and `insert` when it gave
 * the event its place (before it is durable); it keeps the two in order. After a crash the log
 * inserts again, in log order, everything after `durableMark()`.
 */
export interface DuplicateIndex {
  /**
   * The place of `id` when the index can answer from memory: a Place (after comparing the stored id
   * itself), or undefined when it is certainly new. 'unsure' when files must be read: then call
   * `lookupSlow`. Never wrong, whatever the hashes do.
   */
  lookup(id: string): Place | undefined | 'unsure'
  /** The same answer, reading files where that is needed. */
  lookupSlow(id: string): Promise<Place | undefined>
  /** Remembers an id that `lookup` did not find. */
  insert(id: string, place: Place): void
  /**
   * Hands everything inserted so far to the background writer under `mark` (the log's unit number
   * that covers them) when the table in memory is full enough, or always with `force`.
   * Backpressure: resolves when memory is within its limit again; with `force`, when all of it is
   * on disk. Rejects with what stopped the writer (DISK_FULL...); nothing is forgotten then, and the
   * next call tries again.
   *
   * `durable` resolves when every event inserted so far is durable in the log; the index writes no
   * id to disk before, because an id that outlived its event in a crash would make the event, sent
   * again, a duplicate of nothing. Leave it out only when all of them are durable already. When it
   * rejects, the index writes nothing more.
   */
  checkpoint(
    mark: number,
    options?: { readonly force?: boolean; readonly durable?: Promise<unknown> },
  ): Promise<void>
  /** Every id inserted under a mark up to this one is on disk; 0 at first. */
  durableMark(): number
  stats(): {
    readonly ids: number
    readonly memoryBytes: number
    readonly diskBytes: number
    readonly runs: number
    readonly slowLookups: number
  }
  close(): Promise<void>
}
