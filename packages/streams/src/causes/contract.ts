/**
 * What changed between two moments, and why.
 *
 * Promise: a value is told as it was at both moments, and each cause with what its removal would have
 * made of the later value, by folding the same records again without it. Effects that only several
 * causes have together are told as such: for every number, the amounts of the causes and `together`
 * are the difference (docs/adr/0026-what-changed.md).
 */
import type { Position } from '@millrace/core'
import type { FoldShard } from '../fold.ts'
import type { Moment } from '../past/moment.ts'

/** What is asked. */
export interface CausesRequest {
  readonly fold: string
  /** Absent: the sums over all keys. */
  readonly key?: string
  readonly from: Moment
  readonly to: Moment
  /** What is told of a key: JSON. Default: what the fold's own reads give. */
  readonly read?: (shard: FoldShard, key: string) => unknown
  /** Of all keys: the quotient of two numbers of their values is told too. */
  readonly rate?: Rate
  /** Records of the source that are read at most. Default 5,000,000. */
  readonly recordsMax?: number
  /** How long to wait for folds that have not come to the moments. Default 5,000. */
  readonly timeoutMs?: number
}

/** A quotient, by the names of its parts. */
export interface Rate {
  readonly of: string
  readonly per: string
}

/**
 * `traffic`: records that arrived between the moments, by type. `changeset`: corrections that were
 * decided between them. `merge`: ids of people that became one, or several. `definition`: another
 * version of the fold. `rows`: versions of joined rows that arrived between them. `time`: its passing
 * alone.
 */
export type CauseKind = 'traffic' | 'changeset' | 'merge' | 'definition' | 'rows' | 'time'

/** A field that a cause makes otherwise. */
export interface CauseEffect {
  /** Names joined by dots, numbers in brackets; empty for a value that has no fields. */
  readonly field: string
  /** As it would be without the cause, and as it is with it; absent where there is none. */
  readonly without?: unknown
  readonly with?: unknown
  /** The second less the first, where both are numbers or absent. */
  readonly amount?: number
}

/** Something that changed a value. */
export interface Cause {
  readonly kind: CauseKind
  /** A type of records, a changeset, two versions; `all` where nothing tells one from another. */
  readonly name: string
  /** Records of the key, or of the source, that it is about; absent for `time`, `rows` and `definition`. */
  readonly records?: number
  /** Who decided it, and why. */
  readonly by?: string
  readonly reason?: string
  readonly effects: readonly CauseEffect[]
}

/** A field that is not the same at both moments, or that causes moved there and back. */
export interface ChangedField {
  readonly field: string
  readonly before?: unknown
  readonly after?: unknown
  /** Of a number: how much it changed, and how much of that no single cause explains. */
  readonly difference?: number
  readonly together?: number
}

/** A key whose share in a difference is among the largest. */
export interface ChangedKey {
  readonly key: string
  readonly before: number
  readonly after: number
}

/** A quotient at both moments: how much of its change came from other shares of the keys, and how much from other quotients of theirs. */
export interface ChangedRate extends Rate {
  readonly before: number | null
  readonly after: number | null
  readonly mix: number
  readonly rate: number
}

/** What changed. */
export interface Causes {
  /** The moments, in terms of the streams from outside. */
  readonly from: Position
  readonly to: Position
  readonly fields: readonly ChangedField[]
  /** Those that made a difference, the largest share first. */
  readonly causes: readonly Cause[]
  /** Changes that could not be taken away, and why. */
  readonly unmeasured: readonly string[]
  /** Of all keys: those that changed most, in the first number that differs, or in that of `rate`. */
  readonly keys?: readonly ChangedKey[]
  readonly rate?: ChangedRate
  /** True when a key waited for a repair: what came behind changed nothing. */
  readonly isParked: boolean
}
