/**
 * Hears what other processes commit. Each of them notifies a channel after its commits, in a statement
 * of its own: a notification inside of the commit would make all commits of the database wait for each
 * other. Notifications may be lost (a killed process, a pooler); so the ends are also read at an
 * interval, whether or not anything was heard. A pooler in transaction mode takes LISTEN and delivers
 * nothing: a process that does not hear itself says that it polls, and tries again later. While the
 * database is away both are tried ever more rarely, one attempt of each at a time.
 */
import { Backoff, type Clock, type Logger, type Random, type Timer } from '@millrace/core'
import type { ParkedKey } from '../log.ts'
import type { StepBook } from '../step-book.ts'
import type { Catalog, TablePartition } from './catalog.ts'
import type { Database } from './database.ts'

/** What the tail needs. */
export interface TailOptions {
  readonly database: Database
  readonly catalog: Catalog
  readonly steps: StepBook
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
  /** The name of this process, which may change. */
  readonly member: () => string
  readonly pollMs: number
  /** Called when ends or steps of other processes became known. */
  readonly onAdvance: () => void
  /** Called when another process took or gave up a lease. */
  readonly onLeases: () => void
}

/** The longest pause between two looks at a database that is away. */
const AWAY_MS_MAX = 2_000
/** A process should hear its own notification within this time. */
const HEARD_WITHIN_MS = 2_000
const DEAF_AGAIN_MS = 60_000
/** The second word of a notification that leases changed hands. */
const OF_LEASES = 'leases'
/** That of one that a process sends to hear whether it arrives. */
const OF_HEARING = 'hearing'

/** Ends and steps in one statement, and so in one snapshot: no step is known without its emissions. */
const REFRESH = `
SELECT
  (SELECT json_agg(json_build_array(number, first_offset, next_offset, watermark_ms, bytes)
    ORDER BY number) FROM $schema.partitions),
  (SELECT json_agg(json_build_array(s.processor, s.generation, s.partition, s.consumed, s.parked,
      (SELECT json_agg(json_build_array(e.target, e.end_offset)) FROM $schema.step_ends e
        WHERE e.processor = s.processor AND e.generation = s.generation
          AND e.partition = s.partition)))
    FROM $schema.steps s),
  (SELECT count(*) FROM $schema.members)`

type PartitionFacts = [number, number, number, number | null, number]
type StepFacts = [string, number, number, number, string, [number, number][] | null]

/** See the head of the file. */
export class Tail {
  readonly #options: TailOptions
  readonly #channel: string
  #stopListening: (() => Promise<void>) | undefined
  #running: Promise<void> | undefined
  #isWanted = false
  #isNotifying = false
  #isNoticeWanted = false
  #isOfLeases = false
  #probes = 0
  #members = 1
  #timer: Timer | undefined
  #again: Timer | undefined
  readonly #listening: Backoff
  readonly #polling: Backoff
  /** Why the database did not answer, when it did not the last time. */
  awayReason: string | undefined
  #isClosed = false
  readonly counters = { refreshes: 0, notices: 0 }
  /** True when notifications are known to arrive; otherwise the log is polled. */
  isHearing = false
  #isToldDeaf = false

  constructor(options: TailOptions) {
    this.#options = options
    this.#channel = `${options.database.schema}_appended`
    const { clock, random } = options
    this.#listening = new Backoff({ clock, random, wake: () => void this.#listen() })
    const wake = (): void => void this.#look()
    this.#polling = new Backoff({ clock, random, wake, lastMs: AWAY_MS_MAX })
  }

  start(): void {
    this.#poll()
    void this.#listen()
  }

  /** Reads the ends again; resolves when they are at least as new as the call. */
  async refresh(): Promise<void> {
    // One that began before may have read too early: wait for the one after it.
    if (this.#running !== undefined) {
      this.#isWanted = true
      await this.#running.catch(() => undefined)
      return this.#isWanted ? this.refresh() : this.#running
    }
    this.#isWanted = false
    this.#running = this.#read().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Tells the others that something was committed, or that leases changed hands; several calls may become one notification. */
  notify({ isOfLeases = false } = {}): void {
    this.#isNoticeWanted = true
    this.#isOfLeases ||= isOfLeases
    if (this.#isNotifying || this.#isClosed || this.#members < 2) return
    this.#isNotifying = true
    void this.#sendNotices().finally(() => (this.#isNotifying = false))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#again?.cancel()
    this.#listening.stop()
    this.#polling.stop()
    await this.#stopListening?.().catch(() => undefined)
    await this.#running?.catch(() => undefined)
  }

  async #sendNotices(): Promise<void> {
    while (this.#isNoticeWanted && !this.#isClosed) {
      this.#isNoticeWanted = false
      const { database, member } = this.#options
      const text = this.#isOfLeases ? `${member()} ${OF_LEASES}` : member()
      this.#isOfLeases = false
      // A lost one costs the others a poll.
      await database.query('SELECT pg_notify($1, $2)', [this.#channel, text]).catch(() => undefined)
    }
  }

  async #listen(): Promise<void> {
    const { database, clock, member, onLeases } = this.#options
    const probe = `${member()}/${this.#probes++}`
    let heard: (() => void) | undefined
    let isOver = false
    // A session may end and refuse its statement at the same time: one attempt is followed by one.
    const again = (): void => {
      if (this.#isClosed || isOver) return
      isOver = true
      void this.#stopListening?.().catch(() => undefined)
      this.#stopListening = undefined
      this.isHearing = false
      this.#listening.fail()
    }
    try {
      const stop = await database.listen(
        this.#channel,
        text => {
          const [from, topic] = text.split(' ')
          if (topic === OF_HEARING && from === probe) heard?.()
          if (from === member() || topic === OF_HEARING) return
          this.counters.notices += 1
          if (topic === OF_LEASES) onLeases()
          void this.#quietly()
        },
        again,
      )
      this.#stopListening = stop
      if (this.#isClosed) return await stop()
      await this.#quietly()
      const isHeard = new Promise<boolean>(resolve => {
        heard = () => resolve(true)
        clock.after(HEARD_WITHIN_MS, () => resolve(false))
      })
      await database.query('SELECT pg_notify($1, $2)', [this.#channel, `${probe} ${OF_HEARING}`])
      const didHear = await isHeard
      if (isOver || this.#isClosed) return
      this.isHearing = didHear
      this.#listening.succeed()
      if (didHear) return
      this.#tellDeaf('they do not arrive, as through a pooler in transaction mode')
      this.#stopListening = undefined
      await stop()
      this.#again = clock.after(DEAF_AGAIN_MS, () => void this.#listen())
    } catch (error) {
      this.#tellDeaf(textOf(error))
      again()
    }
  }

  #tellDeaf(reason: string): void {
    if (this.#isToldDeaf || this.#isClosed) return
    this.#isToldDeaf = true
    const { logger, pollMs } = this.#options
    logger.warn('notifications of the database are not heard: the log is polled', {
      reason,
      pollMs,
    })
  }

  #poll(): void {
    this.#timer = this.#options.clock.after(this.#options.pollMs, () => {
      void this.#look()
    })
  }

  async #look(): Promise<void> {
    await this.#quietly()
    if (this.#isClosed) return
    if (this.awayReason !== undefined) return this.#polling.fail()
    this.#polling.succeed()
    this.#poll()
  }

  /** A refresh that may fail: the next one will say more. */
  async #quietly(): Promise<void> {
    try {
      await this.refresh()
    } catch (error) {
      this.awayReason = textOf(error)
      if (!this.#isClosed) this.#options.logger.debug('the ends could not be read', { error })
    }
  }

  async #read(): Promise<void> {
    const { database, catalog, onAdvance } = this.#options
    const [row] = await database.query(REFRESH)
    this.awayReason = undefined
    this.counters.refreshes += 1
    const partitions = JSON.parse(row?.[0] ?? '[]') as PartitionFacts[]
    if (partitions.length > catalog.size) {
      await catalog.load((text, parameters) => database.query(text, parameters))
    }
    let isNews = false
    for (const [number, start, end, watermarkMs, bytes] of partitions) {
      if (catalog.advance(number, end)) isNews = true
      catalog.describe(number, { start, watermarkMs, bytes })
    }
    for (const facts of JSON.parse(row?.[1] ?? '[]') as StepFacts[]) {
      if (this.#adopt(facts)) isNews = true
    }
    this.#members = Number(row?.[2])
    if (isNews) onAdvance()
  }

  #adopt([processor, generation, source, consumed, parked, ends]: StepFacts): boolean {
    const { catalog, steps } = this.#options
    const { stream, partition } = catalog.at(source) as TablePartition
    return steps.adopt({
      processor,
      generation,
      stream: stream.declared.name,
      partition,
      consumed,
      parked: JSON.parse(parked) as ParkedKey[],
      ends: new Map(
        (ends ?? []).map(([target, end]) => [(catalog.at(target) as TablePartition).name, end]),
      ),
    })
  }
}

/** What an error says; one of several addresses that refused says it in its parts. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(textOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
