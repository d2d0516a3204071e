/**
 * Versioned tables as they were at a moment. A row of which no version came since is that of the live
 * table; another is folded from its history, which cannot be done within a read: so the first pass
 * over a key's records only finds the rows that it reads, until none is missing.
 */
import type { Corrections } from '../corrections/contract.ts'
import type { TableLookup, TableShard } from '../fold.ts'
import type { FoldRunner } from '../runner.ts'
import { boundOf } from './bound.ts'
import { foldToBound } from './fold-to-bound.ts'
import type { Instant, PastPorts } from './moment.ts'

/** See the head of the file. */
export class PastTables implements TableLookup {
  readonly #ports: PastPorts
  readonly #instant: Instant
  readonly #corrections: Corrections | undefined
  readonly #tables = new Map<string, FoldRunner>()
  /** Rows by kind and id. */
  readonly #rows = new Map<string, Map<string, TableShard>>()
  readonly #missing = new Map<string, Set<string>>()

  /** By `corrections`; default: what is in force now. */
  constructor(ports: PastPorts, runner: FoldRunner, instant: Instant, corrections?: Corrections) {
    this.#ports = ports
    this.#instant = instant
    this.#corrections = corrections
    for (const table of ports.watch.tablesOf(runner)) {
      for (const kind of ports.watch.kindsOf(table)) this.#tables.set(kind, table)
    }
  }

  asOf(kind: string, id: string, timeMs: number): unknown {
    const row = this.#rows.get(kind)?.get(id)
    if (row !== undefined) return row.asOf(id, timeMs)
    const missing = this.#missing.get(kind)
    if (missing === undefined) this.#missing.set(kind, new Set([id]))
    else missing.add(id)
    return undefined
  }

  /** Makes the rows that were asked for and are not there; false when there are none. */
  async load(): Promise<boolean> {
    const missing = [...this.#missing]
    this.#missing.clear()
    for (const [kind, ids] of missing) {
      const rows = this.#rows.get(kind) ?? new Map<string, TableShard>()
      this.#rows.set(kind, rows)
      for (const id of ids) rows.set(id, await this.#row(kind, id))
    }
    return missing.length > 0
  }

  async #row(kind: string, id: string): Promise<TableShard> {
    const table = this.#tables.get(kind) as FoldRunner
    const { lane } = table.laneOf(id)
    const { log } = this.#ports
    const corrections = this.#corrections
    const bound = await boundOf(this.#ports, table, lane.partition, this.#instant)
    if (log.capabilities.expectedVersion && corrections === undefined) {
      const request = { stream: table.definition.source, key: id, tenant: lane.options.tenant }
      if ((await log.version(request)) <= bound.to) return lane.shard as TableShard
    }
    const own = { corrections }
    const { shard } = await foldToBound(this.#ports, table, id, bound, lane.options.tables, own)
    return shard as TableShard
  }
}
