/**
 * What has to be done now and then: show that this process lives, forget those that were silent for
 * long, remove old records of transient streams, look how much room the tables take.
 */
import type { Clock, Logger, Timer } from '@millrace/core'
import type { Catalog, TablePartition } from './catalog.ts'
import type { Database } from './database.ts'

const EVERY_MS = 60_000
/** A process that was silent for so long may not commit any more. */
const SILENT_FOR = '1 day'

/** A lease is renewed so many times before it would be over. */
const RENEWALS = 4

/** What the upkeep needs. */
export interface UpkeepPorts {
  readonly database: Database
  readonly catalog: Catalog
  readonly clock: Clock
  readonly logger: Logger
  readonly member: string
  /** How long the others wait for a sign of life; undefined when nobody waits. */
  readonly leaseMs: number | undefined
  /** Called when another process took over. */
  readonly onLost: () => void
}

/** See the head of the file. */
export class Upkeep {
  readonly #ports: UpkeepPorts
  #timer: Timer | undefined
  #beat: Timer | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopped = false
  /** Bytes of all tables with their indexes, when it was looked last. */
  bytes = 0

  constructor(ports: UpkeepPorts) {
    this.#ports = ports
  }

  start(): void {
    this.#scheduleRun()
    this.#scheduleBeat()
  }

  #scheduleRun(): void {
    if (this.#isStopped) return
    this.#timer = this.#ports.clock.after(EVERY_MS, () => {
      this.#running = this.run()
        .catch((error: unknown) => this.#ports.logger.warn('upkeep of the log failed', { error }))
        .then(() => this.#scheduleRun())
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#beat?.cancel()
  }

  /** Does all of it once. */
  async run(): Promise<void> {
    const { database, catalog } = this.#ports
    await this.#showLife()
    await database.query(
      `DELETE FROM $schema.members WHERE seen_at < clock_timestamp() - interval '${SILENT_FOR}'`,
    )
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

  #scheduleBeat(): void {
    const { clock, leaseMs, logger } = this.#ports
    if (this.#isStopped || leaseMs === undefined) return
    this.#beat = clock.after(leaseMs / RENEWALS, () => {
      void this.#showLife()
        .catch((error: unknown) => logger.warn('the lease was not renewed', { error }))
        .then(() => this.#scheduleBeat())
    })
  }

  async #showLife(): Promise<void> {
    const { database, member, onLost } = this.#ports
    const rows = await database.query(
      'UPDATE $schema.members SET seen_at = clock_timestamp() WHERE member = $1 RETURNING member',
      [member],
    )
    if (rows.length === 0 && !this.#isStopped) onLost()
  }

  /** Takes this process out of the book. */
  async leave(): Promise<void> {
    const { database, member, logger } = this.#ports
    await this.#running
    try {
      await database.query('DELETE FROM $schema.members WHERE member = $1', [member])
    } catch (error) {
      logger.debug('the process stays in the book of members until it is found silent', { error })
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
