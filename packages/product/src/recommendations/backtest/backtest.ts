/**
 * Past requests of a surface, answered again by another definition as of their own moments.
 *
 * One sweep over the log: the state of profiles, statistics and items is folded up to the offsets
 * that each exposure names, shared lists are made where they were made, and the request is answered
 * by the code that serves, with the draws of its own id. The definition that answered gives the very
 * same answers. Memory is that of the state, and of the slots that are judged.
 *
 * Corrections count from the moment at which they were made: events that were retracted since are in
 * the state of the answers before that.
 *
 * Surfaces may differ; signals may not, for what they emitted is in the log (SWEEP_IMPOSSIBLE).
 */
import { isError, type App, type Clock } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import {
  estimateOffPolicy,
  type OffPolicyEstimate,
  type OffPolicyEstimator,
} from '@millrace/recommend'
import { openSweep, type FoldDefinition, type Sweep } from '@millrace/streams'
import { productErrors } from '../../errors.ts'
import { mainSource } from '../answer-builder.ts'
import type { Answer } from '../answer.ts'
import type { CompiledSurface } from '../compiled-surface.ts'
import type { Exposure } from '../events.ts'
import { PROFILE_FOLD } from '../profile-fold.ts'
import type { PreparedRequest } from '../requests.ts'
import { AnswersAgain } from './again.ts'
import { moves, Segments, type AnswerDifference, type GroupSlots } from './differences.ts'
import { Outcomes } from './outcomes.ts'
import { offsetAt, partitionsOf, pastRequests } from './past-requests.ts'
import { foldsBehind, PastState } from './past-state.ts'

const WITHIN_MS_DEFAULT = 60 * 60_000
/** Requests between two reports of progress. */
const PROGRESS_EVERY = 1_000

/** What is answered again. */
export interface BacktestOptions {
  readonly surface: string
  /** Answered at or after... */
  readonly fromMs?: number | undefined
  /** ...and before. */
  readonly toMs?: number | undefined
  /** Only this answer. */
  readonly answerId?: string | undefined
  /** A slot earns when its person acts on its item within this time. Default: an hour. */
  readonly withinMs?: number | undefined
  /** Weights above count as this: less noise, and a bias of what was cut, of which the share is told. Default: none is cut. */
  readonly clipAt?: number | undefined
  /** Hears of each answer that would have been another, in the order of the answers. */
  readonly onDifference?: ((difference: AnswerDifference) => void | Promise<void>) | undefined
  /** Hears how many requests were answered, now and then. */
  readonly onProgress?: ((answered: number) => void) | undefined
}

/** What a backtest stands on. */
export interface BacktestPorts {
  readonly app: App
  /** The folds of the app, as they run. */
  readonly folds: readonly FoldDefinition[]
  readonly log: Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>
  readonly clock: Clock
}

/** Shares of slots are of those that were shown then. */
export interface BacktestReport {
  readonly surface: string
  readonly requests: {
    readonly answered: number
    readonly different: number
    /** People whose answers differ, of how many. */
    readonly peopleDifferent: number
    readonly people: number
    /** Not answered again: logged by a version that did not note the state... */
    readonly withoutState: number
    /** ...by a process that was behind another one of the same log... */
    readonly outOfOrder: number
    /** ...or not allowed by the definition any more. */
    readonly refused: number
  }
  readonly slots: {
    readonly shown: number
    readonly again: number
    readonly dropped: number
    readonly added: number
    readonly moved: number
    readonly newBefore: number
    readonly newAfter: number
  }
  /** How many of the slots shown each stage takes away, the most first. */
  readonly stages: readonly {
    readonly stage: string
    readonly dropped: number
    readonly share: number
  }[]
  readonly losing: readonly GroupSlots[]
  readonly winning: readonly GroupSlots[]
  /** The answer that was asked for, as it is given again, with reasons, terms and stages. */
  readonly answer?: Pick<Answer, 'items' | 'explanation'> & {
    readonly isSame: boolean
    /** Fingerprints of the definition that answered, and of this one. */
    readonly definition: string
    readonly definitionNow: string
  }
  /** What people do in a slot: each slot judged after those above it as they were shown. Absent without two slots of people. */
  readonly earnings?: {
    readonly withinMs: number
    readonly logged: number
    readonly inversePropensity: OffPolicyEstimate
    readonly selfNormalised: OffPolicyEstimate
    /** Corrects by the weighted slots what a model of places and items expects. */
    readonly doublyRobust: OffPolicyEstimate
  }
}

/** Runs a backtest. Rejects with SURFACE_UNKNOWN, SWEEP_IMPOSSIBLE. */
export async function backtest(
  ports: BacktestPorts,
  options: BacktestOptions,
): Promise<BacktestReport> {
  const { app, log, clock } = ports
  const outcomes = new Outcomes(app, options.withinMs ?? WITHIN_MS_DEFAULT)
  const onRecord = (record: LogRecord, fold: string): void => {
    if (fold === PROFILE_FOLD) outcomes.note(record)
  }
  const sweep = await openSweep({ log, clock, onRecord }, foldsBehind(app, ports.folds))
  const again = new AnswersAgain(app, sweep)
  try {
    const surface = again.surface(options.surface)
    if (surface === undefined) {
      const known = Object.keys(app.options.surfaces ?? {}).join(', ')
      throw productErrors.create('SURFACE_UNKNOWN', { surface: options.surface, known })
    }
    return await new Backtest(ports, {
      options,
      sweep,
      again,
      surface,
      outcomes,
      state: new PastState(app, sweep, again),
    }).run()
  } finally {
    again.close()
  }
}

interface Parts {
  readonly options: BacktestOptions
  readonly sweep: Sweep
  readonly again: AnswersAgain
  readonly surface: CompiledSurface
  readonly outcomes: Outcomes
  readonly state: PastState
}

class Backtest {
  readonly #ports: BacktestPorts
  readonly #parts: Parts
  readonly #segments: Segments
  readonly #requests = { answered: 0, different: 0, withoutState: 0, outOfOrder: 0, refused: 0 }
  readonly #slots = {
    shown: 0,
    again: 0,
    dropped: 0,
    added: 0,
    moved: 0,
    newBefore: 0,
    newAfter: 0,
  }
  readonly #stages = new Map<string, number>()
  readonly #people = new Map<string, boolean>()
  #answered: BacktestReport['answer']

  constructor(ports: BacktestPorts, parts: Parts) {
    this.#ports = ports
    this.#parts = parts
    this.#segments = new Segments(parts.again.index)
  }

  async run(): Promise<BacktestReport> {
    const { log } = this.#ports
    const { options } = this.#parts
    const { surface, answerId, fromMs = 0, toMs = Number.MAX_SAFE_INTEGER } = options
    let lastMs = 0
    for await (const { exposure, atMs } of pastRequests(log, { surface, answerId, fromMs, toMs })) {
      lastMs = Math.max(lastMs, atMs)
      if (exposure.x === undefined) {
        this.#requests.withoutState += 1
        continue
      }
      const fault = await this.#parts.state.moveTo(exposure, exposure.x)
      if (fault !== undefined) {
        this.#requests[fault] += 1
        continue
      }
      const difference = this.#answer(exposure, atMs)
      if (difference !== undefined) {
        this.#sumUp(difference)
        await options.onDifference?.(difference)
      }
      if (this.#requests.answered % PROGRESS_EVERY === 0)
        options.onProgress?.(this.#requests.answered)
    }
    await this.#hearOut(lastMs)
    return this.#report()
  }

  #answer(exposure: Exposure, atMs: number): AnswerDifference | undefined {
    const { again, surface, outcomes, options } = this.#parts
    const { ranker, index } = again
    const shown = Int32Array.from(exposure.i, ([key]) => index.space.intern(key))
    const isExplained = options.answerId !== undefined
    let request: PreparedRequest
    try {
      request = again.rank(surface, exposure, { atMs, isExplained })
    } catch (error) {
      if (!isError(error, 'REQUEST_INVALID')) throw error
      this.#requests.refused += 1
      return undefined
    }
    try {
      const slate = ranker.slate.items.slice(0, ranker.slate.size)
      const difference = this.#compare({ exposure, atMs, request }, shown, slate)
      this.#count(exposure, difference !== undefined, { shown, slate })
      if (isExplained) {
        this.#answered = {
          isSame: difference === undefined,
          definition: exposure.d,
          definitionNow: this.#ports.app.fingerprint,
          ...again.explained(request),
        }
      }
      if (exposure.p !== undefined && outcomes.isOpen) {
        const targets = ranker.chancesOf(request, shown)
        outcomes.add(exposure, atMs, {
          shown,
          targets,
          bests: ranker.slate.bests,
          bestChances: ranker.slate.bestChances,
        })
      }
      return difference
    } finally {
      ranker.release()
    }
  }

  #compare(
    { exposure, atMs, request }: { exposure: Exposure; atMs: number; request: PreparedRequest },
    shown: Int32Array,
    slate: Int32Array,
  ): AnswerDifference | undefined {
    if (shown.length === slate.length && shown.every((item, slot) => item === slate[slot])) {
      return undefined
    }
    const { surface, again } = this.#parts
    const { ranker, index } = again
    const { space } = index
    const keys = (items: Int32Array): string[] => Array.from(items, item => space.keyOf(item))
    const { dropped, added, moved } = moves(keys(shown), keys(slate))
    return {
      answerId: exposure.a,
      ...(exposure.p === undefined ? {} : { person: exposure.p }),
      atMs,
      dropped: dropped.map(drop => ({
        ...drop,
        stage: ranker.fateOf(request, space.find(drop.item)),
      })),
      added: added.map(add => {
        const source = mainSource(surface, ranker, space.find(add.item))
        return { ...add, source: surface.sources[source]?.name ?? '' }
      }),
      moved,
    }
  }

  #count(
    { p: person }: Exposure,
    isDifferent: boolean,
    { shown, slate }: { readonly shown: Int32Array; readonly slate: Int32Array },
  ): void {
    const { again, surface } = this.#parts
    const slots = this.#slots
    this.#requests.answered += 1
    if (isDifferent) this.#requests.different += 1
    if (person !== undefined) {
      this.#people.set(person, isDifferent || this.#people.get(person) === true)
    }
    const fresh = again.newItems(surface)
    slots.shown += shown.length
    slots.again += slate.length
    for (const item of shown) {
      this.#segments.count(item, 'before')
      if (fresh.has(item)) slots.newBefore += 1
    }
    for (const item of slate) {
      this.#segments.count(item, 'after')
      if (fresh.has(item)) slots.newAfter += 1
    }
  }

  /** Reads on until nothing that is done can belong to an answer any more. */
  async #hearOut(lastMs: number): Promise<void> {
    const { sweep, outcomes } = this.#parts
    const { log } = this.#ports
    const { source } = sweep.fold(PROFILE_FOLD).definition
    for (const partition of partitionsOf(log, source).keys()) {
      const place = { stream: source, partition }
      const to = await offsetAt(log, place, lastMs + outcomes.withinMs)
      if (to > sweep.fold(PROFILE_FOLD).consumed(partition)) {
        await sweep.advance(PROFILE_FOLD, partition, to)
      }
    }
  }

  #report(): BacktestReport {
    const { options, outcomes } = this.#parts
    const stages = [...this.#stages]
      .map(([stage, dropped]) => ({ stage, dropped, share: dropped / this.#slots.shown }))
      .sort((a, b) => b.dropped - a.dropped)
    const people = [...this.#people.values()]
    const choices = outcomes.choices()
    const { rewards } = choices
    const { clipAt = Infinity } = options
    const estimate = (estimator: OffPolicyEstimator): OffPolicyEstimate =>
      estimateOffPolicy(choices, { estimator, clipAt })
    return {
      surface: options.surface,
      requests: {
        ...this.#requests,
        people: people.length,
        peopleDifferent: people.filter(Boolean).length,
      },
      slots: { ...this.#slots },
      stages,
      ...this.#segments.changed(),
      ...(this.#answered === undefined ? {} : { answer: this.#answered }),
      ...(rewards.length < 2
        ? {}
        : {
            earnings: {
              withinMs: outcomes.withinMs,
              logged: rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length,
              inversePropensity: estimate('inversePropensity'),
              selfNormalised: estimate('selfNormalised'),
              doublyRobust: estimate('doublyRobust'),
            },
          }),
    }
  }

  /** Adds an answer that differs to the sums. */
  #sumUp({ dropped, added, moved }: AnswerDifference): void {
    const slots = this.#slots
    slots.dropped += dropped.length
    slots.added += added.length
    slots.moved += moved.length
    for (const { stage } of dropped) this.#stages.set(stage, (this.#stages.get(stage) ?? 0) + 1)
  }
}
