/** Which rows of tables were corrected since a state was kept that had read them. */
import type { EventLog } from '@millrace/log'
import type { Touched } from '../identity/touched.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import type { SeenTables } from '../snapshot-codec.ts'
import type { CorrectionBook } from './book.ts'
import { keysOf } from './lane-changes.ts'

/** What tells it. */
export interface CorrectedRowsPorts {
  readonly log: Pick<EventLog, 'read'>
  readonly book: Pick<CorrectionBook, 'ofStream'>
  touchedBetween(lane: Lane, from: number, to: number): Promise<Touched>
}

/** Looks up rows by how many records of corrections they reflected. */
export class CorrectedRows {
  readonly #ports: CorrectedRowsPorts

  constructor(ports: CorrectedRowsPorts) {
    this.#ports = ports
  }

  /**
   * Keys of a table that are otherwise by the first `to` records of corrections, by default those that
   * it reflects, than where `seen` says; where that says nothing, all that were ever otherwise.
   */
  async since(
    lane: Lane,
    { tablesCorrected }: SeenTables,
    to = lane.corrections.position,
  ): Promise<ReadonlySet<string>> {
    const from = tablesCorrected?.[`${lane.definition.name}/${lane.partition}`]
    const rows = new Set<string>(from === undefined ? await this.#ever(lane) : [])
    if ((from ?? 0) >= to) return rows
    const { records, keys } = await this.#ports.touchedBetween(lane, from ?? 0, to)
    for (const key of [...keysOf(lane, records), ...keys]) rows.add(key)
    return rows
  }

  /** True when no row of any table is otherwise, and none was read as later corrections say than the first `to`. */
  async areSame(tables: readonly FoldRunner[], seen: SeenTables, to?: number): Promise<boolean> {
    const newest = Math.max(0, ...Object.values(seen.tablesCorrected ?? {}))
    if (newest > (to ?? Infinity)) return false
    for (const { lane } of tables.flatMap(({ lanes }) => lanes)) {
      if ((await this.since(lane, seen, to)).size > 0) return false
    }
    return true
  }

  async #ever(lane: Lane): Promise<readonly string[]> {
    const { log, book } = this.#ports
    const { source: stream } = lane.definition
    const rows: string[] = []
    for (const { place } of book.ofStream(stream)) {
      if (place?.partition !== lane.partition) continue
      const { partition, offset: from } = place
      for (const record of await log.read({ stream, partition, from, recordsMax: 1 })) {
        rows.push(...lane.keysOf(record))
      }
    }
    return rows
  }
}
