/**
 * Admission: gives every event of a commit its place, in the order of the calls, and frames it.
 *
 * Almost always a commit is admitted within its call. When a duplicate or a version can only be
 * judged by reading files, the commit is suspended with its unit half framed, and those that come
 * after it wait in line; the journal goes on writing whole units meanwhile.
 */
import { invariant, partitionOf } from '@millrace/core'
import type { Clock } from '@millrace/core'
import { differenceOf, eventConflict, versionConflict } from '../admission.ts'
import type { Declared } from '../admission.ts'
import type { DuplicateIndex, Place } from '../duplicates.ts'
import { logErrors } from '../errors.ts'
import { KeptRecord } from '../kept-record.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type { AppendResult, CommitRequest, CommitResult, NewEvent } from '../log.ts'
import { writeRecord } from './frames.ts'
import type { RecordHead } from './frames.ts'
import type { Journal } from './journal.ts'
import { hashOfKey } from './key-chains.ts'
import type { FileLogLimits } from './options.ts'
import type { Partition, Stream } from './partition.ts'
import type { Reader } from './reader.ts'
import { RECORD_OVERHEAD_BYTES, checkCommit, unreadable } from './work.ts'
import type { Answer, Work } from './work.ts'
import { numberOf, writeStep, writeStream } from './state.ts'
import type { LogState } from './state.ts'

const TAIL_OVERHEAD_BYTES = 256
const LOOKUPS_AT_ONCE = 64

/** See the head of the file. */
export class Committer {
  readonly #clock: Clock
  readonly #state: LogState
  readonly #journal: Journal
  readonly #ids: DuplicateIndex
  readonly #reader: Reader
  readonly #limits: FileLogLimits
  readonly counters = { appended: 0, duplicates: 0, conflicts: 0, steps: 0, suspended: 0 }
  readonly #head: RecordHead = {
    stream: 0,
    partition: 0,
    type: 0,
    tenant: 0,
    definition: 0,
    isUnique: false,
    offset: 0,
    ingestTimeMs: 0,
    watermarkMs: 0,
  }
  /** Scratch: hashes of the keys of one event. Never emptied: an array that is gets new memory each time. */
  readonly #hashes: number[] = []
  readonly #line: (() => void)[] = []
  #lineBytes = 0
  #isBusy = false
  #works = 0
  #idsSinceCheckpoint = 0
  /** Ids that opening the log again would perhaps take from the journal. */
  #idsUnsaved: number

  constructor(options: {
    clock: Clock
    state: LogState
    journal: Journal
    ids: DuplicateIndex
    reader: Reader
    limits: FileLogLimits
    idsUnsaved: number
  }) {
    this.#clock = options.clock
    this.#state = options.state
    this.#journal = options.journal
    this.#ids = options.ids
    this.#reader = options.reader
    this.#limits = options.limits
    this.#idsUnsaved = options.idsUnsaved
  }

  /** Bytes accepted and not durable. */
  get queuedBytes(): number {
    return this.#journal.queuedBytes + this.#lineBytes
  }

  /** Admits a commit; see the contract. Throws what refuses the whole of it at once. */
  commit(request: CommitRequest): Promise<CommitResult> {
    const all =
      request.step === undefined
        ? (request.events ?? [])
        : [...(request.events ?? []), ...request.step.emitted]
    const texts: (string | undefined)[] = []
    const bytes = checkCommit(this.#state, this.#limits, { request, all, texts })
    this.#pushBack(bytes)
    return new Promise((resolve, reject) => {
      const work: Work = {
        request,
        texts,
        all,
        bytes,
        results: [],
        touched: [],
        appendedTo: [],
        emitted: new Map(request.step?.ends),
        resolve,
        reject,
        number: 0,
        index: 0,
        records: 0,
        ingestTimeMs: this.#stamp(),
        answers: undefined,
      }
      this.#enter(bytes, () => this.#start(work))
    })
  }

  /** Makes declarations durable. */
  declare(streams: readonly Declared[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enter(0, () => {
        const group = this.#journal.begin(RECORD_OVERHEAD_BYTES * streams.length)
        for (const declared of streams) {
          const { number } = this.#state.streams.put(declared)
          writeStream(this.#journal.filling, declared, number)
        }
        group.waiters.push({ resolve, reject })
        this.#journal.end(0, this.#stamp())
      })
    })
  }

  /** Resolves when every commit that was called before is admitted, and none is half way. */
  settled(): Promise<void> {
    return new Promise(resolve => this.#enter(0, resolve))
  }

  /** Brings every id given so far to disk, so that the journal before it is not needed for them. */
  async saveIds(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#enter(0, () => {
        this.#checkpointIds({ force: true }).then(resolve, reject)
      })
    })
  }

  /**
   * Brings the ids to disk when there are so many that taking them from the journal again would
   * hold up the next opening. Call when everything is durable and nothing more comes.
   */
  async saveIdsOnClose(): Promise<void> {
    if (this.#idsUnsaved >= this.#limits.idsPerCheckpoint) await this.saveIds()
  }

  #stamp(): number {
    this.#state.lastIngestMs = Math.max(this.#state.lastIngestMs, this.#clock.nowMs())
    return this.#state.lastIngestMs
  }

  #pushBack(bytes: number): void {
    const { queuedBytes } = this
    const limitBytes = this.#limits.queueBytesMax
    if (queuedBytes === 0 || queuedBytes + bytes <= limitBytes) return
    const retryAfterMs = this.#journal.retryAfterMs(queuedBytes)
    throw logErrors.create('LOG_OVERLOADED', { queuedBytes, limitBytes, retryAfterMs })
  }

  /** Runs `task` now, or when those before it are done. */
  #enter(bytes: number, task: () => void): void {
    if (!this.#isBusy) {
      task()
      return
    }
    this.#lineBytes += bytes
    this.#line.push(() => {
      this.#lineBytes -= bytes
      task()
    })
  }

  /** Ends a time in which others waited. */
  #leave(): void {
    this.#isBusy = false
    while (!this.#isBusy) {
      const next = this.#line.shift()
      if (next === undefined) return
      next()
    }
  }

  #start(work: Work): void {
    const { step } = work.request
    try {
      if (this.#journal.failure !== undefined) throw this.#journal.refusal()
      if (step !== undefined) {
        const { durableEnd } = this.#state.streams.partition(
          step.source.stream,
          step.source.partition,
        )
        this.#state.steps.check(step, durableEnd)
      }
    } catch (error) {
      work.reject(error)
      return
    }
    work.number = ++this.#works
    this.#go(work)
  }

  /** A fault half way through a unit leaves places given that nothing will fill: the log stops there. */
  #go(work: Work): void {
    try {
      this.#advance(work)
    } catch (error) {
      this.#journal.fail(error)
      work.reject(error)
    }
  }

  /** Admits from where the work stands; ends with the work finished or suspended. */
  #advance(work: Work): void {
    const { all } = work
    const given = work.request.events?.length ?? 0
    for (; work.index < all.length; work.index++) {
      const event = all[work.index] as NewEvent
      const result = this.#admit(work, event, work.index >= given)
      if (result === undefined) {
        this.#suspend(work)
        return
      }
      if (work.index < given) work.results.push(result)
    }
    this.#finish(work)
  }

  #suspend(work: Work): void {
    this.counters.suspended += 1
    this.#isBusy = true
    this.#readAnswers(work)
      .then(answers => {
        work.answers = answers
        this.#isBusy = false
        this.#go(work)
        if (!this.#isBusy) this.#leave()
      })
      .catch(work.reject)
  }

  /** The result for an event, placed if it is new; undefined when files must be read first. */
  #admit(work: Work, event: NewEvent, isEmitted: boolean): AppendResult | undefined {
    const stream = this.#state.streams.get(event.stream)
    const number = event.partition ?? partitionOf(event.key, stream.partitions.length)
    const isUnique = isEmitted || event.isUnique === true
    const answer = work.answers?.get(work.index)
    if (answer?.error !== undefined) return unreadable(answer.error)
    if (!isUnique) {
      const known = this.#ids.lookup(event.id)
      if (known !== undefined && known !== 'unsure') {
        return this.#repeated(work, event, known, answer)
      }
      if (known === 'unsure') {
        if (answer === undefined) return undefined
        if (answer.place !== undefined) return this.#repeated(work, event, answer.place, answer)
      }
    }
    if (event.expectedVersion !== undefined) {
      const actual = this.#version(stream, event) ?? answer?.version
      if (actual === undefined) return undefined
      if (actual !== event.expectedVersion) {
        this.counters.conflicts += 1
        return versionConflict(event, actual)
      }
    }
    const partition = stream.partitions[number] as Partition
    const offset = this.#place(work, event, stream, partition, isUnique)
    if (isEmitted) work.emitted.set(partition.name, offset + 1)
    return { status: 'appended', partition: number, offset }
  }

  /** The result for an event whose id is known; undefined when its record must be read first. */
  #repeated(
    work: Work,
    event: NewEvent,
    place: Place,
    answer: Answer | undefined,
  ): AppendResult | undefined {
    const partition = this.#state.streams.at(place.stream)?.partitions[place.partition]
    invariant(partition !== undefined, 'the duplicate index names partitions that exist')
    const kept = partition.tail.get(place.offset)
    if (kept === undefined && answer?.place === undefined && place.offset >= partition.start) {
      return undefined
    }
    const record = kept ?? answer?.record
    const reason = record === undefined ? undefined : differenceOf(event, record)
    if (reason !== undefined) {
      this.counters.conflicts += 1
      return eventConflict(event.id, reason)
    }
    this.counters.duplicates += 1
    this.#touch(work, partition, place.offset + 1)
    return { status: 'duplicate', partition: place.partition, offset: place.offset }
  }

  #touch(work: Work, partition: Partition, end: number): void {
    if (partition.touchedBy !== work.number) {
      partition.touchedBy = work.number
      partition.touchedEnd = end
      work.touched.push(partition)
    } else if (end > partition.touchedEnd) {
      partition.touchedEnd = end
    }
  }

  /** The version of the key of an event as far as memory knows it. */
  #version(stream: Stream, event: NewEvent): number | undefined {
    const { key, tenant = DEFAULT_TENANT } = event
    const partition = stream.partitions[partitionOf(key, stream.partitions.length)] as Partition
    return this.#reader.versionInMemory(partition, tenant, key)
  }

  #place(
    work: Work,
    event: NewEvent,
    stream: Stream,
    partition: Partition,
    isUnique: boolean,
  ): number {
    const { names } = this.#state
    const ingestTimeMs = event.moved?.ingestTimeMs ?? work.ingestTimeMs
    if (work.records === 0) this.#journal.begin(work.bytes)
    const group = this.#journal.filling
    const { declared } = stream
    const reached =
      event.moved?.watermarkMs ??
      Math.min(event.eventTimeMs, ingestTimeMs + declared.skewMs) - declared.latenessMs
    if (reached > partition.watermarkMs) partition.watermarkMs = reached
    const offset = partition.nextOffset
    const part = partition.partOf(group.segment)
    const head = this.#head
    head.type = numberOf(names, 'type', event.type, group)
    head.definition = numberOf(names, 'definition', event.definition ?? '', group)
    head.tenant = numberOf(names, 'tenant', event.tenant ?? DEFAULT_TENANT, group)
    head.stream = stream.number
    head.partition = partition.number
    head.isUnique = isUnique
    head.offset = offset
    head.ingestTimeMs = ingestTimeMs
    head.watermarkMs = partition.watermarkMs
    const start = group.at
    writeRecord(group, head, event, work.texts[work.index])
    this.#index(part, stream, partition, event)
    part.add(group.position + start, group.at - start)
    partition.nextOffset = offset + 1
    partition.tail.push(new KeptRecord(event, head))
    partition.tailBytes += group.at - start + TAIL_OVERHEAD_BYTES
    if (!isUnique) {
      const place = { stream: stream.number, partition: partition.number, offset }
      this.#ids.insert(event.id, place)
      this.#idsSinceCheckpoint += 1
      this.#idsUnsaved += 1
    }
    if (partition.appendedBy !== work.number) {
      partition.appendedBy = work.number
      work.appendedTo.push(partition)
    }
    this.#touch(work, partition, offset + 1)
    work.records += 1
    return offset
  }

  #index(
    part: ReturnType<Partition['partOf']>,
    stream: Stream,
    partition: Partition,
    event: NewEvent,
  ): void {
    const { tenant } = this.#head
    if (event.keys === undefined && event.partition === undefined) {
      part.chains.add(hashOfKey(tenant, event.key), part.count)
      return
    }
    const hashes = this.#hashes
    const { length } = stream.partitions
    let count = 0
    for (const key of event.keys ?? [event.key]) {
      if (length > 1 && partitionOf(key, length) !== partition.number) continue
      const hash = hashOfKey(tenant, key)
      let seen = 0
      while (seen < count && hashes[seen] !== hash) seen += 1
      if (seen < count) continue
      hashes[count++] = hash
      part.chains.add(hash, part.count)
    }
  }

  #finish(work: Work): void {
    const { step } = work.request
    const position = new Map<string, number>()
    let isDurable = step === undefined && work.records === 0
    for (const partition of work.touched) {
      position.set(partition.name, partition.touchedEnd)
      if (partition.touchedEnd > partition.durableEnd) isDurable = false
    }
    const result: CommitResult = { results: work.results, position }
    if (isDurable) {
      work.resolve(result)
      return
    }
    if (this.#journal.failure !== undefined) {
      work.reject(this.#journal.refusal())
      return
    }
    const waiter = { resolve: () => work.resolve(result), reject: work.reject }
    if (step === undefined && work.records === 0) {
      const { newest } = this.#journal
      invariant(newest !== undefined, 'what is not durable waits in a group')
      newest.waiters.push(waiter)
      return
    }
    if (work.records === 0) this.#journal.begin(work.bytes)
    const group = this.#journal.filling
    if (step !== undefined) {
      this.counters.steps += 1
      writeStep(group, step, work.emitted)
      group.steps.push(this.#state.steps.accept(step, work.emitted))
    }
    for (const partition of work.appendedTo) {
      const { nextOffset: end, watermarkMs, tailBytes } = partition
      group.advances.push({ partition, end, watermarkMs, tailBytes })
      partition.tailBytes = 0
    }
    group.waiters.push(waiter)
    this.counters.appended += work.records
    this.#journal.end(work.records, work.ingestTimeMs)
    if (this.#idsSinceCheckpoint >= this.#limits.idsPerCheckpoint) this.#makeRoomForIds()
  }

  /** Hands the ids to the duplicate index's writer. Call between units: the mark covers whole ones. */
  #checkpointIds(options: { force?: boolean }): Promise<void> {
    this.#idsSinceCheckpoint = 0
    if (options.force === true) this.#idsUnsaved = 0
    const durable = this.#journal.durable()
    // An index that is not due does not look at it; who waits for the units hears of the failure.
    durable.catch(() => undefined)
    return this.#ids.checkpoint(this.#journal.nextUnit - 1, { ...options, durable })
  }

  /** Others wait until the duplicate index has room again. */
  #makeRoomForIds(): void {
    this.#isBusy = true
    this.#checkpointIds({})
      .catch((error: unknown) => this.#journal.fail(error))
      .finally(() => this.#leave())
  }

  /** Reads what the rest of a suspended commit needs to know, many at a time. */
  async #readAnswers(work: Work): Promise<Map<number, Answer>> {
    const given = work.request.events?.length ?? 0
    const answers = new Map(work.answers)
    let next = work.index
    const reader = async (): Promise<void> => {
      while (next < given) {
        const index = next++
        if (answers.has(index)) continue
        const event = work.all[index] as NewEvent
        try {
          answers.set(index, await this.#answer(event))
        } catch (error) {
          answers.set(index, { error })
        }
      }
    }
    await Promise.all(Array.from({ length: LOOKUPS_AT_ONCE }, reader))
    return answers
  }

  async #answer(event: NewEvent): Promise<Answer> {
    if (event.isUnique !== true) {
      const known = this.#ids.lookup(event.id)
      const place = known === 'unsure' ? await this.#ids.lookupSlow(event.id) : known
      if (place !== undefined) {
        const partition = this.#state.streams.at(place.stream)?.partitions[place.partition]
        invariant(partition !== undefined, 'the duplicate index names partitions that exist')
        const record = await this.#reader.recordAt(partition, place.offset)
        return record === undefined ? { place } : { place, record }
      }
    }
    if (event.expectedVersion === undefined) return {}
    const { partitions } = this.#state.streams.get(event.stream)
    const partition = partitions[partitionOf(event.key, partitions.length)] as Partition
    const version = await this.#reader.version(
      partition,
      event.tenant ?? DEFAULT_TENANT,
      event.key,
      partition.nextOffset,
    )
    return { version }
  }
}
