/**
 * Brings every lane to the corrections that the log holds.
 *
 * Promise: a lane's state is a function of its offset and of the corrections that it reflects, both of
 * which are in its snapshot; so whatever is killed, what is left to do follows from the log. A lane
 * stands still while it goes from one position of corrections to a later one: records are taken out
 * and put in where the shard can do that to the byte, other keys are folded again from their history.
 * Lanes go on one by one; `reached` tells when all have.
 */
import { Backoff, isError, partitionName, type Position } from '@millrace/core'
import type { LogRecord, Step } from '@millrace/log'
import { eventIdOf } from '../amendments.ts'
import { MERGED } from '../identity/contract.ts'
import { openIdentity } from '../identity/index.ts'
import { touchedBy, type Identity, type Touched } from '../identity/touched.ts'
import { errorText, type Beside, type Lane } from '../lane.ts'
import { refoldKeys } from '../rebuild.ts'
import type { Base } from '../refold-many.ts'
import { retryParked } from '../refold.ts'
import type { FoldRunner, LaneRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import type { StepWriter } from '../step-writer.ts'
import { Appender } from './appender.ts'
import type { CorrectionChange } from './book.ts'
import { ChangedRecords } from './changed-records.ts'
import { CorrectedRows } from './corrected-rows.ts'
import { CORRECTIONS_STREAM, type CorrectionData, type Corrections } from './contract.ts'
import { EmissionMarks, markOf } from './emission-marks.ts'
import { emissionChangesOf, type EmissionChanges } from './emissions.ts'
import { Histories } from './histories.ts'
import type { CorrectionJob, CorrectorPorts, LaneProgress } from './job.ts'
import { bringOn, firstOffset, invertOne, isBehind, keysOf } from './lane-changes.ts'
import { batchesOf, correctionEvents, type CorrectedItem } from './records.ts'
import { NOWHERE, Originals, type RecordChange } from './originals.ts'

/** Snapshots wait so long for corrections: what is being corrected would be written twice. */
const SNAPSHOTS_WAIT_MS = 30_000
/** Records of corrections, of up to 128 KiB each. */
const RECORDS_AT_ONCE = 8

/** See the head of the file. */
export class Corrector {
  readonly #ports: CorrectorPorts
  readonly #runners: readonly FoldRunner[]
  readonly #reading: Backoff
  readonly #identity: Identity
  readonly #progress = new Map<LaneRunner, LaneProgress>()
  readonly #marks: EmissionMarks
  /** Records of corrections that are being put on the log, by the ids of the events. */
  readonly #planned = new Set<ReadonlyMap<string, LogRecord>>()
  #originals: Originals
  readonly #histories: Histories
  readonly #changed = new Map<string, Promise<ChangedRecords>>()
  readonly #appender: Appender
  readonly rows: CorrectedRows
  #isReading = false
  #busySinceMs: number | undefined
  #isClosed = false

  constructor(ports: CorrectorPorts, runners: readonly FoldRunner[]) {
    this.#ports = ports
    const { watch } = ports
    // Tables first: who joins them is folded again once.
    this.#runners = [...runners].sort((a, b) => Number(watch.isTable(b)) - Number(watch.isTable(a)))
    this.#reading = new Backoff(ports)
    this.#appender = new Appender(ports)
    this.#identity = openIdentity(ports, this.#appender, this.#runners)
    this.#originals = this.#createOriginals()
    this.#histories = new Histories(ports.log, this.#planned)
    const touchedBetween = this.touchedBetween.bind(this)
    this.rows = new CorrectedRows({ log: ports.log, book: ports.book, touchedBetween })
    this.#marks = new EmissionMarks(ports.book)
    for (const laneRunner of runners.flatMap(({ lanes }) => lanes)) {
      laneRunner.owesEmissions = () => this.#marks.isOwing(laneRunner)
      laneRunner.emittedTo = () => this.#marks.emittedTo(laneRunner.lane)
    }
  }

  /** Looks what was corrected, and what is left to do. Called before each turn of the loop. */
  begin(): void {
    const { book } = this.#ports
    if (this.#isClosed) return
    if (book.hasNews() && !this.#isReading && !this.#reading.isPausing)
      this.#ports.track(this.#read())
    if (book.position === 0) return
    const { carrier } = this.#identity
    carrier.begin(this.#originals)
    let isBusy = carrier.isBusy
    for (const runner of this.#runners) {
      for (const laneRunner of runner.lanes) {
        if (runner.definition.isRekeying === true) continue
        if (this.#isDue(runner, laneRunner)) this.#start(runner, laneRunner, this.#correct)
        else if (this.#owes(runner, laneRunner)) this.#start(runner, laneRunner, this.#follow)
        isBusy ||= this.#progress.has(laneRunner)
      }
    }
    if (isBusy) {
      this.#busySinceMs ??= this.#ports.clock.monotonicMs()
      return
    }
    this.#busySinceMs = undefined
    this.#originals = this.#createOriginals()
    this.#changed.clear()
    this.#histories.forget()
  }

  /** Spares reading records that whoever corrects them has read; gives how to end that. */
  remember(records: ReadonlyMap<string, LogRecord>): () => void {
    this.#planned.add(records)
    return () => this.#planned.delete(records)
  }

  #createOriginals(): Originals {
    return new Originals(this.#ports.log, this.#planned)
  }

  /** True while it is better to write no snapshots yet. Work that takes longer is kept by them as far as it is. */
  get holdsSnapshots(): boolean {
    const since = this.#busySinceMs
    return since !== undefined && this.#ports.clock.monotonicMs() - since < SNAPSHOTS_WAIT_MS
  }

  /** Nothing more is begun. */
  close(): void {
    this.#isClosed = true
    this.#reading.stop()
    this.#appender.close()
    this.#identity.carrier.close()
  }

  /** True when a fold reflects the corrections before `position`, those that were re-keyed included. */
  hasReached(runner: FoldRunner, position: Position, upstream: readonly FoldRunner[]): boolean {
    const needed = position.get(partitionName(CORRECTIONS_STREAM, 0)) ?? 0
    const { carrier } = this.#identity
    if (runner.definition.isRekeying === true) return true
    if (!carrier.hasReached(needed, position)) return false
    let derived = needed
    for (const emitter of upstream) {
      for (const laneRunner of emitter.lanes) {
        const end = this.#derivedEnd(emitter, laneRunner, needed)
        if (end === undefined) return false
        derived = Math.max(derived, end)
      }
    }
    for (const laneRunner of runner.lanes) {
      const { lane } = laneRunner
      if (lane.corrections.position < derived || this.#progress.has(laneRunner)) return false
    }
    const { source } = runner.definition
    return runner.lanes.every(
      ({ lane }) =>
        lane.consumed >= (carrier.appended.get(partitionName(source, lane.partition)) ?? 0),
    )
  }

  /** The end of what follows from the corrections before `needed` for what a lane emitted; undefined while that is not on the log. */
  #derivedEnd(emitter: FoldRunner, laneRunner: LaneRunner, needed: number): number | undefined {
    const { lane, writer } = laneRunner
    if (emitter.definition.isRekeying === true) return 0
    if (lane.corrections.position < needed || this.#progress.has(laneRunner)) return undefined
    // Of another process, too: it may have been killed before it corrected anything.
    if (writer !== undefined && this.#marks.emittedTo(lane) < needed) return undefined
    const mark = this.#ports.book.markOf(markOf(lane))
    return mark === undefined ? 0 : mark.at + 1
  }

  /** What is being folded again now, by fold. */
  progress(): ReadonlyMap<string, LaneProgress> {
    const byFold = new Map<string, LaneProgress>()
    for (const runner of this.#runners) {
      for (const laneRunner of runner.lanes) {
        const own = this.#progress.get(laneRunner)
        if (own === undefined) continue
        const { keys, done } = byFold.get(runner.name) ?? { keys: 0, done: 0 }
        byFold.set(runner.name, { keys: keys + own.keys, done: done + own.done })
      }
    }
    return byFold
  }

  /** What changes of corrections do, by the partition that has the records; `originals` has those of the events. */
  changedBy(
    changes: readonly CorrectionChange[],
    originals: Originals,
    people: { readonly before: Corrections; readonly after: Corrections },
  ): ChangedRecords {
    const { clock, sliceMs } = this.#ports
    const createSlices = (): Slices => new Slices(clock, sliceMs)
    const { graph } = this.#identity
    return new ChangedRecords(changes, { originals, graph, people, createSlices })
  }

  /** The records of a lane that changes touch. */
  async changesOf(lane: Lane, changed: ChangedRecords): Promise<readonly RecordChange[]> {
    const found = await changed.in(lane.definition.source, lane.partition)
    return found.filter(
      ({ before, after }) =>
        (before !== undefined && lane.takes(before)) || (after !== undefined && lane.takes(after)),
    )
  }

  /** What the corrections between two positions do: found once for all lanes. */
  #changedBetween(from: number, to: number): Promise<ChangedRecords> {
    const name = `${from} ${to}`
    const known = this.#changed.get(name)
    if (known !== undefined) return known
    const find = async (): Promise<ChangedRecords> => {
      const originals = this.#originals
      const { book } = this.#ports
      const changes = book.changes(from, to)
      await originals.load(changes.map(({ entry }) => entry))
      return this.changedBy(changes, originals, { before: book.at(from), after: book.at(to) })
    }
    const found = find()
    this.#changed.set(name, found)
    // Whoever comes after a failure looks again.
    found.catch(() => this.#changed.delete(name))
    return found
  }

  /** Brings a build beside a lane to the corrections that the lane reflects: what they touch is stale. */
  async correctBeside(laneRunner: LaneRunner, beside: Beside): Promise<void> {
    const { lane, stale } = beside
    for (;;) {
      const from = lane.corrections.position
      const to = laneRunner.lane.corrections.position
      const { records, keys } = await this.touchedBetween(lane, from, to)
      if (laneRunner.lane.corrections.position !== to) continue
      // It was brought on with the lane meanwhile, or is now.
      if (lane.corrections.position === from) lane.corrections = lane.corrections.at(to)
      for (const key of [...keysOf(lane, records), ...keys]) stale.add(key)
      return
    }
  }

  /** What it touches of a lane that `ids` are other people after than before. */
  touchedByPeople(
    lane: Lane,
    ids: readonly string[],
    span: { readonly before: Corrections; readonly after: Corrections },
  ): Promise<Touched> {
    return touchedBy(this.#identity, lane, ids, span)
  }

  /** The events that name people, each once and as they were sent; all that are durable when it begins. */
  async *eventsOf(ids: readonly string[]): AsyncGenerator<LogRecord> {
    if (ids.length === 0) return
    const { origins, carrier } = this.#identity
    // What a correction made of an event is found by what stands in for it.
    await carrier.settled(this.#ports.book.position)
    for (const stream of origins.streams) await origins.settled(stream)
    yield* origins.of(ids)
  }

  /** What corrections, merges and splits between two positions of corrections touch of a lane. */
  async touchedBetween(lane: Lane, from: number, to: number): Promise<Touched> {
    const { book } = this.#ports
    const span = { before: book.at(from), after: book.at(to) }
    const merged = await touchedBy(this.#identity, lane, book.people.changed(from, to), span)
    const corrected = await this.changesOf(lane, await this.#changedBetween(from, to))
    if (merged.records.length === 0) return { records: corrected, keys: merged.keys }
    // What is corrected within the span is said once, with the people that it has.
    const known = new Set(book.changes(from, to).map(({ entry }) => entry.id))
    const others = merged.records.filter(({ origin }) => !known.has(origin.id))
    return { records: [...corrected, ...others], keys: merged.keys }
  }

  async #read(): Promise<void> {
    const { book, logger, wake } = this.#ports
    this.#isReading = true
    try {
      await book.follow()
      this.#reading.succeed()
    } catch (error) {
      this.#reading.fail()
      logger.warn('corrections cannot be read', { reason: errorText(error) })
    } finally {
      this.#isReading = false
      wake()
    }
  }

  #isDue(runner: FoldRunner, laneRunner: LaneRunner): boolean {
    const { lane, error } = laneRunner
    if (error !== undefined || this.#progress.has(laneRunner)) return false
    if (lane.corrections.position >= this.#ports.book.position) return false
    // Its keys would be folded again once for each lane whose emissions are corrected now.
    return !this.#emittersTo(runner).some(emitter =>
      emitter.lanes.some(other => this.#progress.has(other) || this.#owes(emitter, other)),
    )
  }

  /** Folds with a state of their own that emit what a fold reads. */
  #emittersTo({ definition: { source } }: FoldRunner): readonly FoldRunner[] {
    return this.#runners.filter(
      ({ definition }) =>
        definition.isRekeying !== true &&
        definition.source !== source &&
        definition.targets?.includes(source) === true,
    )
  }

  /** Work on a lane that stands still; it is gone on with after the log was away. */
  #start(
    runner: FoldRunner,
    laneRunner: LaneRunner,
    work: (job: CorrectionJob) => Promise<void>,
  ): void {
    const job: CorrectionJob = {
      runner,
      laneRunner,
      keys: 0,
      done: 0,
      touched: new Set(),
      again: new Set(),
    }
    this.#progress.set(laneRunner, job)
    const { logger, track, retries } = this.#ports
    track(
      retries
        .persist(runner, laneRunner, () => work.call(this, job))
        .catch((error: unknown) => {
          laneRunner.error = error
          const reason = laneRunner.lane.stopText(error)
          logger.error('a fold stopped', { fold: runner.name, reason })
        })
        .finally(() => this.#progress.delete(laneRunner)),
    )
  }

  /** Brings the state of a lane to what the log holds. */
  async #correct(job: CorrectionJob): Promise<void> {
    const { laneRunner, touched, again } = job
    const { book } = this.#ports
    const { lane } = laneRunner
    const from = lane.corrections.position
    const to = book.position
    const { records: found, keys: merged } = await this.touchedBetween(lane, from, to)
    const keys = new Set([...keysOf(lane, found), ...merged])
    for (const key of merged) again.add(key)
    for (const key of keys) touched.add(key)
    job.keys = touched.size
    laneRunner.correctingFrom ??= from
    lane.corrections = lane.corrections.at(to)
    for (const beside of laneRunner.besides) bringOn(beside, to, keys)
    await this.#again(job, found)
    laneRunner.correctingFrom = undefined
  }

  /** Folds the touched keys of a lane again that reflects its corrections by now. */
  async #again(job: CorrectionJob, found: readonly RecordChange[]): Promise<void> {
    const { runner, laneRunner, touched, again } = job
    const { watch } = this.#ports
    const { lane } = laneRunner
    if (touched.size === 0) return
    await this.#invert(lane, found, again)
    job.done = touched.size - again.size
    const base = await this.#baseOf(job)
    const ports = { ...this.#ports, log: this.#histories.at(lane.corrections.position) }
    await refoldKeys(ports, laneRunner, [...again], { base, onKey: () => (job.done += 1) })
    again.clear()
    for (const key of touched) await this.#retry(runner, laneRunner, key)
    watch.noteRetried(runner, [...touched])
    job.done = touched.size
    // What was folded is as far as before, and a snapshot of it would do the same again.
    runner.foldedAtSnapshot = -1
  }

  /** Where the keys of a lane can begin. */
  async #baseOf({ runner, laneRunner: { lane }, again }: CorrectionJob): Promise<Base | undefined> {
    if (again.size === 0) return undefined
    const { log, bases, watch } = this.#ports
    const to = lane.corrections.position
    const image = await bases.find(runner, lane, again, async ({ corrected = 0, ...header }) => {
      // It is of another past of the log.
      if (corrected > to) return 0
      if (!(await this.rows.areSame(watch.tablesOf(runner), header))) return 0
      const { records, keys } = await this.touchedBetween(lane, corrected, to)
      // Who somebody is is otherwise from the first record on.
      return keys.length > 0 ? 0 : await firstOffset(log, lane, records)
    })
    if (image === undefined) return undefined
    const ports = { log, rows: this.rows }
    return { image, catchUp: copy => watch.catchUpBeside(ports, runner, copy, image.header) }
  }

  /** Takes records out and puts them in where the shard can; the keys of others are to be folded again. */
  async #invert(lane: Lane, changes: readonly RecordChange[], again: Set<string>): Promise<void> {
    const { clock, sliceMs } = this.#ports
    const slices = new Slices(clock, sliceMs)
    for (const change of changes) {
      const own = keysOf(lane, [change])
      if (isBehind(lane, change)) continue
      if (!this.#canInvert(lane, change, own) || !invertOne(lane, change, own)) {
        for (const key of own) again.add(key)
      }
      await slices.pause()
    }
  }

  /** True when the lane is certain to have folded the record, and its shard alone says what came of it. */
  #canInvert(
    lane: Lane,
    { before, after, origin }: RecordChange,
    keys: ReadonlySet<string>,
  ): boolean {
    const { definition, partition, options } = lane
    if ((definition.targets?.length ?? 0) > 0) return false
    if (options.amendments.size > 0 && options.amendments.has(eventIdOf(origin))) return false
    for (const key of keys) if (lane.parked.has(key)) return false
    const { source } = definition
    // What was erased cannot be taken out: its fields are gone.
    if (origin.offset === NOWHERE || origin.isErased === true) return false
    if ((before ?? after)?.generation === MERGED) return false
    if (origin.stream === source) return true
    // A stand-in may or may not be in the log.
    if ((before ?? after)?.isUnique !== true) return false
    const name = partitionName(source, partition)
    return this.#rekeyingTo(source).every(emitter => {
      if (emitter.definition.source !== origin.stream) return true
      const ends = emitter.lanes[origin.partition]?.writer?.endsAfter(origin.offset + 1)
      return ends !== undefined && (ends.get(name) ?? 0) <= lane.consumed
    })
  }

  /** A key that waits at a record that is corrected may go on. */
  async #retry(runner: FoldRunner, laneRunner: LaneRunner, key: string): Promise<void> {
    const { lane, writer } = laneRunner
    if (!lane.parked.has(key) || writer?.leads === false) return
    await retryParked(this.#ports, lane, key, false)
    await this.#ports.settle(runner, laneRunner)
  }

  /** True for a lane whose emissions are to be corrected here and now, or looked at. */
  #owes({ definition }: FoldRunner, laneRunner: LaneRunner): boolean {
    if ((definition.targets?.length ?? 0) === 0 || definition.isRekeying === true) return false
    if (laneRunner.error !== undefined || this.#progress.has(laneRunner)) return false
    return this.#marks.isDue(laneRunner)
  }

  /** Corrects what a lane has emitted, where this process does that; else it looks whether there is anything to wait for. */
  async #follow(job: CorrectionJob): Promise<void> {
    const { runner, laneRunner } = job
    const marks = this.#marks
    const { lane, writer } = laneRunner
    const [from, to] = [marks.emittedTo(lane), marks.goal(lane)]
    const touched = await this.touchedBetween(lane, from, to)
    const keys = new Set([...keysOf(lane, touched.records), ...touched.keys])
    if (keys.size === 0 && !marks.isBegun(lane)) return marks.noteUnchanged(lane, to)
    if (writer?.leads !== true) return marks.noteAwaited(lane)
    job.keys = keys.size
    await this.#ports.settle(runner, laneRunner)
    if (!writer.leads) return
    const ports = { ...this.#ports, log: this.#histories.at(to) }
    const found = await emissionChangesOf(ports, lane, keys, { from, to })
    try {
      await this.#write(lane, writer, found, to)
    } catch (error) {
      if (!isError(error, 'LEASE_LOST')) throw error
      writer.lose()
    }
  }

  /** Puts on the log what a lane emits otherwise by the first `to` corrections: while this process leads, and all of it, whoever is killed. */
  async #write(lane: Lane, writer: StepWriter, found: EmissionChanges, to: number): Promise<void> {
    const { clock, book } = this.#ports
    const { appended, corrected } = found
    const mark = { ...markOf(lane), corrected: to }
    const reason = 'what it follows from was corrected'
    const facts = { reason, by: lane.definition.name }
    const records = (more: Partial<CorrectionData>, batches: Iterable<readonly CorrectedItem[]>) =>
      correctionEvents({ ...facts, ...more }, batches, clock.nowMs(), to)
    const step = (): Step => writer.standing()
    const rest = [...records({ follows: mark }, batchesOf(corrected))]
    if (appended.length > 0 || rest.length > RECORDS_AT_ONCE) {
      await this.#identity.carrier.append([...records({ begins: mark }, []), ...appended], step)
    }
    await this.#appender.append(rest, RECORDS_AT_ONCE, step)
    await book.follow()
  }

  #rekeyingTo(stream: string): readonly FoldRunner[] {
    return this.#runners.filter(
      ({ definition }) =>
        definition.isRekeying === true && definition.targets?.includes(stream) === true,
    )
  }
}
