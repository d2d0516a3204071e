/** The two moments that are compared: what was known at each, what was decided, and by which code. */
import { isError } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { CorrectionBook } from '../corrections/book.ts'
import { streamsErrors } from '../errors.ts'
import type { Corrections } from '../corrections/contract.ts'
import type { FoldDefinition, TableLookup } from '../fold.ts'
import type { Lane } from '../lane.ts'
import type { Bound } from '../past/bound.ts'
import { reachedInstant, type Instant, type Moment, type PastPorts } from '../past/moment.ts'
import { boundOfPerson } from '../past/people.ts'
import { PastTables } from '../past/tables.ts'
import type { FoldRunner } from '../runner.ts'
import type { CausesRequest } from './contract.ts'
import { correctedAt, versionsBetween } from './decided.ts'
import type { FoldedWorld } from './folding.ts'

const TIMEOUT_MS = 5_000
const RECORDS_MAX = 5_000_000

/** What measuring causes needs. */
export interface CausesPorts extends PastPorts {
  readonly book: CorrectionBook
}

/** Both ends, in one partition. */
export interface Bounds {
  readonly from: Bound
  readonly to: Bound
}

/** Which of the two moments. */
export type End = 'from' | 'to'

const NOTHING: Bound = {
  to: 0,
  known: 0,
  watermarkMs: Number.NEGATIVE_INFINITY,
  has: () => false,
}

/** See the head of the file. */
export class Span {
  readonly runner: FoldRunner
  /** Where the records of the key are, or all. */
  readonly lanes: readonly Lane[]
  readonly instants: Readonly<Record<End, Instant>>
  /** How many records of corrections were known. */
  readonly corrected: Readonly<Record<End, number>>
  readonly corrections: Readonly<Record<End, Corrections>>
  readonly definitions: Readonly<Record<End, FoldDefinition>>
  readonly unmeasured: readonly string[]
  readonly #ports: CausesPorts
  readonly #key: string | undefined
  readonly #tables = {
    from: new Map<Corrections, PastTables>(),
    to: new Map<Corrections, PastTables>(),
  }

  private constructor(
    ports: CausesPorts,
    parts: Pick<Span, 'runner' | 'lanes' | 'instants' | 'corrected' | 'definitions' | 'unmeasured'>,
    key: string | undefined,
  ) {
    this.#ports = ports
    this.#key = key
    this.runner = parts.runner
    this.lanes = parts.lanes
    this.instants = parts.instants
    this.corrected = parts.corrected
    const { from, to } = parts.corrected
    this.corrections = { from: ports.book.at(from), to: ports.book.at(to) }
    this.definitions = parts.definitions
    this.unmeasured = parts.unmeasured
  }

  /** Waits until the folds have come there. Throws as reads of the past, REPLAY_INVALID, CAUSES_TOO_LARGE. */
  static async open(ports: CausesPorts, runner: FoldRunner, request: CausesRequest): Promise<Span> {
    const { key, from, to, timeoutMs = TIMEOUT_MS, recordsMax = RECORDS_MAX } = request
    const { log, book } = ports
    const lanes =
      key === undefined ? runner.lanes.map(({ lane }) => lane) : [runner.laneOf(key).lane]
    const asked = { partitions: lanes.map(({ partition }) => partition), timeoutMs }
    const last = await reachedInstant(ports, runner, to, asked)
    const first = await firstInstant(ports, runner, from, asked)
    for (const [name, offset] of first.position) {
      if (offset <= (last.position.get(name) ?? 0)) continue
      const reason = `it would end before it begins, on ${name}`
      throw streamsErrors.create('REPLAY_INVALID', { fold: runner.name, reason })
    }
    const records = lanes.reduce((sum, { consumed }) => sum + consumed, 0)
    if (key === undefined && records > recordsMax) {
      throw streamsErrors.create('CAUSES_TOO_LARGE', { fold: runner.name, records, recordsMax })
    }
    await book.follow()
    const times = { from: timeOf(from, first), to: timeOf(to, last) }
    const corrected = {
      from: await correctedAt(log, times.from),
      to: Math.min(await correctedAt(log, times.to), book.position),
    }
    const versions = await versionsBetween(log, runner, [times.from, times.to])
    const definitions = { from: versions.before, to: versions.after }
    const instants = { from: first, to: last }
    const { unmeasured } = versions
    return new Span(ports, { runner, lanes, instants, corrected, definitions, unmeasured }, key)
  }

  /** What was known of a partition at both moments. */
  async boundsOf({ partition }: Lane): Promise<Bounds> {
    const [from, to] = await Promise.all(
      [this.instants.from, this.instants.to].map(async instant =>
        instant.position.size === 0
          ? NOTHING
          : await boundOfPerson(this.#ports, this.runner, partition, instant),
      ),
    )
    return { from: from as Bound, to: to as Bound }
  }

  /** The records that were known at the end, of the key or all. */
  async *records(lane: Lane, { to }: Bounds): AsyncGenerator<LogRecord> {
    const { source: stream } = this.runner.definition
    const { tenant } = lane.options
    if (this.#key !== undefined) {
      yield* this.#ports.log.history({ stream, tenant, keys: [this.#key], from: 0, to: to.to })
      return
    }
    for (let from = 0; from < to.to;) {
      const recordsMax = Math.min(1_000, to.to - from)
      const request = { stream, partition: lane.partition, from, recordsMax }
      const records = await this.#ports.log.read(request)
      yield* records
      if (records.length === 0) return
      from += records.length
    }
  }

  /** Calls `fold` until no row of a table is missing. */
  async withTables<T>(fold: () => Promise<T>): Promise<T> {
    for (;;) {
      const folded = await fold()
      let isLoaded = false
      for (const tables of [...this.#tables.from.values(), ...this.#tables.to.values()]) {
        isLoaded = (await tables.load()) || isLoaded
      }
      if (!isLoaded) return folded
    }
  }

  /** The rows that are joined, as of a moment and by what was corrected. */
  tables(end: End, corrections: Corrections): TableLookup {
    const ofEnd = this.#tables[end]
    let tables = ofEnd.get(corrections)
    if (tables === undefined) {
      tables = new PastTables(this.#ports, this.runner, this.instants[end], corrections)
      ofEnd.set(corrections, tables)
    }
    return tables
  }

  /** The world of the later moment, with what is otherwise. */
  world({ to }: Bounds, otherwise: Partial<FoldedWorld> = {}): FoldedWorld {
    const { corrections = this.corrections.to } = otherwise
    return {
      definition: this.definitions.to,
      corrections,
      tables: this.tables('to', corrections),
      bound: { ...to, has: record => isKnown(to, record) },
      ...otherwise,
    }
  }

  /** The world of the earlier moment. */
  worldBefore({ from }: Bounds, otherwise: Partial<FoldedWorld> = {}): FoldedWorld {
    const { from: corrections } = this.corrections
    return {
      definition: this.definitions.from,
      corrections,
      tables: this.tables('from', corrections),
      bound: { ...from, has: record => isKnown(from, record) },
      ...otherwise,
    }
  }
}

/** True when a record was known at a moment. */
export function isKnown(bound: Bound, record: LogRecord): boolean {
  return record.offset < bound.to && bound.has(record)
}

async function firstInstant(
  ports: CausesPorts,
  runner: FoldRunner,
  from: Moment,
  asked: { readonly partitions: readonly number[]; readonly timeoutMs: number },
): Promise<Instant> {
  try {
    return await reachedInstant(ports, runner, from, asked)
  } catch (error) {
    if (!isError(error, 'MOMENT_EMPTY')) throw error
    return { position: new Map(), timeMs: Number.NEGATIVE_INFINITY }
  }
}

function timeOf(moment: Moment, { timeMs }: Instant): number {
  return 'timeMs' in moment ? moment.timeMs : timeMs
}
