/**
 * Joins to versioned tables, kept right under every order of arrival.
 *
 * Rule: the state of a fold that joins is what its records give when each read sees every version
 * that its tables hold now, as of the event's time. Folds therefore wait until their tables have
 * consumed what was durable when the turn began, which makes late versions rare; when one arrives
 * for a time that a key read already (`readersOf`), that key is folded again from its history.
 * Emissions are not: what a key emitted stands with what its tables held then.
 */
import { partitionName, type Position } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import type { CorrectedRows } from './corrections/corrected-rows.ts'
import type { Beside, Lane } from './lane.ts'
import { tableKindsOf } from './assemble.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'
import type { SeenTables } from './snapshot-codec.ts'

/** See the head of the file. */
export class TableWatch {
  /** Kinds by the fold that keeps their table. */
  readonly #kinds = new Map<FoldRunner, string[]>()
  /** Folds that join a kind. */
  readonly #joiners = new Map<string, FoldRunner[]>()
  readonly #tablesOf = new Map<FoldRunner, FoldRunner[]>()
  #ends: ReadonlyMap<string, number> = new Map()
  readonly #onStale: (runner: FoldRunner, laneRunner: LaneRunner) => void

  constructor(
    runners: ReadonlyMap<string, FoldRunner>,
    tables: Readonly<Record<string, string>>,
    onStale: (runner: FoldRunner, laneRunner: LaneRunner) => void,
  ) {
    this.#onStale = onStale
    for (const runner of runners.values()) {
      for (const kind of tableKindsOf(runner.newest.definition)) {
        const table = runners.get(tables[kind] as string) as FoldRunner
        push(this.#joiners, kind, runner)
        push(this.#tablesOf, runner, table)
        if (!this.#kinds.get(table)?.includes(kind)) push(this.#kinds, table, kind)
      }
    }
  }

  isTable(runner: FoldRunner): boolean {
    return this.#kinds.has(runner)
  }

  tablesOf(runner: FoldRunner): readonly FoldRunner[] {
    return this.#tablesOf.get(runner) ?? []
  }

  /** The kinds that the fold of a table keeps. */
  kindsOf(table: FoldRunner): readonly string[] {
    return this.#kinds.get(table) ?? []
  }

  /** Notes what is durable now: joins wait until their tables have come this far. */
  beginTurn(ends: Position): void {
    if (this.#kinds.size === 0) return
    const noted = new Map<string, number>()
    for (const table of this.#kinds.keys()) {
      for (const { lane } of table.lanes) {
        const name = partitionName(table.definition.source, lane.partition)
        noted.set(name, ends.get(name) ?? 0)
      }
    }
    this.#ends = noted
  }

  /** True when the tables of a fold are current and none of its keys waits to be folded again. */
  mayRun(runner: FoldRunner, laneRunner: LaneRunner): boolean {
    if (laneRunner.stale.size > 0) return false
    return this.tablesOf(runner).every(table => table.lag(this.#ends) === 0)
  }

  noteCaughtUp(runner: FoldRunner, ends: Position): void {
    if (!runner.isLive && runner.lag(ends) === 0) runner.isLive = true
  }

  /** After a table folded records `from` to `to` of a batch: finds the keys that read too early. */
  noteFolded(
    table: FoldRunner,
    lane: Lane,
    batch: readonly LogRecord[],
    from: number,
    to: number,
  ): void {
    const kinds = this.#kinds.get(table)
    if (kinds === undefined) return
    for (let index = from; index < to; index++) {
      const record = batch[index] as LogRecord
      if (!lane.wants(record)) continue
      for (const id of lane.keysOf(record)) this.noteVersion(kinds, id, record.eventTimeMs)
    }
  }

  /** A version of `id` as of `fromMs` has come to a table. */
  noteVersion(kinds: readonly string[], id: string, fromMs: number): void {
    for (const kind of kinds) {
      for (const joiner of this.#joiners.get(kind) ?? []) {
        for (const laneRunner of joiner.lanes) this.#mark(joiner, laneRunner, kind, id, fromMs)
      }
    }
  }

  /** Keys of a table were folded after they had been parked: any of their versions may be new. */
  noteRetried(table: FoldRunner, ids: readonly string[]): void {
    const kinds = this.#kinds.get(table) ?? []
    for (const id of ids) this.noteVersion(kinds, id, Number.NEGATIVE_INFINITY)
  }

  /** What a lane's state has seen of its tables now. */
  seenBy(runner: FoldRunner): SeenTables {
    const tables: Record<string, number> = {}
    const tablesCorrected: Record<string, number> = {}
    for (const table of this.tablesOf(runner)) {
      for (const { lane, correctingFrom } of table.lanes) {
        const name = `${table.name}/${lane.partition}`
        tables[name] = lane.consumed
        // Who reads its rows hears of what was corrected when all of it is.
        tablesCorrected[name] = correctingFrom ?? lane.corrections.position
      }
    }
    return { tables, tablesCorrected }
  }

  /** After a restart: versions, and corrections of rows, that a table's snapshot reflects and the lane's had not seen. */
  async catchUp(
    ports: CatchUpPorts,
    runner: FoldRunner,
    seen: ReadonlyMap<LaneRunner, SeenTables>,
  ): Promise<void> {
    for (const [laneRunner, own] of seen) {
      await this.#catchUp(ports, runner, own, this.#marker(runner, laneRunner))
    }
  }

  /** The same for a build that was loaded beside a lane of `runner`. */
  async catchUpBeside(
    ports: CatchUpPorts,
    runner: FoldRunner,
    beside: Beside,
    seen: SeenTables,
  ): Promise<void> {
    const mark: Mark = (kind, id, fromMs) => markBeside(beside, kind, id, fromMs)
    await this.#catchUp(ports, runner, seen, mark)
  }

  async #catchUp(
    { log, rows }: CatchUpPorts,
    runner: FoldRunner,
    seen: SeenTables,
    mark: Mark,
  ): Promise<void> {
    for (const table of this.tablesOf(runner)) {
      for (const { lane } of table.lanes) {
        const from = seen.tables[`${table.name}/${lane.partition}`] ?? 0
        await this.#replay(log, { runner, table, lane }, from, mark)
        for (const id of await rows.since(lane, seen)) {
          for (const kind of this.kindsOf(table)) mark(kind, id, Number.NEGATIVE_INFINITY)
        }
      }
    }
  }

  #marker(runner: FoldRunner, laneRunner: LaneRunner): Mark {
    return (kind, id, fromMs) => this.#mark(runner, laneRunner, kind, id, fromMs)
  }

  async #replay(
    log: Pick<EventLog, 'read'>,
    join: { runner: FoldRunner; table: FoldRunner; lane: Lane },
    start: number,
    mark: Mark,
  ): Promise<void> {
    const { runner, table, lane } = join
    const stream = table.definition.source
    const joined = tableKindsOf(runner.newest.definition)
    const kinds = (this.#kinds.get(table) ?? []).filter(kind => joined.includes(kind))
    for (let from = start; from < lane.consumed;) {
      const recordsMax = Math.min(lane.consumed - from, 1_000)
      const batch = await log.read({ stream, partition: lane.partition, from, recordsMax })
      if (batch.length === 0) return
      for (const record of batch) {
        if (!lane.wants(record)) continue
        for (const kind of kinds) {
          for (const id of lane.keysOf(record)) {
            mark(kind, id, record.eventTimeMs)
          }
        }
      }
      from += batch.length
    }
  }

  #mark(
    runner: FoldRunner,
    laneRunner: LaneRunner,
    kind: string,
    id: string,
    fromMs: number,
  ): void {
    const before = laneRunner.stale.size
    markBeside(laneRunner, kind, id, fromMs)
    for (const beside of laneRunner.besides) markBeside(beside, kind, id, fromMs)
    if (before === 0 && laneRunner.stale.size > 0) this.#onStale(runner, laneRunner)
  }
}

/** What catching up reads. */
export interface CatchUpPorts {
  readonly log: Pick<EventLog, 'read'>
  readonly rows: Pick<CorrectedRows, 'since'>
}

type Mark = (kind: string, id: string, fromMs: number) => void

/** Of a lane, and of the copies in which keys of it are being folded again. */
function markBeside({ lane, stale }: Beside, kind: string, id: string, fromMs: number): void {
  for (const key of lane.shard.readersOf?.(kind, id, fromMs) ?? []) stale.add(key)
  for (const copy of lane.copies) markBeside(copy, kind, id, fromMs)
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [value])
  else list.push(value)
}
