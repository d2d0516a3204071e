/**
 * What is decided about erasures, as records: that one has begun, which nothing takes back, and that it
 * has ended, with its report. Whatever a crash leaves between the two is done again. Processes that
 * share the log say between the two how far each of them is (`rounds.ts`).
 */
import type { StreamSpec } from '@millrace/log'

/** The stream of the erasures; one partition, so that all of them have one order. */
export const ERASURES_STREAM = 'product.erasures'
export const erasureStreams: readonly StreamSpec[] = [{ name: ERASURES_STREAM, partitions: 1 }]

export const ERASURE_BEGUN = 'erasure.begun'
export const ERASURE_RETRACTED = 'erasure.retracted'
export const ERASURE_ENDED = 'erasure.ended'
/** Of a process, where several share the log. */
export const ERASURE_HEARD = 'erasure.heard'

/** `shut`: nothing that names the people is on its way; `clean`: no view says anything of them. */
export type ErasureStep = 'shut' | 'clean'

/** Data of `erasure.heard`. */
export interface ErasureHeard {
  readonly erasure: string
  readonly process: string
  readonly step: ErasureStep
}

/** Data of `erasure.begun`. */
export interface ErasureBegun {
  readonly erasure: string
  /** Surrogate ids of the people; of one person all that are known. */
  readonly people: readonly string[]
  readonly reason: string
  /** Who decided it, as the audit names them. */
  readonly by: string
  /** The process that carries it out, where several share the log. */
  readonly process?: string
}

/** Events of one type that name the people. */
export interface ErasedType {
  readonly type: string
  readonly stream: string
  readonly events: number
  /** Of these, those with fields that nobody can read any more. */
  readonly sealed: number
  /** Of these, those whose marked fields were appended before they were sealed: they stay readable in the log. */
  readonly clear: number
  /** Fields that are not marked: they stay in the log. */
  readonly readable: readonly string[]
}

/** A fold that said something of the people. */
export interface ErasedView {
  readonly fold: string
  readonly records: number
  /** Keys that were folded again without them. */
  readonly keys: number
}

/** What an erasure cannot reach. */
export interface Remainder {
  readonly what: string
  readonly count?: number
  /** What can be done about it. */
  readonly remedy: string
}

/** What an erasure came to, or would come to. */
export interface ErasureReport {
  readonly erasure: string
  readonly people: readonly string[]
  readonly reason: string
  readonly by: string
  /** Events that name the people; they are retracted. */
  readonly events: number
  /** Of these, events of others. */
  readonly ofOthers: number
  readonly types: readonly ErasedType[]
  readonly views: readonly ErasedView[]
  /** What could not be erased. */
  readonly remains: readonly Remainder[]
}
