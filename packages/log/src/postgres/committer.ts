/**
 * Group commit. Units that arrive while a group is on its way make up the next group; a group is one
 * call of `append`, which is one transaction. Groups follow each other, so units are committed in the
 * order of the calls.
 *
 * A connection that breaks leaves open whether the group was committed. The same call is made again
 * until it is answered: the database knows the last group of every process and gives the outcome of
 * the first time. So a failover is a pause. Only a refusal that time cannot heal makes the log
 * read-only.
 */
import type { Clock, Logger, Random } from '@millrace/core'
import { logErrors } from '../errors.ts'
import { DEFAULT_TENANT } from '../log.ts'
import type { StepBook } from '../step-book.ts'
import type { Catalog } from './catalog.ts'
import type { Database, Row } from './database.ts'
import { Draft, type Knowledge, type Unit } from './draft.ts'
import type { PostgresLeases } from './leases.ts'
import { patiently } from './patience.ts'
import type { Reader } from './reader.ts'
import type { Recent } from './recent.ts'

const GROUP_EVENTS_MAX = 10_000
const GROUP_BYTES_MAX = 16 * 1024 * 1024
/** How long a closing log tries to bring out what it accepted. */
const CLOSING_MS = 10_000
const PARAMETERS = 41
const APPEND = `SELECT verdict, array_to_json(places), array_to_json(names), array_to_json(ends)
  FROM $schema.append(${Array.from({ length: PARAMETERS }, (_, index) => `$${index + 1}`).join(', ')})`

/** What the committer needs. */
export interface CommitterOptions {
  readonly database: Database
  readonly catalog: Catalog
  readonly reader: Reader
  /** Hears of what was appended. */
  readonly recent: Recent
  readonly steps: StepBook
  readonly clock: Clock
  readonly random: Random | undefined
  readonly logger: Logger
  /** The name of this process in the database, and how it gets another one when it was forgotten. */
  readonly leases: Pick<PostgresLeases, 'member' | 'enterAgain'>
  /** Awaited before each group is committed; a rejection makes the log read-only. For tests. */
  readonly beforeCommit: () => Promise<void>
  /** Called after a group was committed. */
  readonly onCommitted: () => void
  /** Called when steps of other processes, or records that this one has not heard of, were met. */
  readonly onBehind: () => Promise<void>
}

interface Answer {
  readonly verdict: string
  readonly places: readonly (number | null)[]
  readonly names: readonly string[]
  readonly ends: readonly number[]
  /** True when the same call was made before and its answer was lost. */
  readonly isRepeated: boolean
}

/** See the head of the file. */
export class Committer {
  readonly #options: CommitterOptions
  readonly #queue: Unit[] = []
  #flushing: Promise<void> | undefined
  #groups = 0
  #closingAtMs: number | undefined
  queuedBytes = 0
  /** Why nothing more is taken. */
  failure: unknown
  readonly counters = { units: 0, syncs: 0, appended: 0, duplicates: 0, conflicts: 0, steps: 0, commitRetries: 0 } // prettier-ignore

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /** Takes a unit that was checked. */
  add(unit: Unit): void {
    this.queuedBytes += unit.bytes
    this.counters.units += 1
    this.#queue.push(unit)
    this.#flushing ??= this.#flush()
  }

  /** From now on a database that is away is waited for a little while only. */
  hurry(): void {
    this.#closingAtMs ??= this.#options.clock.monotonicMs()
  }

  /** Resolves when all that was taken is settled. */
  async close(): Promise<void> {
    this.hurry()
    await this.#flushing
  }

  /** Nothing more is taken, for this reason. */
  stop(reason: unknown): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.#options.logger.error('the log takes no more events', { error: reason })
  }

  refusal(): Error {
    const { failure } = this
    const reason = failure instanceof Error ? failure.message : String(failure)
    return logErrors.create('LOG_READ_ONLY', { reason }, failure)
  }

  async #flush(): Promise<void> {
    // Commits of the same turn gather into one group.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const group = this.#take()
      try {
        if (this.failure === undefined) await this.#commit(group)
      } catch (error) {
        this.stop(error)
      }
      if (this.failure !== undefined) for (const unit of group) this.#reject(unit, this.refusal())
    }
    this.#flushing = undefined
  }

  #take(): Unit[] {
    let events = 0
    let bytes = 0
    let count = 0
    for (const unit of this.#queue) {
      events += unit.texts.length
      bytes += unit.bytes
      if (count > 0 && (events > GROUP_EVENTS_MAX || bytes > GROUP_BYTES_MAX)) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  #reject(unit: Unit, error: unknown): void {
    this.queuedBytes -= unit.bytes
    if (unit.step !== undefined) this.#options.steps.rewind(unit.step)
    unit.reject(error)
  }

  async #commit(group: Unit[]): Promise<void> {
    const { catalog, reader, leases } = this.#options
    const knowledge: Knowledge = { stored: new Map(), versions: new Map(), bases: new Map() }
    let number: number | undefined
    while (group.length > 0) {
      await this.#learnVersions(group, knowledge)
      const draft = new Draft(group, catalog, knowledge)
      if (draft.isEmpty) return this.#settle(draft, [], [])
      number ??= ++this.#groups
      await this.#options.beforeCommit()
      const { member } = leases
      const answer = await this.#append(draft.parameters(member, number))
      if (answer.verdict === 'done') return this.#settle(draft, answer.places, answer.ends)
      if (answer.verdict === 'known') {
        for (const [id, place] of await this.#patiently(() => reader.lookUp(answer.names))) {
          knowledge.stored.set(id, place)
        }
      } else if (answer.verdict === 'stale' || answer.verdict === 'lost') {
        const refused = draft.unitsOfSteps(new Set(answer.places as readonly number[]))
        await this.#refuse(group, refused, answer.verdict === 'stale' ? staleStep : lostLease)
      } else if (answer.verdict === 'gone') {
        await this.#patiently(() => leases.enterAgain(member))
        // The first time it may have been committed, and whoever knew that is forgotten.
        if (answer.isRepeated) return this.#refuse(group, [...group], unknownOutcome)
        const steps = group.filter(({ step }) => step !== undefined)
        await this.#refuse(group, steps, lostLease)
      }
    }
  }

  /** Takes units out of a group and refuses them. Whoever hears of it can see what others did. */
  async #refuse(
    group: Unit[],
    units: readonly Unit[],
    errorOf: (unit: Unit) => Error,
  ): Promise<void> {
    for (const { step } of units) if (step !== undefined) this.#options.steps.rewind(step)
    await this.#patiently(() => this.#options.onBehind())
    for (const unit of units) {
      group.splice(group.indexOf(unit), 1)
      this.#reject(unit, errorOf(unit))
    }
  }

  /**
   * Versions that events of the group expect are read with the ends that they belong to. Their ids
   * are looked up as well: an event that is sent again is a duplicate, whatever the version is by now.
   */
  async #learnVersions(group: readonly Unit[], knowledge: Knowledge): Promise<void> {
    const { catalog, reader } = this.#options
    const events = group.flatMap(({ request }) =>
      (request.events ?? []).filter(event => event.expectedVersion !== undefined),
    )
    if (events.length === 0) return
    const unknown = events.map(({ id }) => id).filter(id => !knowledge.stored.has(id))
    for (const [id, place] of await this.#patiently(() => reader.lookUp(unknown))) {
      knowledge.stored.set(id, place)
    }
    const wanted = events.map(({ stream, key, tenant = DEFAULT_TENANT }) => ({
      home: catalog.home(stream, key),
      tenant,
      key,
    }))
    const read = await this.#patiently(() => reader.versionsAt(wanted))
    knowledge.versions = read.versions
    knowledge.bases = read.bases
  }

  async #append(parameters: ReturnType<Draft['parameters']>): Promise<Answer> {
    let isRepeated = false
    const rows = await this.#patiently(
      () => this.#options.database.query(APPEND, parameters),
      () => (isRepeated = true),
    )
    const [verdict, places, names, ends] = rows[0] as Row
    const list = <T>(text: string | null | undefined): readonly T[] =>
      text === null || text === undefined ? [] : (JSON.parse(text) as T[])
    return {
      verdict: verdict as string,
      places: list(places),
      names: list(names),
      ends: list(ends),
      isRepeated,
    }
  }

  #patiently<T>(call: () => Promise<T>, onLost?: () => void): Promise<T> {
    const { clock, random, logger } = this.#options
    return patiently(call, {
      clock,
      random,
      logger,
      isTooLate: () => this.isTooLate(),
      onRetry: isLost => {
        this.counters.commitRetries += 1
        if (isLost) onLost?.()
      },
    })
  }

  /** True when the log is being closed and the database was waited for long enough. */
  isTooLate(): boolean {
    if (this.#closingAtMs === undefined) return false
    return this.#options.clock.monotonicMs() - this.#closingAtMs > CLOSING_MS
  }

  async #settle(
    draft: Draft,
    bases: readonly (number | null)[],
    ends: readonly number[],
  ): Promise<void> {
    const { catalog, steps, recent } = this.#options
    if (!draft.isEmpty) this.counters.syncs += 1
    for (const { partition, records, bytes } of draft.appended(bases)) {
      recent.add(partition, records, bytes)
    }
    ends.forEach((end, index) => catalog.advance(index + 1, end))
    for (const { number, target } of draft.advances(bases)) {
      const { start, bytes } = target.partition
      const facts = { start, watermarkMs: target.watermarkMs, bytes: bytes + target.bytes }
      catalog.describe(number, facts)
    }
    const outcomes = draft.outcomes(bases)
    let isBehind = false
    for (const { unit, result, emitted, rows } of outcomes) {
      this.queuedBytes -= unit.bytes
      this.counters.appended += rows
      for (const { status } of result.results) {
        if (status === 'duplicate') this.counters.duplicates += 1
        if (status === 'conflict') this.counters.conflicts += 1
      }
      for (const [name, end] of result.position) {
        if ((catalog.ends.get(name) ?? 0) < end) isBehind = true
      }
      if (unit.step === undefined) continue
      this.counters.steps += 1
      const [before] = steps.endsOf(unit.step)
      const joined =
        emitted.size === 0 ? before?.ends : new Map([...(before?.ends ?? []), ...emitted])
      steps.settle({ ...unit.step, ends: joined ?? emitted })
    }
    // A duplicate of what another process appended a moment ago: the answer may name only what can be read.
    if (isBehind) await this.#patiently(() => this.#options.onBehind())
    for (const { unit, result } of outcomes) unit.resolve(result)
    if (!draft.isEmpty) this.#options.onCommitted()
  }
}

function lostLease({ step, request }: Unit): Error {
  const partition = step?.partition ?? request.step?.source.partition
  return logErrors.create('LEASE_LOST', { partition })
}

function unknownOutcome(unit: Unit): Error {
  return unit.step === undefined ? logErrors.create('COMMIT_UNKNOWN') : lostLease(unit)
}

function staleStep({ step, request }: Unit): Error {
  return logErrors.create('STEP_STALE', {
    processor: step?.processor,
    source: `${step?.stream}/${step?.partition}`,
    reason: `another process has committed since it started at ${request.step?.from}`,
  })
}
