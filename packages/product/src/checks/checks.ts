/** Checks at work: what comes in is judged before it is taken, what is there by folds and by looking. */
import type { App, Clock, CompiledCheck, KnownItems, Logger, Timer } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openCounted, OUTSIDE, Slices, tableFoldName, type Streams, type VersionedTable } from '@millrace/streams' // prettier-ignore
import { CheckRun, type CheckExample, type CheckReport } from './check-run.ts'
import type { CheckShard } from './check-shard.ts'
import { checkErrors } from './errors.ts'
import { checkFoldName, planChecks, type CheckPlans } from './plan.ts'
import { Quarantine, type HeldEvent, type MarkedEvent } from './quarantine.ts'
import { rowFault } from './row-fault.ts'
import { verdictOf, type WindowVerdict } from './verdicts.ts'

/** What is done with an event that a check did not like. */
export interface Judgement {
  readonly severity: 'quarantine' | 'refuse'
  readonly check: string
  /** JSON Pointer into the envelope. */
  readonly path: string
  readonly reason: string
}

/** A check with its verdict. */
export interface CheckStatus extends WindowVerdict {
  readonly check: CompiledCheck
  /** Events that are held because of it. */
  readonly held: number
  /** Events that were refused because of it, and that were taken and not liked, since the process started. */
  readonly refused: number
  readonly disliked: number
}

/** What stands behind a check. */
export interface CheckDetails extends CheckStatus {
  /** The newest events that it does not like and does not hold, the newest first. */
  readonly examples: readonly CheckExample[]
  readonly heldEvents: readonly HeldEvent[]
}

/** What checks stand on. */
export interface CheckPorts {
  readonly app: App
  readonly log: EventLog
  readonly streams: Streams
  readonly clock: Clock
  readonly logger: Logger
  /** True while this process is the one that looks after what is to be held. */
  readonly leads: () => boolean
}

const LOOK_EVERY_MS = 10_000
const SLICE_MS = 20
const RECENT_MS = 2_000
/** Records at the end of each partition in which examples are looked for. */
const NEWEST_MAX = 2_000
const EXAMPLES_MAX = 10
const HELD_TOLD_MAX = 20

interface Tally {
  refused: number
  disliked: number
}

/** See the head of the file. */
export class Checks {
  readonly plans: CheckPlans
  readonly #ports: CheckPorts
  readonly #quarantine: Quarantine
  readonly #tallies = new Map<string, Tally>()
  readonly #isKnown: KnownItems
  #nowMs = 0
  #recent: { readonly atMs: number; readonly statuses: readonly CheckStatus[] } | undefined
  #timer: Timer | undefined
  #isClosed = false

  constructor(ports: CheckPorts) {
    this.#ports = ports
    this.plans = planChecks(ports.app)
    this.#quarantine = new Quarantine(ports)
    for (const { name } of this.plans.all) this.#tallies.set(name, { refused: 0, disliked: 0 })
    this.#isKnown = (kind, id) => this.#hasItem(kind, id, this.#nowMs)
    if (this.plans.all.length > 0) this.#schedule()
  }

  /** Judges an event that is to be taken, by what is known now; undefined: it is taken as it is. */
  judge(
    type: string,
    data: Readonly<Record<string, unknown>>,
    atMs: number,
  ): Judgement | undefined {
    const checks = this.plans.byType.get(type)
    if (checks === undefined) return undefined
    this.#nowMs = atMs
    let found: Judgement | undefined
    for (const check of checks) {
      if (!check.isRow) continue
      const reason = rowFault(check, data, this.#isKnown)
      if (reason === undefined) continue
      const { name, severity, path } = check
      const tally = this.#tallies.get(name) as Tally
      if (severity === 'refuse') {
        tally.refused += 1
        return { severity, check: name, path, reason: `check ${name}: ${reason}` }
      }
      tally.disliked += 1
      if (severity === 'quarantine') found ??= { severity, check: name, path, reason }
    }
    return found
  }

  /** Holds events that were taken marked. */
  async hold(events: readonly MarkedEvent[]): Promise<void> {
    await this.#quarantine.hold(events)
    await this.#quarantine.follow()
  }

  /** All checks with their verdicts, in the order of the definition; what is held is as of the last look. */
  statuses(): readonly CheckStatus[] {
    const held = Map.groupBy(this.#quarantine.held(), ({ check }) => check)
    return this.plans.all.map(check => this.#statusOf(check, held.get(check.name)?.length ?? 0))
  }

  /** The same for who looks often: at most some seconds old. */
  recent(): readonly CheckStatus[] {
    const nowMs = this.#ports.clock.monotonicMs()
    if (this.#recent === undefined || nowMs - this.#recent.atMs >= RECENT_MS) {
      this.#recent = { atMs: nowMs, statuses: this.statuses() }
    }
    return this.#recent.statuses
  }

  /** The same with what was held up to now. */
  async list(): Promise<readonly CheckStatus[]> {
    await this.#quarantine.follow()
    return this.statuses()
  }

  /** One check with examples. Rejects with CHECK_UNKNOWN. */
  async show(name: string): Promise<CheckDetails> {
    const check = this.#checkOf(name)
    await this.#quarantine.follow()
    const held = this.#quarantine.held(name)
    return {
      ...this.#statusOf(check, held.length),
      examples: await this.#newest(check, new Set(held.map(({ id }) => id))),
      heldEvents: held.slice(0, HELD_TOLD_MAX),
    }
  }

  /** Runs all checks, or one, over all events of the log that count. Rejects with CHECK_UNKNOWN. */
  async run(name?: string): Promise<readonly CheckReport[]> {
    const { log, app, clock } = this.#ports
    const checks = name === undefined ? this.plans.all : [this.#checkOf(name)]
    let atMs = 0
    const run = new CheckRun(checks, (kind, id) => this.#hasItem(kind, id, atMs))
    const slices = new Slices(clock, SLICE_MS)
    const ends = log.ends()
    for (const stream of new Set(checks.map(({ definition }) => definition.of.stream))) {
      for (let partition = 0; partition < app.partitions; partition++) {
        const end = ends.get(`${stream}/${partition}`) ?? 0
        const { records } = await openCounted(log, { stream, partition, end })
        for await (const record of records) {
          if (!run.looksAt(record.type)) continue
          atMs = record.eventTimeMs
          run.take(record.type, record.data as Readonly<Record<string, unknown>>, { atMs, place: () => record.id }) // prettier-ignore
          await slices.pause()
        }
      }
    }
    return run.reports()
  }

  /**
   * Takes events that a check holds back into the folds: those that it likes by now, or all.
   * Rejects with CHECK_UNKNOWN.
   */
  async release(
    name: string,
    {
      isAll,
      by,
      reason,
    }: { readonly isAll: boolean; readonly by: string; readonly reason: string },
  ): Promise<{ readonly released: number; readonly held: number }> {
    const check = this.#checkOf(name)
    await this.#quarantine.follow()
    const held = this.#quarantine.held(name)
    const ids: string[] = []
    for (const { id, stream, partition, offset } of held) {
      if (!isAll) {
        const [record] = await this.#ports.log.read({ stream, partition, from: offset, recordsMax: 1 }) // prettier-ignore
        this.#nowMs = record?.eventTimeMs ?? 0
        const data = (record?.data ?? {}) as Readonly<Record<string, unknown>>
        if (rowFault(check, data, this.#isKnown) !== undefined) continue
      }
      ids.push(id)
    }
    const released = ids.length === 0 ? 0 : await this.#quarantine.release(ids, { by, reason })
    return { released, held: held.length - released }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    if (this.plans.all.length > 0) await this.look()
  }

  /** Holds what was taken marked and nobody has decided on, and reads what is held. */
  async look(): Promise<void> {
    if (this.#ports.leads()) {
      const owed = [...this.plans.byStream.keys()].flatMap(
        stream =>
        this.#shardsOf(stream).flatMap(shard => [...shard.marked()].map(each => ({ stream, ...each }))), // prettier-ignore
      )
      await this.#quarantine.hold(owed)
    }
    await this.#quarantine.follow()
  }

  #schedule(): void {
    this.#timer = this.#ports.clock.after(LOOK_EVERY_MS, () => {
      this.look()
        .catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error)
          this.#ports.logger.warn('what checks hold could not be looked at', { reason })
        })
        .finally(() => {
          if (!this.#isClosed) this.#schedule()
        })
    })
  }

  #checkOf(name: string): CompiledCheck {
    const check = this.plans.byName.get(name)
    if (check !== undefined) return check
    const known = [...this.plans.byName.keys()].join(', ') || 'none'
    throw checkErrors.create('CHECK_UNKNOWN', { check: name, known })
  }

  #statusOf(check: CompiledCheck, held: number): CheckStatus {
    const { stream } = check.definition.of
    const own = this.plans.byStream.get(stream) as readonly CompiledCheck[]
    const verdict = verdictOf(check, own.indexOf(check), this.#shardsOf(stream))
    return { check, held, ...(this.#tallies.get(check.name) as Tally), ...verdict }
  }

  #shardsOf(stream: string): readonly CheckShard[] {
    return this.#ports.streams.fold<CheckShard>(checkFoldName(stream)).shards()
  }

  #hasItem(kind: string, id: string, atMs: number): boolean {
    const table = this.#ports.streams.fold<VersionedTable>(tableFoldName(kind))
    return table.shardOf(id).asOf(id, atMs) !== undefined
  }

  async #newest(check: CompiledCheck, held: ReadonlySet<string>): Promise<readonly CheckExample[]> {
    if (!check.isRow) return []
    const { log, app } = this.#ports
    const { of } = check.definition
    const found: (CheckExample & { readonly atMs: number })[] = []
    for (let partition = 0; partition < app.partitions; partition++) {
      const end = log.ends().get(`${of.stream}/${partition}`) ?? 0
      const from = Math.max(0, end - NEWEST_MAX)
      if (from === end) continue
      const records = await log.read({ stream: of.stream, partition, from, recordsMax: end - from })
      for (const { type, data, id, eventTimeMs: atMs, generation } of records) {
        if (type !== of.name || generation !== OUTSIDE || held.has(id)) continue
        this.#nowMs = atMs
        const reason = rowFault(check, data as Readonly<Record<string, unknown>>, this.#isKnown)
        if (reason !== undefined) found.push({ place: id, reason, atMs })
      }
    }
    return found
      .sort((a, b) => b.atMs - a.atMs || (a.place < b.place ? -1 : 1))
      .slice(0, EXAMPLES_MAX)
      .map(({ place, reason }) => ({ place, reason }))
  }
}
