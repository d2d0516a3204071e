/**
 * One pass over a partition in the order in which its records became known: the state of a fold as
 * it was known at one moment after the other.
 *
 * Promise: at moment t the state of a fresh key is that of all records known at t, folded in the order
 * of the log, as the corrections, merges of people and table versions known at t say. So what is
 * appended later, however old the times that it carries, changes no state of an earlier moment. Cost:
 * each record is looked at once and folded once. What comes out of the order of the log, is corrected,
 * or has read a version that came late, makes a key stale; it is folded again from its history when
 * it is asked for.
 */
import { DEFAULT_TENANT, type EventLog, type LogRecord } from '@millrace/log'
import { eventIdOf, withData } from '../amendments.ts'
import { CorrectionBook } from '../corrections/book.ts'
import { CORRECTIONS_STREAM } from '../corrections/contract.ts'
import { EmissionIds } from '../emission-id.ts'
import { streamsErrors } from '../errors.ts'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import { emittersOf, OUTSIDE, readGenerations } from '../generations.ts'
import { MERGED } from '../identity/contract.ts'
import { isKeyedByPeople, peopleIn } from '../identity/people.ts'
import { Lane } from '../lane.ts'
import { historyOf } from '../refold.ts'
import { knownMsOf, openKnownOrder, type KnownOrder } from './order.ts'
import { KnownTables } from './tables.ts'

/** What a pass reads. */
export type KnownLog = Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>

/** What of a log is passed over. */
export interface KnownRequest<Shard extends FoldShard = FoldShard> {
  readonly fold: FoldDefinition<Shard>
  /** All folds of the app: those that re-key tell which records count. */
  readonly folds: readonly FoldDefinition[]
  readonly partition: number
  /** The log as far as it counts, by partition of each stream; behind it nothing is known. */
  readonly ends: ReadonlyMap<string, number>
  /** How far a watermark may be ahead of what the log took, and how late it is. */
  readonly skewMs: number
  readonly latenessMs: number
  /**
   * The order of the log is taken for that in which records became known, which saves a look at all of
   * them: what the pass gave counts if `isOrderKept` says so at the end. Default false.
   */
  readonly isOrderAssumed?: boolean
}

/** See the head of the file. */
export class KnownPass<Shard extends FoldShard = FoldShard> {
  readonly shard: Shard
  /** Records that were folded, each counted once. */
  folded = 0
  /** Keys that were folded again. */
  refolded = 0
  readonly #log: KnownLog
  readonly #request: KnownRequest<Shard>
  readonly #lane: Lane<Shard>
  readonly #order: KnownOrder
  readonly #book: CorrectionBook
  /** When each record of corrections became known. */
  readonly #correctedMs: readonly number[]
  readonly #tables: KnownTables
  readonly #end: number
  /** Keys whose state is not what is known, in the order of the log. */
  readonly #stale = new Set<string>()
  /** The keys that events touched which are corrected some day, or people who are merged, by their ids. */
  readonly #touched = new Map<string, Set<string>>()
  /** The last offset folded for each key; kept where records are out of order. */
  readonly #lastOffset = new Map<string, number>()
  #batch: readonly LogRecord[] = []
  #at = 0
  #late = 0
  #nowMs = Number.NEGATIVE_INFINITY

  private constructor(
    log: KnownLog,
    request: KnownRequest<Shard>,
    opened: {
      readonly lane: Lane<Shard>
      readonly order: KnownOrder
      readonly book: CorrectionBook
      readonly correctedMs: readonly number[]
      readonly tables: KnownTables
      readonly end: number
    },
  ) {
    this.#log = log
    this.#request = request
    this.#lane = opened.lane
    this.#order = opened.order
    this.#book = opened.book
    this.#correctedMs = opened.correctedMs
    this.#tables = opened.tables
    this.#end = opened.end
    this.shard = opened.lane.shard
  }

  /** Opens a pass at the beginning of the log. Rejects with SWEEP_IMPOSSIBLE. */
  static async open<Shard extends FoldShard>(
    log: KnownLog,
    request: KnownRequest<Shard>,
  ): Promise<KnownPass<Shard>> {
    const { fold, folds, partition, ends } = request
    const counts = new Map(
      log.stats().streams.map(({ stream, partitions }) => [stream, partitions.length]),
    )
    const partitions = counts.get(fold.source)
    if (partitions === undefined) {
      const reason = `the log has no stream ${fold.source}`
      throw streamsErrors.create('SWEEP_IMPOSSIBLE', { fold: fold.name, reason })
    }
    const endOf = (stream: string, index: number): number => ends.get(`${stream}/${index}`) ?? 0
    const bounded = boundedLog(log, endOf(CORRECTIONS_STREAM, 0))
    const book = await CorrectionBook.read(bounded)
    const generations = await readGenerations(log)
    const reads = new Set([OUTSIDE, MERGED])
    for (const { name } of emittersOf(folds, fold.source)) {
      reads.add(generations.get(name)?.generation ?? OUTSIDE)
    }
    const head = book.head()
    const kinds = (fold.tables ?? []).map(kind => ({
      kind,
      ends: Array.from({ length: counts.get(kind) ?? 0 }, (_, index) => endOf(kind, index)),
    }))
    // A version that is taken back some day was never there: tables are corrected as they are now.
    const tables = await KnownTables.read(log, kinds, record => head.of(record) !== undefined)
    const emitter = { fold: fold.name, generation: OUTSIDE, definition: undefined, ids: new EmissionIds(fold.name, OUTSIDE), targets: new Map<string, number>() } // prettier-ignore
    const lane = new Lane<Shard>({
      definition: fold,
      partition,
      partitions,
      tenant: DEFAULT_TENANT,
      emitter,
      generations: reads,
      tables,
      amendments: new Map(),
      corrections: book.at(0),
      isPersonal: true,
    })
    const end = endOf(fold.source, partition)
    const range = { stream: fold.source, partition, end }
    const order = await openKnownOrder(log, range, request.isOrderAssumed === true)
    const correctedMs = await correctionTimes(bounded, book.position)
    return new KnownPass(log, request, { lane, order, book, correctedMs, tables, end })
  }

  /** Under which key an id is found by what was known at `timeMs`: people may be merged. */
  keyAt(id: string, timeMs: number): string {
    if (this.#correctedMs.length === 0 || !isKeyedByPeople(this.#lane.definition.source)) return id
    return this.#book.people.canonicalAt(id, this.#positionAt(timeMs))
  }

  /** Goes on to what was known at `timeMs`, which is not before the last moment; undefined when nothing had to be read. */
  advance(timeMs: number): Promise<void> | undefined {
    this.#run(timeMs)
    return this.#at < this.#batch.length || this.#isAtEnd ? undefined : this.#read(timeMs)
  }

  #isAtEnd = false

  async #read(timeMs: number): Promise<void> {
    while (this.#at === this.#batch.length && !this.#isAtEnd) {
      this.#batch = await this.#order.read()
      this.#at = 0
      this.#isAtEnd = this.#batch.length === 0
      this.#run(timeMs)
    }
  }

  /** Reads to the end; false when the order of the log was assumed to be another one than it is, and so states were wrong. */
  async isOrderKept(): Promise<boolean> {
    while (!this.#isAtEnd && !this.#order.isMistaken()) {
      this.#isAtEnd = (await this.#order.read()).length === 0
    }
    return !this.#order.isMistaken()
  }

  /** Makes sure that a key has the state of the moment; undefined when it has it. */
  refresh(key: string): Promise<void> | undefined {
    return this.#stale.has(key) ? this.#refold(key) : undefined
  }

  /** Folds what is at hand. */
  #run(timeMs: number): void {
    const batch = this.#batch
    while (this.#at < batch.length) {
      const record = batch[this.#at] as LogRecord
      const knownMs = knownMsOf(record)
      if (knownMs > timeMs) break
      this.#becomeKnown(knownMs)
      this.#fold(record, knownMs)
      this.#at += 1
    }
    if (this.#at < batch.length || this.#isAtEnd) this.#becomeKnown(timeMs)
  }

  /** What else was known then: corrections and versions of tables. */
  #becomeKnown(timeMs: number): void {
    if (timeMs <= this.#nowMs) return
    this.#nowMs = timeMs
    this.#tables.knownMs = timeMs
    const { late } = this.#tables
    for (; this.#late < late.length; this.#late++) {
      const { kind, id, atMs, knownMs } = late[this.#late] as (typeof late)[number]
      if (knownMs > timeMs) break
      for (const key of this.shard.readersOf?.(kind, id, atMs) ?? []) this.#stale.add(key)
    }
    const { position } = this.#lane.corrections
    const to = this.#positionAt(timeMs)
    if (to > position) this.#correct(position, to)
  }

  /** How many corrections were known. */
  #positionAt(timeMs: number): number {
    const times = this.#correctedMs
    let from = 0
    for (let to = times.length; from < to;) {
      const middle = (from + to) >>> 1
      if ((times[middle] as number) <= timeMs) from = middle + 1
      else to = middle
    }
    return from
  }

  #correct(from: number, to: number): void {
    const lane = this.#lane
    const before = lane.corrections
    lane.corrections = this.#book.at(to)
    for (const { entry } of this.#book.changes(from, to)) this.#spoil(entry.id)
    for (const id of this.#book.people.changed(from, to)) {
      this.#spoil(`${PERSON_MARK}${id}`)
      if (!isKeyedByPeople(lane.definition.source)) continue
      for (const key of [id, before.canonical?.(id), lane.corrections.canonical?.(id)]) {
        if (key !== undefined) this.#stale.add(key)
      }
    }
  }

  #spoil(id: string): void {
    for (const key of this.#touched.get(id) ?? []) this.#stale.add(key)
  }

  /** Folds the record at hand. */
  #fold(record: LogRecord, knownMs: number): void {
    const lane = this.#lane
    const isWanted = lane.takes(record)
    if (isWanted && this.#correctedMs.length > 0) this.#noteTouched(record)
    if (this.#order.isSorted) {
      lane.run(this.#batch, this.#at, this.#at + 1)
    } else {
      const timed = this.#withWatermark(record, knownMs)
      // What is out of order is folded at its place when its key is asked for.
      if (isWanted && this.#isOutOfOrder(timed)) lane.advanceTo(timed)
      else lane.run([timed], 0, 1)
    }
    if (isWanted) this.folded += 1
    if (lane.failure === undefined) return
    const { reason } = lane.failure
    throw streamsErrors.create('SWEEP_IMPOSSIBLE', { fold: lane.definition.name, reason })
  }

  /** True when a key of the record has had one that comes behind it in the log; all its keys are stale then. */
  #isOutOfOrder(record: LogRecord): boolean {
    const keys = this.#lane.keysOf(record)
    const { offset } = record
    const isOut = keys.some(
      key => this.#stale.has(key) || offset < (this.#lastOffset.get(key) ?? -1),
    )
    for (const key of keys) {
      if (isOut) this.#stale.add(key)
      if (offset > (this.#lastOffset.get(key) ?? -1)) this.#lastOffset.set(key, offset)
    }
    return isOut
  }

  #noteTouched(record: LogRecord): void {
    const { definition } = this.#lane
    const ids: string[] = []
    const event = eventIdOf(record)
    if (this.#book.entry(event) !== undefined) ids.push(event)
    const { people } = definition
    if (people !== undefined && this.#book.people.isAnyAt(Infinity)) {
      for (const id of peopleIn(record, people)) {
        if (this.#book.people.history(id).length > 0) ids.push(`${PERSON_MARK}${id}`)
      }
    }
    for (const id of ids) {
      const keys = this.#touched.get(id) ?? new Set()
      this.#touched.set(id, keys)
      for (const key of this.#lane.keysOf(record)) keys.add(key)
    }
  }

  /** The watermark that a log would have that took the records in this order. */
  #withWatermark(record: LogRecord, knownMs: number): LogRecord {
    const { skewMs, latenessMs } = this.#request
    const own = Math.min(record.eventTimeMs, knownMs + skewMs) - latenessMs
    const watermarkMs = Math.max(this.#lane.watermarkMs, own)
    return { ...withData(record, record.data, record.payload), watermarkMs }
  }

  async #refold(key: string): Promise<void> {
    const lane = this.#lane
    const beside = lane.createBeside(new Set([key]))
    const nowMs = lane.watermarkMs
    for await (const record of historyOf(this.#log, lane, key, 0, this.#end)) {
      if (knownMsOf(record) > this.#nowMs) continue
      const watermarkMs = Math.min(record.watermarkMs, nowMs)
      const timed = { ...withData(record, record.data, record.payload), watermarkMs }
      beside.advanceTo(timed)
      beside.foldOne(timed)
    }
    lane.shard.decodeKey(key, beside.shard.encodeKey(key))
    this.#stale.delete(key)
    this.refolded += 1
  }
}

/** Tells the ids of people from those of events. */
const PERSON_MARK = '\0'

/** The log, with no more corrections than so many. */
function boundedLog(log: KnownLog, corrections: number): Pick<EventLog, 'read' | 'ends'> {
  return {
    read: async request => {
      const left = corrections - request.from
      if (left <= 0) return []
      return await log.read({ ...request, recordsMax: Math.min(request.recordsMax ?? 1_000, left) })
    },
    ends: () => new Map([[`${CORRECTIONS_STREAM}/0`, corrections]]),
  }
}

async function correctionTimes(
  log: Pick<EventLog, 'read'>,
  position: number,
): Promise<readonly number[]> {
  const times: number[] = []
  while (times.length < position) {
    const from = times.length
    const records = await log.read({ stream: CORRECTIONS_STREAM, partition: 0, from })
    for (const { ingestTimeMs } of records) times.push(ingestTimeMs)
  }
  return times
}
