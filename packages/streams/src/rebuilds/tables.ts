/**
 * The versioned tables that a build joins, folded beside those of the runtime, exactly as far as it
 * says: a comparison is of two states that have seen the same versions.
 */
import { partitionOf } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { foldLane } from '../fold-lane.ts'
import type { TableLookup, TableShard } from '../fold.ts'
import type { Lane } from '../lane.ts'
import type { RefoldPorts } from '../refold.ts'

/** Consumed offsets of tables, by `fold/partition`. */
export type TableOffsets = Readonly<Record<string, number>>

/** A table with its lanes, by partition. */
export interface BuildTable {
  readonly kinds: readonly string[]
  readonly lanes: readonly Lane[]
}

/** See the head of the file. */
export class BuildTables implements TableLookup {
  readonly #ports: RefoldPorts
  readonly #tables: BuildTable[] = []

  constructor(ports: RefoldPorts) {
    this.#ports = ports
  }

  add(table: BuildTable): void {
    this.#tables.push(table)
  }

  asOf(kind: string, id: string, timeMs: number): unknown {
    const { lanes } = this.#tables.find(({ kinds }) => kinds.includes(kind)) as BuildTable
    const lane = lanes[partitionOf(id, lanes.length)] as Lane
    return (lane.shard as TableShard).asOf(id, timeMs)
  }

  /** Folds all tables up to `seen`. */
  async foldTo(seen: TableOffsets): Promise<void> {
    for (const { lanes } of this.#tables) {
      for (const lane of lanes) await foldLane(this.#ports, lane, endOf(seen, lane))
    }
  }

  /** Keys of `reader` that read a row before a version of it came, between `before` and now. */
  async staleKeys(reader: Lane, before: TableOffsets): Promise<ReadonlySet<string>> {
    const stale = new Set<string>()
    for (const { kinds, lanes } of this.#tables) {
      for (const lane of lanes) {
        for await (const record of recordsOf(this.#ports, lane, endOf(before, lane))) {
          for (const kind of kinds) {
            for (const id of lane.keysOf(record)) {
              const keys = reader.shard.readersOf?.(kind, id, record.eventTimeMs) ?? []
              for (const key of keys) stale.add(key)
            }
          }
        }
      }
    }
    return stale
  }
}

function endOf(seen: TableOffsets, { definition, partition }: Lane): number {
  return seen[`${definition.name}/${partition}`] ?? 0
}

async function* recordsOf(
  { log }: RefoldPorts,
  lane: Lane,
  start: number,
): AsyncGenerator<LogRecord> {
  const { definition, partition } = lane
  for (let from = start; from < lane.consumed;) {
    const recordsMax = Math.min(1_000, lane.consumed - from)
    const batch = await log.read({ stream: definition.source, partition, from, recordsMax })
    if (batch.length === 0) return
    for (const record of batch) if (lane.wants(record)) yield record
    from += batch.length
  }
}
