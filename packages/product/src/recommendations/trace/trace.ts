/**
 * How a past answer came about: the state that it was made from is folded from the log, and the code
 * that serves answers once more. Every candidate tells its stages, the terms of its score and the
 * features behind them. What cannot be known any more is named.
 *
 * It costs the fold of the signals of everybody up to the answer, in batches between which requests
 * are answered, and a second state of the recommendations for as long as it takes.
 */
import { isError, type App, type Clock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openSweep, type FoldDefinition } from '@millrace/streams'
import { partsOfKey } from '../../catalogue/index.ts'
import { productErrors } from '../../errors.ts'
import type { Explanation, ScoreTerm } from '../answer.ts'
import { AnswersAgain } from '../backtest/again.ts'
import { foldsBehind, PastState } from '../backtest/past-state.ts'
import type { CompiledSurface } from '../compiled-surface.ts'
import type { ExposedState, Exposure } from '../events.ts'
import type { PreparedRequest } from '../requests.ts'
import { featuresOf, type Feature } from './features.ts'
import { readFeatures } from './read-features.ts'

/** More records than this are not folded in the process that serves. */
export const TRACE_RECORDS_MAX = 3_000_000
/** Candidates that are told of one by one; of the others there are counts. */
export const CANDIDATES_MAX = 2_000
/** Records folded at once. */
const BATCH_RECORDS = 512

/** A term of a score, with what it was made from. */
export interface TracedTerm extends ScoreTerm {
  readonly features: readonly Feature[]
}

/** An item that a source proposed. */
export interface TracedCandidate {
  readonly kind: string
  readonly id: string
  /** `shown`, or the stage that kept it out: a filter, a limit, `ranking` where others came first. */
  readonly outcome: string
  /** Place in the slate, from 1, when it was shown. */
  readonly slot?: number
  /** Place among the candidates that no filter took, by score, from 1. */
  readonly rank?: number
  /** The sum of weight times score of the terms; absent where a filter took it before it was scored. */
  readonly score?: number
  readonly terms: readonly TracedTerm[]
}

/** Something that is not known any more, or is not as it was. */
export interface Missing {
  readonly code:
    | 'DEFINITION_CHANGED'
    | 'EVENTS_CORRECTED'
    | 'ITEMS_GONE'
    | 'REQUEST_REFUSED'
    | 'STATE_GONE'
    | 'STATE_NOT_NOTED'
    | 'STATE_TOO_FAR'
    | 'SURFACE_GONE'
  readonly reason: string
}

/** How the rows were read that a surface ranked by. */
export interface TracedRead {
  readonly service: string
  /** What the values depend on. */
  readonly fingerprint: string
  /** The moment at which windows end. */
  readonly atMs: number
  /** The position that the rows reflect, as a token. */
  readonly position: string
  /** Rows that were read: one for each candidate that was scored. */
  readonly rows: number
}

/** What folding the past of an answer gave. */
export interface Trace {
  /** True when the same items came out at the same places. */
  readonly isSame: boolean
  readonly explanation: Explanation
  /** How many candidates each stage kept out, and how many were shown. */
  readonly outcomes: readonly { readonly outcome: string; readonly count: number }[]
  /** Shown ones by slot, then by rank, then those that filters took. */
  readonly candidates: readonly TracedCandidate[]
  /** Absent where the surface ranks by its sources. */
  readonly read?: TracedRead
}

/** What a trace stands on. */
export interface TracePorts {
  readonly app: App
  readonly log: Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>
  readonly clock: Clock
  /** The folds of the app, as they run. */
  readonly folds: readonly FoldDefinition[]
}

/** Traces an answer, or says why that is not possible. */
export async function trace(
  ports: TracePorts,
  exposure: Exposure,
  atMs: number,
): Promise<Trace | Missing> {
  const { app } = ports
  const { x: state } = exposure
  if (state === undefined) {
    return { code: 'STATE_NOT_NOTED', reason: 'a version answered that did not note its state' }
  }
  if (app.options.surfaces?.[exposure.s] === undefined) {
    return { code: 'SURFACE_GONE', reason: `the definition has no surface ${exposure.s} any more` }
  }
  const records = recordsOf(state)
  if (records > TRACE_RECORDS_MAX) {
    const reason = `${records} records would have to be folded, and ${TRACE_RECORDS_MAX} is the limit of a server: \`millrace backtest --answer\` does it in a process of its own` // prettier-ignore
    return { code: 'STATE_TOO_FAR', reason }
  }
  try {
    return await traceIn(ports, exposure, state, atMs)
  } catch (error) {
    if (isError(error, 'SWEEP_IMPOSSIBLE')) return { code: 'DEFINITION_CHANGED', reason: error.message } // prettier-ignore
    if (isError(error, 'LOG_OFFSET_GONE')) return { code: 'STATE_GONE', reason: error.message }
    if (isError(error, 'REQUEST_INVALID')) return { code: 'REQUEST_REFUSED', reason: error.message }
    throw error
  }
}

function recordsOf([person, signals, , items]: ExposedState): number {
  return [...signals, ...items].reduce((sum, offset) => sum + offset, person)
}

async function traceIn(
  { app, log, clock, folds }: TracePorts,
  exposure: Exposure,
  state: ExposedState,
  atMs: number,
): Promise<Trace | Missing> {
  const ports = { log, clock, batchRecords: BATCH_RECORDS }
  const sweep = await openSweep(ports, foldsBehind(app, folds))
  const again = new AnswersAgain(app, sweep)
  try {
    const fault = await new PastState(app, sweep, again).moveTo(exposure, state)
    if (fault === 'withoutState') return { code: 'STATE_NOT_NOTED', reason: 'the definition reads features of which the answer noted no state' } // prettier-ignore
    if (fault !== undefined) {
      throw productErrors.create('REQUEST_INVALID', { name: 'the answer', reason: 'its lists were made from a later state than it' }) // prettier-ignore
    }
    const surface = again.surface(exposure.s) as CompiledSurface
    const request = again.rank(surface, exposure, { atMs, isExplained: true })
    return new Tracer(again, request).trace(exposure)
  } finally {
    again.ranker.release()
    again.close()
  }
}

class Tracer {
  readonly #again: AnswersAgain
  readonly #request: PreparedRequest
  readonly #slots: ReadonlyMap<number, number>

  constructor(again: AnswersAgain, request: PreparedRequest) {
    this.#again = again
    this.#request = request
    const { slate } = again.ranker
    this.#slots = new Map(
      Array.from(slate.items.subarray(0, slate.size), (item, place) => [item, place + 1]),
    )
  }

  trace(exposure: Exposure): Trace {
    const { ranker, index } = this.#again
    const { space } = index
    const slate = [...this.#slots.keys()].map(item => space.keyOf(item))
    const { explanation } = this.#again.explained(this.#request)
    const all = [...ranker.proposed(this.#request.surface)].map(item => {
      const slot = this.#slots.get(item)
      const outcome = slot === undefined ? ranker.fateOf(this.#request, item) : 'shown'
      return { item, slot, outcome, isScored: isScored(outcome) }
    })
    const ranks = new Map(
      all
        .filter(each => each.isScored)
        .sort((a, b) => ranker.totalOf(b.item) - ranker.totalOf(a.item))
        .map(({ item }, place) => [item, place + 1]),
    )
    const placeOf = ({ item, slot }: { item: number; slot: number | undefined }): number =>
      slot ?? 1_000 + (ranks.get(item) ?? Number.MAX_SAFE_INTEGER / 2)
    const sorted = all.sort((a, b) => placeOf(a) - placeOf(b) || (space.keyOf(a.item) < space.keyOf(b.item) ? -1 : 1)) // prettier-ignore
    const counts = new Map<string, number>()
    for (const { outcome } of sorted) counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    const read = this.#read(exposure.r)
    return {
      ...(read === undefined ? {} : { read }),
      isSame:
        slate.length === exposure.i.length && exposure.i.every(([key], at) => key === slate[at]),
      explanation: explanation as Explanation,
      outcomes: [...counts].map(([outcome, count]) => ({ outcome, count })),
      candidates: sorted
        .slice(0, CANDIDATES_MAX)
        .map(({ item, slot, outcome, isScored: hasScore }) => ({
          ...partsOfKey(space.keyOf(item)),
          outcome,
          ...(slot === undefined ? {} : { slot }),
          ...(hasScore ? { rank: ranks.get(item), score: ranker.totalOf(item) } : {}),
          terms: this.#terms(item, hasScore, exposure.r),
        })),
    }
  }

  #read(position: string): TracedRead | undefined {
    const last = this.#again.terms?.last
    if (this.#request.surface.ranker === undefined || last === undefined) return undefined
    const { service, fingerprint, atMs, rows } = last.rows
    return { service, fingerprint, atMs, position, rows }
  }

  #terms(item: number, hasScore: boolean, position: string): readonly TracedTerm[] {
    const { ranker } = this.#again
    const { surface } = this.#request
    const termOf = (place: number): number => ranker.scorerTerms[place]?.[item] as number
    const own = surface.ranker === undefined ? this.#sourceTerms(item) : []
    if (!hasScore) return own
    const read = this.#readTerms(item, position)
    const scorers = surface.scorers.map(({ name }, place): TracedTerm => {
      return { stage: name, weight: 1, score: termOf(read.length + place), features: [] }
    })
    return [...own, ...read, ...scorers]
  }

  #sourceTerms(item: number): readonly TracedTerm[] {
    const { ranker, features } = this.#again
    return this.#request.surface.sources.flatMap(({ name, weight, builtIn }, place) => {
      const score = ranker.sourceScores[place]?.values[item] as number
      if (!(score > 0)) return []
      const found = builtIn === undefined ? [] : featuresOf(features, builtIn, this.#request, item)
      return [{ stage: name, weight, score, features: found }]
    })
  }

  /** The terms of the surface's ranker, with the columns that they looked at. */
  #readTerms(item: number, position: string): readonly TracedTerm[] {
    const { ranker, terms, index, compiled } = this.#again
    const { ranker: by } = this.#request.surface
    if (by === undefined || terms === undefined || compiled === undefined) return []
    const from = { position, atMs: this.#request.context.nowMs, attributes: index.attributesOf(item) } // prettier-ignore
    const read = readFeatures(terms, by, item, { compiled, from })
    return by.terms.map(([stage], place) => {
      const score = ranker.scorerTerms[place]?.[item] as number
      return { stage, weight: 1, score, features: read[place] ?? [] }
    })
  }
}

const isScored = (outcome: string): boolean =>
  !['catalogue', 'candidates'].includes(outcome) && !outcome.startsWith('filter ')
