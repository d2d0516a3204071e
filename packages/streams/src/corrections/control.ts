/** What people ask of corrections: to make them, to see first what they would touch, to look at them. */
import { canonicalText } from '../views/canonical.ts'
import { partitionName, type Clock, type Position } from '@millrace/core'
import { DEFAULT_TENANT, TICK_TYPE, type EventLog, type LogRecord } from '@millrace/log'
import { streamsErrors } from '../errors.ts'
import { OUTSIDE } from '../generations.ts'
import type { FoldRunner } from '../runner.ts'
import { correctionAt, type CorrectionBook, type CorrectionChange } from './book.ts'
import {
  CORRECTED_TYPE,
  CORRECTIONS_STREAM,
  type Correction,
  type CorrectionAction,
  type CorrectionData,
} from './contract.ts'
import type { Corrector } from './corrector.ts'
import { keysOf } from './lane-changes.ts'
import { Originals } from './originals.ts'
import { batchesOf, correctionEvents, type CorrectedItem } from './records.ts'
import { ERASED_REASON, SO_ALREADY } from './reasons.ts'
import { Slices } from '../slices.ts'
import { unreadable } from '../unreadable.ts'

/** What is to become of one event. */
export interface RequestedCorrection {
  readonly id: string
  readonly action: CorrectionAction
  /** Where it is in the log, when that is known: it need not be looked for. */
  readonly place?: { readonly stream: string; readonly partition: number; readonly offset: number }
  /** The new data of `correct`. */
  readonly data?: unknown
}

/** Corrections that belong together. */
export interface CorrectionSet {
  /** How the caller names them. */
  readonly changeset?: string
  readonly corrections: readonly RequestedCorrection[]
  readonly reason: string
  readonly by: string
  /** They are retractions, and nothing that is decided later on these events holds. */
  readonly isFinal?: boolean
}

/** What becomes of one of them. */
export interface CorrectionResult {
  readonly id: string
  /** `unchanged`: it is so already. */
  readonly status: 'corrected' | 'unchanged' | 'refused'
  /** Why it is refused, or what is so already. */
  readonly reason?: string
}

/** What a set touches in one fold. */
export interface AffectedFold {
  readonly fold: string
  /** Records that it would fold otherwise. */
  readonly records: number
  readonly keys: number
  /** Some of the keys. */
  readonly samples: readonly string[]
  /** True when it emits: what is behind it may change as well. */
  readonly emits: boolean
}

/** How far the folds are with what was corrected. */
export interface CorrectionProgress {
  /** Keys that are being folded again now, and how many of them are done. */
  readonly keys: number
  readonly done: number
}

/** One correction of the log. */
export interface ListedCorrection extends CorrectionData {
  readonly id: string
  /** Offset in `streams.corrections`. */
  readonly offset: number
  readonly atMs: number
}

/** Corrections of events; see `contract.ts`. */
export interface CorrectionControl {
  /**
   * Puts the corrections of a set on the log, in one unit, and resolves when all views reflect them.
   * Events that are unknown, or already so, are told item by item and hold up no other. Throws
   * CORRECTION_INVALID, POSITION_NOT_REACHED.
   */
  apply(
    set: CorrectionSet,
    options?: {
      readonly onProgress?: (progress: CorrectionProgress) => void
      /** How long to wait for the views. Default: an hour. */
      readonly timeoutMs?: number
    },
  ): Promise<{ readonly results: readonly CorrectionResult[]; readonly position: Position }>
  /** What `apply` would do, and to which folds; nothing is changed. */
  affected(set: CorrectionSet): Promise<{
    readonly results: readonly CorrectionResult[]
    readonly folds: readonly AffectedFold[]
  }>
  /** What is in force for an event, and what was before, oldest first. */
  of(id: string): readonly (Correction | undefined)[]
  /** Corrections in the order of the log, from an offset of `streams.corrections` on. */
  list(request: {
    readonly from?: number
    readonly limit: number
  }): Promise<readonly ListedCorrection[]>
}

/** What they stand on. */
export interface CorrectionControlPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly sliceMs: number
  readonly book: CorrectionBook
  readonly corrector: Corrector
  readonly runners: readonly FoldRunner[]
  /** Why data cannot take the place of an event's; undefined when it can. */
  readonly check: ((record: LogRecord, data: unknown) => string | undefined) | undefined
  readonly reached: (request: { position: Position; timeoutMs: number }) => Promise<void>
}

const TIMEOUT_MS = 3_600_000
const PROGRESS_MS = 200
const SAMPLES_MAX = 20
/** Ids that are looked for together; what holds their records is passed over once. */
const FINDS_AT_ONCE = 2_000

/** What a set means for the log as it is. */
export interface CorrectionPlan {
  readonly results: readonly CorrectionResult[]
  readonly events: readonly CorrectedItem[]
  readonly records: ReadonlyMap<string, LogRecord>
}

/** See `CorrectionControl`. */
export class CorrectionRequests implements CorrectionControl {
  readonly #ports: CorrectionControlPorts

  constructor(ports: CorrectionControlPorts) {
    this.#ports = ports
  }

  async apply(
    set: CorrectionSet,
    options: {
      readonly onProgress?: (progress: CorrectionProgress) => void
      readonly timeoutMs?: number
    } = {},
  ): Promise<{ readonly results: readonly CorrectionResult[]; readonly position: Position }> {
    const { log, clock, book, corrector } = this.#ports
    const { results, events, records: planned } = await this.plan(set)
    const { changeset, reason, by, isFinal = false } = set
    const facts = { ...(changeset === undefined ? {} : { changeset }), reason, by, ...(isFinal ? { isFinal } : {}) } // prettier-ignore
    const batches = batchesOf(events)
    const records = [...correctionEvents(facts, batches, clock.nowMs(), book.position)]
    const end = corrector.remember(planned)
    try {
      if (records.length > 0) await log.commit({ events: records })
      const name = partitionName(CORRECTIONS_STREAM, 0)
      const position = new Map([[name, log.ends().get(name) ?? 0]])
      await this.#settle(position, options)
      return { results: results.map((result, at) => this.#inForce(result, set.corrections[at] as RequestedCorrection)), position } // prettier-ignore
    } finally {
      end()
    }
  }

  async affected(set: CorrectionSet): Promise<{
    readonly results: readonly CorrectionResult[]
    readonly folds: readonly AffectedFold[]
  }> {
    const { runners, corrector, book } = this.#ports
    const { results, events, records } = await this.plan(set)
    const originals = new Originals(this.#ports.log)
    const slices = this.#slices()
    const changes: CorrectionChange[] = []
    for (const { action, event } of events) {
      const { data, ...facts } = event
      const known = book.entry(event.id)
      const before = known === undefined ? undefined : correctionAt(known, book.position)
      const entry = known ?? { ...facts, history: [] }
      originals.add(entry, records.get(event.id) as LogRecord)
      changes.push({ entry, before, after: correctionBy(action, data) })
      await slices.pause()
    }
    const now = book.head()
    const changed = corrector.changedBy(changes, originals, { before: now, after: now })
    const folds: AffectedFold[] = []
    for (const runner of runners) {
      if (runner.definition.isRekeying === true) continue
      let found = 0
      const keys = new Set<string>()
      for (const { lane } of runner.lanes) {
        const own = await corrector.changesOf(lane, changed)
        found += own.length
        for (const key of keysOf(lane, own)) keys.add(key)
        await slices.pause()
      }
      if (found === 0) continue
      const samples = [...keys].slice(0, SAMPLES_MAX)
      const emits = (runner.definition.targets?.length ?? 0) > 0
      folds.push({ fold: runner.name, records: found, keys: keys.size, samples, emits })
    }
    return { results, folds }
  }

  of(id: string): readonly (Correction | undefined)[] {
    return this.#ports.book.entry(id)?.history.map(({ correction }) => correction) ?? []
  }

  async list({
    from = 0,
    limit,
  }: {
    readonly from?: number
    readonly limit: number
  }): Promise<readonly ListedCorrection[]> {
    const { log } = this.#ports
    const listed: ListedCorrection[] = []
    for (let next = from; listed.length < limit;) {
      const place = { stream: CORRECTIONS_STREAM, partition: 0, from: next }
      const records = await log.read({ ...place, recordsMax: limit - listed.length })
      if (records.length === 0) break
      for (const { type, id, offset, eventTimeMs: atMs, data } of records) {
        if (type === CORRECTED_TYPE) listed.push({ ...(data as CorrectionData), id, offset, atMs })
      }
      next += records.length
    }
    return listed
  }

  /** What a correction came to that is on the log: an erasure may have come before it. */
  #inForce(result: CorrectionResult, { id, action }: RequestedCorrection): CorrectionResult {
    const isLate = result.status === 'corrected' && action !== 'retract'
    return isLate && this.#ports.book.isFinal(id) ? { id, status: 'refused', reason: ERASED_REASON } : result // prettier-ignore
  }

  /** Waits until the views reflect what the log holds at `position`, and what follows from it. */
  async #settle(
    position: Position,
    options: {
      readonly onProgress?: (progress: CorrectionProgress) => void
      readonly timeoutMs?: number
    },
  ): Promise<void> {
    const { clock, corrector, reached } = this.#ports
    const { onProgress, timeoutMs = TIMEOUT_MS } = options
    let isOver = false
    const tell = (): void => {
      if (isOver || onProgress === undefined) return
      onProgress(sumOf(corrector.progress().values()))
      clock.after(PROGRESS_MS, tell)
    }
    tell()
    try {
      await reached({ position, timeoutMs })
    } finally {
      isOver = true
    }
  }

  /**
   * What becomes of each correction of a set, with the records of the events; nothing is changed.
   * `position`: what was corrected behind that is unknown; default: all is known. Throws CORRECTION_INVALID.
   */
  async plan(
    { corrections, reason, by, isFinal = false }: CorrectionSet,
    position = Infinity,
  ): Promise<CorrectionPlan> {
    const refuse = (why: string): never => {
      throw streamsErrors.create('CORRECTION_INVALID', { reason: why })
    }
    if (reason.trim() === '') refuse('no reason is given')
    if (by.trim() === '') refuse('it does not say who decided it')
    await this.#ports.book.follow()
    const ids = new Set(corrections.map(({ id }) => id))
    if (ids.size < corrections.length) refuse('an event is named twice')
    const records = await this.#find(corrections)
    const results: CorrectionResult[] = []
    const events: CorrectionPlan['events'][number][] = []
    const slices = this.#slices()
    for (const requested of corrections) {
      await slices.pause()
      const { id, action, data } = requested
      const record = records.get(id)
      const why = this.#refusalOf(requested, record)
      if (why !== undefined || record === undefined) {
        results.push({ id, status: 'refused', reason: why ?? 'the log has no such event' })
        continue
      }
      const isSo = this.#isSo(requested, position) && (!isFinal || this.#ports.book.isFinal(id))
      if (isSo) {
        results.push({ id, status: 'unchanged', reason: SO_ALREADY[action] })
        continue
      }
      results.push({ id, status: 'corrected' })
      const { stream, type, partition, offset } = record
      const event = { id, stream, type, place: { partition, offset } }
      events.push({ action, event: action === 'correct' ? { ...event, data } : event })
    }
    return { results, events, records }
  }

  #slices(): Slices {
    return new Slices(this.#ports.clock, this.#ports.sliceMs)
  }

  #refusalOf(requested: RequestedCorrection, record: LogRecord | undefined): string | undefined {
    const { action, data } = requested
    if (record === undefined) return 'the log has no such event'
    if (record.tenant !== DEFAULT_TENANT) return 'it belongs to another tenant'
    if (
      record.generation !== OUTSIDE ||
      record.isUnique ||
      record.type === TICK_TYPE ||
      record.stream.startsWith('streams.')
    ) {
      return 'it did not come from outside: correct the events that it follows from'
    }
    const failure = unreadable(record)
    if (failure !== undefined) return `${failure.message} ${failure.remedy}`
    const isErased = record.isErased === true || this.#ports.book.isFinal(record.id)
    if (isErased && action !== 'retract') return ERASED_REASON
    if (action !== 'correct') return undefined
    if (data === undefined) return 'it says no new data'
    return this.#ports.check?.(record, data)
  }

  #isSo({ id, action, data }: RequestedCorrection, position: number): boolean {
    const entry = this.#ports.book.entry(id)
    const current = entry === undefined ? undefined : correctionAt(entry, position)
    if (action === 'restore') return current === undefined
    if (current?.action !== action) return false
    return current.action !== 'correct' || canonicalText(current.data) === canonicalText(data)
  }

  /** The records of events, by id. One that is named by a place where another is counts as unknown. */
  async #find(
    corrections: readonly RequestedCorrection[],
  ): Promise<ReadonlyMap<string, LogRecord>> {
    const { log, book } = this.#ports
    const originals = new Originals(log)
    const entries = new Map<string, CorrectionChange['entry']>()
    const unplaced: string[] = []
    for (const { id, place } of corrections) {
      const known = book.entry(id)
      if (known?.place !== undefined) {
        entries.set(id, known)
      } else if (place !== undefined) {
        const { stream, partition, offset } = place
        entries.set(id, { id, stream, type: '', place: { partition, offset }, history: [] })
      } else unplaced.push(id)
    }
    await originals.load([...entries.values()])
    const found = new Map<string, LogRecord>()
    for (const [id, entry] of entries) {
      const record = originals.of(entry)
      if (record !== undefined) found.set(id, record)
    }
    const slices = this.#slices()
    // Ids are ordered by time: what was sent together is found together.
    unplaced.sort()
    for (let at = 0; at < unplaced.length; at += FINDS_AT_ONCE) {
      const records = await log.find(unplaced.slice(at, at + FINDS_AT_ONCE))
      for (const [id, record] of records) found.set(id, record)
      await slices.pause()
    }
    return found
  }
}

/** What is in force once a set is applied; nobody asks for its source before. */
function correctionBy(action: CorrectionAction, data: unknown): Correction | undefined {
  const source = ''
  if (action === 'restore') return undefined
  return action === 'correct' ? { action, source, data } : { action, source }
}

function sumOf(parts: Iterable<CorrectionProgress>): CorrectionProgress {
  let keys = 0
  let done = 0
  for (const part of parts) {
    keys += part.keys
    done += part.done
  }
  return { keys, done }
}
