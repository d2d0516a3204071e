/**
 * What is decided about changesets, as records: the log is the only place where they are kept.
 *
 * `product.changesets` has the decisions on a changeset under its id, and how far its runs have come
 * under `<id>~<run>`. `product.changesets.items` has what a plan would change, in chunks under the
 * name of the plan. A decision is appended with the version of its key that it was made on, so that
 * of two that were made at once one is refused; that a run begins is decided under one key for all
 * changesets, so that no two that overlap begin at once.
 */
import type { StreamSpec } from '@millrace/log'

/** The stream of decisions and of results. */
export const CHANGESETS_STREAM = 'product.changesets'
/** The stream of what plans would change. */
export const CHANGESET_ITEMS_STREAM = 'product.changesets.items'
/** The key under which every run begins. */
export const RUNS_KEY = '$runs'

export const changesetStreams: readonly StreamSpec[] = [
  { name: CHANGESETS_STREAM, partitions: 1 },
  { name: CHANGESET_ITEMS_STREAM, partitions: 1 },
]

/** A value that a plan would change, or a row of the request that it refuses. */
export interface Entry {
  /** What is changed: `clip/c1`. Of a refused row, what it names, or its place in the request. */
  readonly target: string
  /** The value that was planned on; absent when there is none. */
  readonly before?: unknown
  /** The value to be; absent when there is to be none. */
  readonly after?: unknown
  /** Present: the row is left out. */
  readonly refused?: Refusal
}

/** Why an entry was not written. */
export interface Refusal {
  readonly code: string
  readonly reason: string
}

/** Some entries of a plan: `chunk` counts from 0, `first` is the number of its first entry. */
export interface Chunk {
  readonly chunk: number
  readonly first: number
  readonly entries: readonly Entry[]
}

/** Whether a run writes what comes after or what was before. */
export type Direction = 'apply' | 'undo'
/** What a run does with values that others changed meanwhile. */
export type OnMoved = 'refuse' | 'skip' | 'overwrite'

/** A plan: what it was asked for and what it came to. */
export interface Plan {
  readonly kind: string
  readonly title: string
  /** The request; absent when it is too long to be kept here. */
  readonly request?: unknown
  /** SHA-256 of the request. */
  readonly requestHash: string
  /** The key of its chunks. */
  readonly plan: string
  /** Token of the position that it was made on. */
  readonly position: string
  /** SHA-256 over all of it. */
  readonly hash: string
  /** The same of what is left of it when everybody is erased; absent in plans of early versions. */
  readonly erasedHash?: string
  readonly chunks: number
  readonly entries: number
  /** Entries that change something. */
  readonly effects: number
  readonly refused: number
  /** Rows that would change nothing; they are no entries. */
  readonly unchanged: number
}

/** A decision on a changeset, by the type of its record without `changeset.`. */
export type Decision =
  | ({ readonly type: 'planned' } & Plan)
  | { readonly type: 'approved'; readonly hash: string }
  | {
      readonly type: 'begun'
      readonly hash: string
      readonly run: number
      readonly direction: Direction
      readonly onMoved: OnMoved
      /** At most so many entries a second; absent: no limit. */
      readonly perSecond?: number
    }
  | { readonly type: 'paused'; readonly run: number; readonly reason?: string }
  | { readonly type: 'resumed'; readonly run: number }
  | { readonly type: 'cancelled' }
  | {
      readonly type: 'ended'
      readonly run: number
      /** Token of a position at which every view reflects it; absent where the kind of change tells none. */
      readonly position?: string
    }

/** Data of a decision's record. */
export type DecisionData = Omit<Decision, 'type'> & {
  readonly changeset: string
  readonly actor: string
}

/** Data of `changeset.progress`: a chunk of a run is done. */
export interface Progress {
  readonly changeset: string
  readonly plan: string
  readonly run: number
  readonly chunk: number
  /** Entries that were written: from, to and without the second. */
  readonly written: readonly (readonly [from: number, end: number])[]
  /** Entries that were not written: number, code, reason. */
  readonly refused: readonly (readonly [entry: number, code: string, reason: string])[]
}
