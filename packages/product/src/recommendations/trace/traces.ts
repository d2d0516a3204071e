/** Past answers, traced: what their exposures say, and how they came about. */
import type { App, Clock } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { Places, type FoldDefinition, type Streams } from '@millrace/streams'
import type { Explanation } from '../answer.ts'
import { foldsBehind } from '../backtest/past-state.ts'
import type { Exposure } from '../events.ts'
import { ITEM_STATS_FOLD } from '../item-stats-fold.ts'
import {
  explainAnswer,
  findExposure,
  type PastAnswer,
  type PastAnswerPorts,
} from '../past-answers.ts'
import { itemKey } from '../../catalogue/index.ts'
import { eventsBehind, type BehindRequest, type EventsBehind } from './behind.ts'
import { answersOf, type GivenAnswers } from './given.ts'
import { trace, type Missing, type Trace, type TracedCandidate, type TracedRead } from './trace.ts'

/** Traces that are kept, for the next pages of their candidates. */
const KEPT_MAX = 4
/** Traces that may wait; each holds a state of the recommendations while it is made. */
const WAITING_MAX = 16

/** A version as it was, and now. */
export interface WasAndNow {
  readonly was: string
  readonly now: string
}

/** A past answer, with how it came about. */
export interface TracedAnswer extends PastAnswer {
  readonly versions: {
    /** Fingerprint of the definition. */
    readonly definition: WasAndNow
    readonly scoring: WasAndNow
    /** The folds whose state it was made from, in their versions of now. */
    readonly folds: readonly { readonly name: string; readonly version: string }[]
    /** How many records of corrections that state reflects. */
    readonly corrections: { readonly was: number; readonly now: number }
  }
  /** What is not known any more, or not as it was. */
  readonly missing: readonly Missing[]
  /** True when the code that serves gives the same items at the same places; absent, as all below, where the state could not be folded. */
  readonly isSame?: boolean
  readonly explanation?: Explanation
  /** How many candidates were shown, and how many each stage kept out. */
  readonly outcomes?: Trace['outcomes']
  /** How the rows were read that the surface ranked by; absent where it ranks by its sources. */
  readonly read?: TracedRead
  readonly traced?: readonly TracedCandidate[]
  /** Go on `after` this candidate; absent at the end. */
  readonly next?: number
}

/** Which candidates. */
export interface TraceRequest {
  readonly person?: string | undefined
  /** Only this one, `kind/id`. */
  readonly item?: string | undefined
  readonly after?: number | undefined
  readonly limit: number
}

/** What traces stand on. */
export interface TracesPorts extends PastAnswerPorts {
  readonly app: App
  readonly log: EventLog
  readonly streams: Streams
  readonly clock: Clock
  /** Version of the scoring now. */
  readonly scoring: string
  /** False for an item that its kind does not list any more. */
  isKnown(key: string): boolean
  /** Waits until the exposures of all answers so far are written: the answer in question may have been given a moment ago. */
  flush(): Promise<void>
}

/** See the head of the file. One is made at a time. */
export class AnswerTraces {
  readonly #ports: TracesPorts
  readonly #places = new Places({ places: 1, waitingMax: WAITING_MAX })
  readonly #kept = new Map<string, Trace>()

  constructor(ports: TracesPorts) {
    this.#ports = ports
  }

  /** Rejects with ANSWER_UNKNOWN, ANSWER_ERASED, PAST_BUSY. */
  async answer(
    answerId: string,
    { person, item, after = 0, limit }: TraceRequest,
  ): Promise<TracedAnswer> {
    const record = await this.#find(answerId, person)
    const past = await explainAnswer(this.#ports, record)
    const found = await this.#traceOf(record)
    const missing = this.#missing(record.data as Exposure, past)
    const about = { ...past, versions: this.#versions(record.data as Exposure) }
    if ('code' in found) return { ...about, missing: [found, ...missing] }
    const { isSame, explanation, outcomes, read } = found
    const candidates = item === undefined ? found.candidates : found.candidates.filter(({ kind, id }) => itemKey(kind, id) === item) // prettier-ignore
    const next = after + limit < candidates.length ? { next: after + limit } : {}
    const traced = candidates.slice(after, after + limit)
    return { ...about, missing, isSame, explanation, outcomes, ...(read === undefined ? {} : { read }), traced, ...next } // prettier-ignore
  }

  /** The events behind a term. Rejects with ANSWER_UNKNOWN, ANSWER_ERASED, REQUEST_INVALID. */
  async behind(
    answerId: string,
    request: BehindRequest & { readonly person?: string | undefined },
  ): Promise<EventsBehind> {
    const { data } = await this.#find(answerId, request.person)
    return eventsBehind(this.#ports, data as Exposure, request)
  }

  async #find(answerId: string, person: string | undefined): Promise<LogRecord> {
    await this.#ports.flush()
    return await findExposure(this.#ports, answerId, person)
  }

  /** The answers that a person was given. */
  async given(person: string, request: Parameters<typeof answersOf>[2]): Promise<GivenAnswers> {
    await this.#ports.flush()
    return answersOf(this.#ports, person, request)
  }

  async #traceOf({ data, eventTimeMs }: LogRecord): Promise<Trace | Missing> {
    const exposure = data as Exposure
    const known = this.#kept.get(exposure.a)
    if (known !== undefined) return known
    const { app, log, clock } = this.#ports
    const folds = this.#folds()
    const made = await this.#places.run(() => trace({ app, log, clock, folds }, exposure, eventTimeMs)) // prettier-ignore
    if ('code' in made) return made
    if (this.#kept.size >= KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value as string)
    this.#kept.set(exposure.a, made)
    return made
  }

  #folds(): readonly FoldDefinition[] {
    const { app, streams } = this.#ports
    const folds = streams.status().map(({ name }) => streams.fold(name).definition)
    return foldsBehind(app, folds)
  }

  #versions({ d, v, k = [0, 0] }: Exposure): TracedAnswer['versions'] {
    const { app, scoring, streams } = this.#ports
    return {
      definition: { was: d, now: app.fingerprint },
      scoring: { was: v, now: scoring },
      folds: this.#folds().map(({ name, version }) => ({ name, version })),
      corrections: { was: k[0], now: streams.fold(ITEM_STATS_FOLD).corrected() },
    }
  }

  #missing(exposure: Exposure, { history }: PastAnswer): Missing[] {
    const { app, streams, isKnown } = this.#ports
    const missing: Missing[] = []
    if (exposure.d !== app.fingerprint) {
      const reason = `the definition ${exposure.d} answered; stages and limits are judged by that of now, ${app.fingerprint}` // prettier-ignore
      missing.push({ code: 'DEFINITION_CHANGED', reason })
    }
    const gone = exposure.i.map(([key]) => key).filter(key => !isKnown(key))
    if (gone.length > 0) {
      const reason = `not in the catalogue any more: ${gone.join(', ')}`
      missing.push({ code: 'ITEMS_GONE', reason })
    }
    const corrected = history.filter(({ eventId }) => streams.corrections.of(eventId).at(-1) !== undefined) // prettier-ignore
    if (corrected.length > 0) {
      const reason = `${corrected.length} of the ${history.length} newest events that it knew of the person were corrected since` // prettier-ignore
      missing.push({ code: 'EVENTS_CORRECTED', reason })
    }
    return missing
  }
}
