/**
 * The contract of a kind of change: a register of values by target. From reading, writing and
 * planning alone the module makes the dry run, the run, the undo and the redo.
 *
 * Promise asked for: what `write` acknowledged is what `read` gives next, in every process; a write
 * takes place only while the version is the one that `read` gave, and once, however often it is sent.
 */
import type { JsonSchema, Position } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { AffectedFold, Streams } from '@millrace/streams'
import type { Refusal } from './events.ts'

/** A row of a request: the value that a target is to have, made from the one that it has. */
export interface PlannedChange {
  readonly target: string
  /** The new value from the present one; undefined is none. Gives a refusal for what does not fit. */
  change(value: unknown): { readonly value: unknown } | { readonly refused: Refusal }
}

/** Code of a row that is so already, and is named with the reason. */
export const UNCHANGED = 'UNCHANGED'

/** A row that is no change. */
export interface RefusedRow {
  /** What it names, or its place in the request: `row 3`. */
  readonly target: string
  readonly refused: Refusal
}

/** The value of a target. */
export interface Reading {
  /** JSON; undefined when there is none. Never mutated. */
  readonly value: unknown
  /** Changes with the value, and only then is what a write expects. */
  readonly version: number
  /** Present: it cannot be changed now, and why. */
  readonly refused?: Refusal
}

/** A value to be written. */
export interface Write {
  readonly target: string
  /** Undefined: there is to be none. */
  readonly value: unknown
  /** The version that `read` gave. */
  readonly version: number
  /** Recognises the write when it is sent again. */
  readonly id: string
}

/** What a run says of itself to those who keep the writes. */
export interface WriteContext {
  readonly changeset: string
  /** What people call it; may be empty. */
  readonly title: string
  /** Who began the run. */
  readonly actor: string
  /** When the run began, milliseconds since the epoch. */
  readonly atMs: number
}

/** What became of a write; `moved`: the version is another one by now. */
export type Written = 'written' | 'moved' | { readonly refused: Refusal }

/** A consequence of a changeset beyond its values. */
export interface Consequence {
  readonly what: string
  readonly count: number
  /** What the count is without the changeset; absent where there is nothing to compare. */
  readonly before?: number
  /** Some of what is counted. */
  readonly samples?: readonly string[]
}

/** See the head of the file. */
export interface ChangeKind {
  /** `[a-z][a-z0-9-]*`; targets of two kinds are never the same. */
  readonly name: string
  /** JSON Schema of the requests. */
  readonly request: JsonSchema
  /** Values that are read, and written, together. Default 100. */
  readonly writesMax?: number
  /** The rows that a request means, a target at most once. Throws CHANGESET_INVALID for a request that means nothing. */
  plan(request: unknown): AsyncIterable<PlannedChange | RefusedRow> | Iterable<PlannedChange | RefusedRow> // prettier-ignore
  /** Values of targets, in order, no older than the call. */
  read(targets: readonly string[]): Promise<readonly Reading[]>
  /** Writes values; results in order. */
  write(writes: readonly Write[], context: WriteContext): Promise<readonly Written[]>
  /** What would follow from changes beyond their values. */
  consequences?(
    changes: readonly { readonly target: string; readonly before?: unknown; readonly after?: unknown }[], // prettier-ignore
  ): Promise<readonly Consequence[]> | readonly Consequence[]
  /**
   * Resolves when every view reflects all that was written, with a position at which they do: until
   * then no run has ended. Throws POSITION_NOT_REACHED. Absent: who writes knows.
   */
  reflected?(): Promise<Position>
  /** A value as people are shown it: personal fields hidden. */
  shown?(target: string, value: unknown): unknown
  /** What is left of a value when the people whom it is about are erased. Absent: all of it. */
  erased?(target: string, value: unknown): unknown
}

export function isRefusedRow(row: PlannedChange | RefusedRow): row is RefusedRow {
  return 'refused' in row
}

const REFLECTED_TIMEOUT_MS = 60_000

/** What `reflected` does for changes of the past: views may be corrected long before they are where the log is. */
export async function atTheEnd({
  log,
  streams,
}: {
  readonly log: EventLog
  readonly streams: Streams
}): Promise<Position> {
  const position = new Map(log.ends())
  await streams.reached({ position, timeoutMs: REFLECTED_TIMEOUT_MS })
  return position
}

/** What a fold would do again, as a consequence. */
export function consequenceOf({ fold, keys, samples, emits }: AffectedFold): Consequence {
  const behind = emits ? ', and what is behind it' : ''
  return { what: `keys that ${fold} folds again${behind}`, count: keys, samples }
}
