/** The contract of the streams runtime. */
import type { Position } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { Amendment } from './amendments.ts'
import type { Branches } from './branches/contract.ts'
import type { CorrectionControl } from './corrections/control.ts'
import type { FoldDefinition, FoldShard, ParkedInfo } from './fold.ts'
import type { Identities } from './identity/control.ts'
import type { Past } from './past/past.ts'
import type { Replayed, ReplayRequest } from './rebuilds/replay.ts'
import type { Rebuilds } from './rebuilds/contract.ts'
import type { LoopStatus } from './stalls.ts'

/** One fold, running. */
export interface FoldHandle<Shard extends FoldShard = FoldShard> {
  readonly definition: FoldDefinition<Shard>
  /** The live shards by partition. Reads see whole steps; the state may be newer than `position` was a moment ago. */
  shards(): readonly Shard[]
  /** The shard that a key belongs to. */
  shardOf(key: string): Shard
  /** Consumed end offsets of its source partitions. */
  position(): Position
  /** Consumed end offset of one of them: what its shard reflects now. */
  consumed(partition: number): number
  /** How many records of corrections all of its shards reflect. */
  corrected(): number
  /** False while keys wait to be folded again because of a late version of a table, or of corrections that other partitions reflect: what is read of them is not what the log gives as of `position`. */
  isSettled(): boolean
  /** A counter that grows with every step that changed something: the cache key of derived reads. */
  revision(): number
  parked(): readonly ParkedInfo[]
  /** True while the key waits: an answer that depends on it must say so. */
  isParked(key: string): boolean
  /** Watermark of the partition of a key; -Infinity before its first record. */
  watermarkOf(key: string): number
}

/** How a fold is doing. */
export interface FoldStatus {
  readonly name: string
  readonly version: string
  /** Number of the build that is served: see `rebuilds`. */
  readonly build: number
  readonly generation: number
  /** `catching-up` until it has once reached the end of its source. */
  readonly state: 'catching-up' | 'live' | 'failed'
  /** Why it failed. */
  readonly error?: string
  readonly position: Position
  /** Records of the source that are not folded yet. */
  readonly lag: number
  readonly keys: number
  readonly parkedKeys: number
  /** When the log took the record at which the oldest of them failed; absent while none waits. */
  readonly parkedSinceMs?: number
  readonly counters: Readonly<Record<string, number>>
}

/** The runtime: folds over one log. */
export interface Streams {
  /** A running fold; throws FOLD_UNKNOWN. */
  fold<Shard extends FoldShard = FoldShard>(name: string): FoldHandle<Shard>
  status(): readonly FoldStatus[]
  /** How the loop that folds is doing. */
  loop(): LoopStatus
  /**
   * Resolves when all named folds (all of them by default) have reached `position`, through
   * re-keying hops too: a fold behind a re-keying one has reached P when it consumed everything
   * that was emitted because of records before P. Rejects with POSITION_NOT_REACHED after
   * `timeoutMs` (the details tell which fold is how far).
   */
  reached(request: {
    position: Position
    folds?: readonly string[]
    timeoutMs: number
  }): Promise<void>
  /** Position in terms of the streams that come from outside: what every named fold certainly reflects. */
  reflected(folds?: readonly string[]): Position
  /** Builds the fold's state from the log again, beside the live one: all keys or some; gives canonical bytes to compare, and replaces the live state when `replace` is set. */
  rebuild(request: {
    fold: string
    keys?: readonly string[]
    replace?: boolean
  }): Promise<{ readonly keys: number; readonly different: readonly string[] }>
  /** Reads of one key as of a moment of the past. */
  readonly past: Past
  /** Corrections of events: retracted, held, with other data, and taken back. */
  readonly corrections: CorrectionControl
  /** Branches: what the folds would say if other things had happened. */
  readonly branches: Branches
  /** Which ids of people are one person. */
  readonly identities: Identities
  /** Rebuilds of declared views beside the live ones, and the switch to them. */
  readonly rebuilds: Rebuilds
  /** Folds a range of a fold's source into a fresh state, beside the live one. Throws REPLAY_INVALID. */
  replay(request: ReplayRequest): Promise<Replayed>
  /** Tries a parked key again from where it stopped, with the keys that wait with it; true when it is released. A key that fails again waits from there on. */
  retry(request: { fold: string; key: string }): Promise<boolean>
  /** The records that wait for a parked key, in log order, from offset `from` on. Throws KEY_NOT_PARKED. */
  waiting(request: {
    fold: string
    key: string
    from?: number
    recordsMax: number
  }): Promise<readonly LogRecord[]>
  /**
   * Decides what this fold does with a record that waits for a parked key (by default the one at
   * which it waits), then tries the key again; true when it is released. The decision is a record of
   * `streams.amendments`: restarts and rebuilds follow it. Throws KEY_NOT_PARKED, AMENDMENT_INVALID.
   */
  amend(request: {
    fold: string
    key: string
    offset?: number
    amendment: Amendment
  }): Promise<boolean>
  /** Calls `listener` after steps changed a fold's state (coalesced per turn of the loop). */
  onChange(fold: string, listener: () => void): () => void
  /** Writes snapshots of all folds now. */
  snapshot(): Promise<void>
  /** Folds what is durable, writes snapshots, stops. */
  close(): Promise<void>
}
