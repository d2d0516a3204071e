/**
 * What has to be done now and then: remove old records of transient streams, look how much room the
 * tables take.
 */
import type { Clock, Logger, Timer } from '@millrace/core'
import type { Catalog, TablePartition } from './catalog.ts'
import type { Database } from './database.ts'

const EVERY_MS = 60_000
/** What the upkeep needs. */
export interface UpkeepPorts {
  readonly database: Database
  readonly catalog: Catalog
  readonly clock: Clock
  readonly logger: Logger
}

/** See the head of the file. */
export class Upkeep {
  readonly #ports: UpkeepPorts
  #timer: Timer | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  /** Bytes of all tables with their indexes, when it was looked last. */
  bytes = 0

  constructor(ports: UpkeepPorts) {
    this.#ports = ports
  }

  start(): void {
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isStopped) return
    this.#timer = this.#ports.clock.after(EVERY_MS, () => {
      this.#running = this.run()
        .catch((error: unknown) => this.#ports.logger.warn('upkeep of the log failed', { error }))
        .then(() => this.#schedule())
    })
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#running
  }

  /** Does all of it once. */
  async run(): Promise<void> {
    const { database, catalog } = this.#ports
    const [row] = await database.query(
      `SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'`,
      [database.schema],
    )
    this.bytes = Number(row?.[0] ?? 0)
    for (const { declared, partitions } of catalog.list()) {
      if (declared.transient === undefined) continue
      for (const partition of partitions) await this.#retain(partition, declared.transient)
    }
  }

  async #retain(
    partition: TablePartition,
    { maxAgeMs, maxBytes }: { readonly maxAgeMs?: number; readonly maxBytes?: number },
  ): Promise<void> {
    const { database, clock } = this.#ports
    const { number, start, end, bytes } = partition
    let first = start
    if (maxAgeMs !== undefined) {
      const [row] = await database.query('SELECT $schema.seek($1, $2)', [
        number,
        Math.floor(clock.nowMs() - maxAgeMs),
      ])
      first = Math.max(first, Number(row?.[0]))
    }
    if (maxBytes !== undefined) {
      // By the mean size of a record: the limit is about room, not about a certain record.
      const share = maxBytes / partition.stream.partitions.length
      const kept = Math.floor((share / Math.max(bytes, 1)) * (end - start))
      first = Math.max(first, end - Math.max(kept, 1))
    }
    first = Math.min(first, end - 1)
    if (first <= start) return
    await database.query('SELECT $schema.retain($1, $2)', [number, first])
    partition.start = first
  }
}
