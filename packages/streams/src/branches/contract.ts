/**
 * Branches: what the folds would say if other things had happened, or if they were other folds.
 *
 * Promise: a branch is the log up to a position with changes of its own. It reads the live state
 * where that is still what it was at the position and no change touches it; a key that differs is
 * folded when it is asked for, and kept in an overlay of bounded size. Nothing of it reaches the log
 * or the live state, and nothing that happens later reaches it (docs/adr/0019-branches.md).
 */
import type { App, Position } from '@millrace/core'
import type { CorrectionResult, RequestedCorrection } from '../corrections/control.ts'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import type { IdentityLink } from '../identity/contract.ts'
import type { Moment } from '../past/moment.ts'
import type { FoldHandle } from '../streams.ts'
import type { ViewValue } from '../views/reader.ts'

/** An event that did not happen. It stands at the end of its partition, at the time of that: it passes no time, and it is history, so that it is never late. */
export interface AddedEvent {
  /** A stream of events from outside. */
  readonly stream: string
  readonly type: string
  readonly key: string
  /** One that the log does not know. Default: derived from the rest. */
  readonly id?: string
  readonly eventTimeMs: number
  readonly data: unknown
}

/** What is otherwise in a branch. */
export interface BranchChanges {
  readonly corrections?: readonly RequestedCorrection[]
  readonly events?: readonly AddedEvent[]
  /** Merges and splits of people, in their order. */
  readonly links?: readonly IdentityLink[]
  /** Folds with other code, in place of those that have their names: of the same source and targets. */
  readonly definitions?: readonly FoldDefinition[]
  /** The definition that these are of: what else answers in the branch, such as surfaces, answers by it. */
  readonly app?: App
}

/** What a branch may cost. */
export interface BranchLimits {
  /** Records that a read, or a comparison, may fold. Default 5,000,000. */
  readonly recordsMax: number
  /** Bytes of the overlay; what was not asked for longest is forgotten, and folded anew when it is. Default 64 MiB. */
  readonly bytesMax: number
}

/** What is asked for. */
export interface BranchRequest {
  /** Default: now. */
  readonly at?: Moment
  readonly changes: BranchChanges
  readonly limits?: Partial<BranchLimits>
  /** It is thrown away when nobody asked it anything for so long. Default: 15 minutes. */
  readonly idleMs?: number
  /** How long to wait for folds that have not come to the position. Default 5,000. */
  readonly timeoutMs?: number
}

/** What one fold has to do with the changes, before those that follow from emissions. */
export interface EstimatedFold {
  readonly fold: string
  /** Keys that the changes touch. */
  readonly keys: number
  /** About how many records have to be folded for these keys, at most. */
  readonly records: number
  /** About how many bytes the states of these keys take. */
  readonly bytes: number
  /** True when it emits, and so changes more than is counted here. */
  readonly emits: boolean
}

/** What reading all that differs would cost. */
export interface BranchEstimate {
  readonly keys: number
  readonly records: number
  readonly bytes: number
  readonly folds: readonly EstimatedFold[]
}

/** The state of one key in a branch. */
export interface BranchState<Shard extends FoldShard = FoldShard> {
  /** Holds this key alone. */
  readonly shard: Shard
  /** True when the key waits there for a repair. */
  readonly isParked: boolean
  /** Watermark of the key's partition at the position. */
  readonly watermarkMs: number
}

/** Who ids of people are in a world of a branch. */
export interface BranchPeople {
  /** Who an id is; itself when nobody merged it. */
  canonical(id: string): string
  /** All ids that are this one, itself left out. */
  members(id: string): readonly string[]
}

/** Which world of a branch: as it would be, or as it was at the position. */
export type BranchWorld = 'with' | 'without'

/** A fold as it is in a world of a branch, valid in the turn in which it is told. */
export interface BranchFold<Shard extends FoldShard = FoldShard> {
  /** Speaks for all keys but `keys`. */
  readonly live: FoldHandle<Shard>
  /** Keys that are not there as they are live. */
  readonly keys: ReadonlySet<string>
  /** Shards that hold `keys` alone, by partition. */
  readonly own: readonly Shard[]
  /** The shard that speaks for a key. */
  shardOf(key: string): Shard
}

/** Reads one declared view in a branch. */
export interface BranchViewReader<Out = unknown> {
  /** The value that the key has there. Rejects with FOLD_UNKNOWN when there is no such view, and as `state`. */
  get(key: string): Promise<ViewValue<Out>>
}

/** A field of a key's value that is not the same. */
export interface FieldDifference {
  readonly fold: string
  readonly key: string
  /** Names joined by dots, numbers in brackets; empty for a value that has no fields. */
  readonly field: string
  /** JSON values, without the changes and with them; absent where there is none. */
  readonly before?: unknown
  readonly after?: unknown
}

/** How the values of one fold differ. */
export interface FoldDifferences {
  readonly fold: string
  /** Keys looked at: all that can differ. */
  readonly keys: number
  readonly changed: number
  /** Keys with values in the branch alone, and without it alone. */
  readonly added: number
  readonly removed: number
  /** In how many keys each field differs; numbers in brackets are left out. */
  readonly fields: Readonly<Record<string, number>>
  readonly samples: readonly FieldDifference[]
}

/** Keys of one fold that wait for a repair in a branch, and not without it. */
export interface FoldWaiting {
  readonly fold: string
  readonly keys: number
  /** Some of them. */
  readonly samples: readonly string[]
}

/** What of a branch is compared. */
export interface CompareRequest {
  /** Default: all declared views. */
  readonly folds?: readonly string[]
  /** Samples of each fold. Default 20. */
  readonly samplesMax?: number
  /** Hears of every difference, in the order of the folds; it is waited for. */
  readonly onDifference?: (difference: FieldDifference) => void | Promise<void>
}

/** See the head of the file. Every method throws BRANCH_UNKNOWN when it is closed, BRANCH_TOO_LARGE when it would cost more than its limits, MOMENT_GONE where a stream has lost its first records. */
export interface Branch {
  readonly id: string
  /** Where it leaves the live world, in terms of the streams from outside. */
  readonly position: Position
  /** What is otherwise, as it was asked for. */
  readonly changes: BranchChanges
  readonly estimate: BranchEstimate
  /** True when there are so many corrections (more than 128) that only some were looked at for the estimate. */
  readonly isSampled: boolean
  /** When it is thrown away unless somebody asks before; milliseconds on the monotonic clock. */
  readonly expiresAtMs: number
  /** Keys that it holds states of, and their bytes. */
  readonly overlay: { readonly keys: number; readonly bytes: number }
  /** What became of each correction that was asked for: where the estimate is from some, the others are looked for when the first question is asked. */
  results(): Promise<readonly CorrectionResult[]>
  /** The state of a key. */
  state<Shard extends FoldShard = FoldShard>(request: {
    readonly fold: string
    readonly key: string
    /** Default: with the changes. */
    readonly world?: BranchWorld
  }): Promise<BranchState<Shard>>
  /**
   * Calls `take` in a turn in which it can read these folds as a whole: what differs is folded before.
   * Throws BRANCH_INVALID for a fold that joins tables or that time alone changes, and for one of which
   * another version is served since.
   */
  whole<T>(
    request: { readonly folds: readonly string[]; readonly world?: BranchWorld },
    take: (folds: ReadonlyMap<string, BranchFold>) => T,
  ): Promise<T>
  /** Reads a declared view. */
  view<Out = unknown>(name: string): BranchViewReader<Out>
  /** Who ids of people are in a world of it. */
  people(world?: BranchWorld): BranchPeople
  /** The world with the changes beside that without them, both at the position: what came later is no difference. */
  compare(request?: CompareRequest): Promise<readonly FoldDifferences[]>
  /** What its changes would park, of all folds that park: those with such keys. */
  waiting(): Promise<readonly FoldWaiting[]>
  /** What it changes and somebody else has changed since: events and people by their ids, what it adds records to as `stream/key`. */
  moved(): Promise<readonly string[]>
  close(): void
}

/** The branches of a runtime: several at once, each on its own. */
export interface Branches {
  /**
   * Throws MOMENT_AHEAD, POSITION_NOT_REACHED; BRANCH_INVALID for changes that cannot be;
   * BRANCH_TOO_LARGE, with the estimate, when reading what differs would cost more than the limits;
   * BRANCHES_FULL.
   */
  open(request: BranchRequest): Promise<Branch>
  /** Throws BRANCH_UNKNOWN. */
  get(id: string): Branch
  list(): readonly Branch[]
}
