/**
 * Corrections of events: what holds in place of what the log says happened.
 *
 * Promise: a correction is a record of the log, committed before it has an effect, and holds for
 * every fold, also for what was re-keyed from the event. The event itself stays as it is, and still
 * counts for time. A later correction of the same event takes the place of the earlier one.
 */
import type { LogRecord } from '@millrace/log'
import type { Canonical } from '../identity/contract.ts'

/** The stream of the corrections; one partition, so that all of them have one order. */
export const CORRECTIONS_STREAM = 'streams.corrections'
/** The type of such a record. */
export const CORRECTED_TYPE = 'corrected'

/** What is done to events. `hold` is a retraction that is meant to end; `restore` takes any of them back. */
export type CorrectionAction = 'retract' | 'hold' | 'correct' | 'restore'

/** What is in force for an event. */
export type Correction =
  | { readonly action: 'retract' | 'hold'; readonly source: string }
  /** `data` is folded in place of the event's own. */
  | { readonly action: 'correct'; readonly source: string; readonly data: unknown }

/** The corrections that a lane folds by: as the log had them at one moment. Another layer may lie above them. */
export interface Corrections {
  /** How many records of `streams.corrections` it knows. */
  readonly position: number
  /** What is in force for the event that a record is, or was re-keyed from; undefined for nearly all. */
  of(record: LogRecord): Correction | undefined
  /** Who ids of people are; absent while nobody was merged. */
  readonly canonical?: Canonical | undefined
  /** The same when the log had no more than `position` records of corrections. */
  at(position: number): Corrections
}

/** Nothing is corrected. */
export const NO_CORRECTIONS: Corrections = {
  position: 0,
  of: () => undefined,
  at: () => NO_CORRECTIONS,
}

/** Corrections of a branch. */
export interface UpperCorrections {
  /** What it says of an event; null where nothing is in force, undefined where it says nothing. */
  of(record: LogRecord): Correction | null | undefined
  /** Who ids of people are there; absent where they are who they are below. */
  readonly canonical?: Canonical | undefined
}

/** Corrections of a branch above those of the live world: where both speak of an event, the upper one holds. */
export function layerCorrections(below: Corrections, above: UpperCorrections): Corrections {
  return {
    position: below.position,
    canonical: above.canonical ?? below.canonical,
    of: record => {
      const upper = above.of(record)
      return upper === undefined ? below.of(record) : (upper ?? undefined)
    },
    at: position => layerCorrections(below.at(position), above),
  }
}

/** What is known of an emitted record that nobody has looked for in the log. */
export interface EmittedFacts {
  readonly tenant: string
  readonly generation: number
  readonly partition: number
  readonly key: string
  /** The keys under which it is found. */
  readonly keys: readonly string[]
  readonly eventTimeMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly data: unknown
  /** When the log took what caused it, milliseconds since the epoch; absent when that is not known. */
  readonly arrivedMs?: number
}

/** An event that is corrected: its id, and where it is in the log. What a fold emitted has no place. */
export interface CorrectedEvent {
  readonly id: string
  readonly stream: string
  readonly type: string
  readonly place?: { readonly partition: number; readonly offset: number }
  /** Of what a fold emitted: the record, as it was emitted. */
  readonly emitted?: EmittedFacts
  /** The new data of `correct`. */
  readonly data?: unknown
}

/** The data of a record of `streams.corrections`. */
export interface CorrectionData {
  /** What it is a part of, as the caller names it. */
  readonly changeset?: string
  readonly action: CorrectionAction
  readonly events: readonly CorrectedEvent[]
  readonly reason: string
  /** Who decided it. */
  readonly by: string
  /** Nothing that is decided later on these events holds: they name somebody who is erased. */
  readonly isFinal?: boolean
  /** Present where it follows from other corrections: whose emissions are now as these say. */
  readonly follows?: EmissionMark
  /** The same of what is written from here on, up to the record that `follows`. */
  readonly begins?: EmissionMark
}

/** What a fold has emitted from a partition of its source reflects the first `corrected` records of corrections. */
export interface EmissionMark {
  readonly fold: string
  readonly generation: number
  readonly partition: number
  readonly corrected: number
}
