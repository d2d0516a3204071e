import type { Clock, Logger, Random } from '@millrace/core'
import { DEFAULT_TENANT, type EventLog, type Leases, type LogRecord } from '@millrace/log'
import type { SnapshotStore } from '@millrace/store'
import type { FoldDefinition } from './fold.ts'
import type { PersonEvent } from './identity/contract.ts'
import type { DifferencesSink, OpenBuilder } from './rebuilds/builder.ts'

/** Settings of the runtime, all with defaults. */
export interface StreamsSettings {
  /** Whose records are folded. Records of other tenants only pass time. */
  readonly tenant: string
  /** Records read at a time from one partition. */
  readonly batchRecords: number
  /** The loop gives way to other work after this many milliseconds. */
  readonly sliceMs: number
  /** A fold writes a snapshot after this many records... */
  readonly snapshotEveryRecords: number
  /** ...or after this time, when anything changed. */
  readonly snapshotEveryMs: number
  /** A fold with long histories keeps a base with its snapshot after this many records. */
  readonly baseEveryRecords: number
}

/** What `openStreams` needs. */
export interface StreamsOptions {
  readonly log: EventLog
  /** Closed by its owner, after the runtime. */
  readonly snapshots: SnapshotStore
  /** Present when several processes run folds over the log: which of them commits whose steps. */
  readonly leases?: Leases
  readonly clock: Clock
  /** Spreads the attempts at what failed. Default: they come at the same times in every process. */
  readonly random?: Random
  readonly logger: Logger
  readonly folds: readonly FoldDefinition[]
  /** The fold that keeps the versioned table of each item kind; its shards have `asOf`. */
  readonly tables?: Readonly<Record<string, string>>
  /** The definition that folds emit under. Default: that of the record which caused the emission. */
  readonly definition?: string
  /** Events that name people: those of a person who is merged into another count as the other's. Default: nobody can be merged. */
  readonly people?: readonly PersonEvent[]
  /** Why `data` cannot take the place of an event's own; undefined when it can. Default: any may. */
  readonly checkCorrection?: (record: LogRecord, data: unknown) => string | undefined
  /** Event types with personal data. What a fold of them throws is kept and told without its message. */
  readonly personalTypes?: ReadonlySet<string>
  /** Makes builds on threads of their own. Default: in slices of the loop. */
  readonly openBuilder?: OpenBuilder
  /** Keeps the differences that a build in slices of the loop finds. Default: they are counted alone. */
  readonly differences?: DifferencesSink
  readonly options?: Partial<StreamsSettings>
}

export const SETTINGS_DEFAULT: StreamsSettings = {
  tenant: DEFAULT_TENANT,
  batchRecords: 4_096,
  sliceMs: 8,
  snapshotEveryRecords: 500_000,
  snapshotEveryMs: 120_000,
  baseEveryRecords: 500_000,
}
