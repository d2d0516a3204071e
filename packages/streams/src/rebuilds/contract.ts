/** The contract of rebuilds. */
import type { Comparison } from './compare.ts'
import type { Build } from './events.ts'

/** How a rebuild is doing. */
export interface RebuildStatus {
  readonly fold: string
  /** The build that is served. */
  readonly live: Build
  /** The one that was served before, to go back to. */
  readonly before?: Build
  /** The one that is made, or was made and waits for a switch. */
  readonly open?: Build
  /**
   * `idle`: nothing is under way, though an open build may wait to be gone on with. `ready`: the
   * open build was compared and may be switched to.
   */
  readonly state: 'idle' | 'building' | 'comparing' | 'ready' | 'switching' | 'failed'
  /** Why it failed. */
  readonly error?: { readonly code?: string; readonly message: string; readonly remedy?: string }
  /** Records of the source that the build has folded, and how many there were at last. */
  readonly folded: number
  readonly total: number
  /** Since the work under way began, in milliseconds. */
  readonly elapsedMs: number
  /** Records that this work folded; those of an earlier attempt do not count. */
  readonly foldedNow: number
  /** Where the process answers that makes the open build, when that is another one. */
  readonly where?: string
  readonly comparison?: Comparison & { readonly different: number; readonly file?: string }
}

/** What a rebuild may do by itself. */
export interface RebuildRequest {
  readonly fold: string
  /** Compares, and waits for `switch`. */
  readonly isDryRun?: boolean
  /** Rows that may differ, for it to be switched to. Default 0 where the version stays; where it changes it must be said. */
  readonly maxDifferences?: number
}

/** Rebuilds of the folds of one runtime. */
export interface Rebuilds {
  /** Begins a rebuild, or goes on with one. Throws REBUILD_UNSUPPORTED, REBUILD_RUNNING, REBUILD_LIMIT_MISSING, REBUILD_ELSEWHERE. */
  start(request: RebuildRequest): Promise<RebuildStatus>
  /** Throws FOLD_UNKNOWN. */
  status(fold: string): RebuildStatus
  /** Resolves when nothing is under way. */
  settled(fold: string): Promise<RebuildStatus>
  /** Switches to the build that was compared. Throws REBUILD_NOT_READY, REBUILD_REFUSED. */
  switch(request: Omit<RebuildRequest, 'isDryRun'>): Promise<RebuildStatus>
  /** Switches to the build that was served before. Throws REBUILD_NOTHING. */
  back(fold: string): Promise<RebuildStatus>
  /** Ends the rebuild and forgets its build; without one, forgets the build that was served before. Throws REBUILD_NOTHING. */
  drop(fold: string): Promise<RebuildStatus>
  /** Ends what is under way; the same calls go on with it in the next process. */
  close(): Promise<void>
}
