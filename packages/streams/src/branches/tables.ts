/** Versioned tables as they are in a world of a branch: rows that are not those of the live tables are made when they were asked for, and the key is folded once more. */
import type { FoldShard, TableLookup, TableShard } from '../fold.ts'
import type { FoldRunner } from '../runner.ts'
import type { Work } from './work.ts'

/** What the tables are read from. */
export interface TableSource {
  tablesOf(runner: FoldRunner): readonly FoldRunner[]
  kindsOf(table: FoldRunner): readonly string[]
  /** The live shard of a row that is the same in this world; undefined when that is not known at once. */
  liveRow(table: FoldRunner, id: string): FoldShard | undefined
  /** Holds this row alone. */
  row(table: FoldRunner, id: string, work: Work): Promise<FoldShard>
}

/** See the head of the file. */
export class WorldTables implements TableLookup {
  readonly #source: TableSource
  readonly #work: Work
  readonly #tables = new Map<string, FoldRunner>()
  readonly #rows = new Map<string, Map<string, TableShard>>()
  readonly #missing = new Map<string, Set<string>>()

  constructor(source: TableSource, runner: FoldRunner, work: Work) {
    this.#source = source
    this.#work = work
    for (const table of source.tablesOf(runner)) {
      for (const kind of source.kindsOf(table)) this.#tables.set(kind, table)
    }
  }

  asOf(kind: string, id: string, timeMs: number): unknown {
    const table = this.#tables.get(kind) as FoldRunner
    const row = this.#rows.get(kind)?.get(id) ?? this.#source.liveRow(table, id)
    if (row !== undefined) return (row as TableShard).asOf(id, timeMs)
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
      const table = this.#tables.get(kind) as FoldRunner
      const rows = this.#rows.get(kind) ?? new Map<string, TableShard>()
      this.#rows.set(kind, rows)
      for (const id of ids) {
        rows.set(id, (await this.#source.row(table, id, this.#work)) as TableShard)
      }
    }
    return missing.length > 0
  }
}
