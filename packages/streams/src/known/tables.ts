/**
 * Versioned tables as they were known at a moment: a version counts from when the log took it (one of
 * history from when it happened), whatever the time it is of. The moment only goes forward.
 */
import type { EventLog, LogRecord } from '@millrace/log'
import type { TableLookup } from '../fold.ts'
import { knownMsOf } from './order.ts'

const BATCH_RECORDS = 4_096

interface Version {
  readonly atMs: number
  readonly knownMs: number
  /** Undefined after a removal. */
  readonly attributes: unknown
}

/** A version that became known after the time that it is of. */
export interface LateVersion {
  readonly kind: string
  readonly id: string
  readonly atMs: number
  readonly knownMs: number
}

/** See the head of the file. */
export class KnownTables implements TableLookup {
  /** Versions known later than this do not count. Moved by who reads. */
  knownMs = Number.NEGATIVE_INFINITY
  /** Of versions that came late, the one that is known first comes first. */
  readonly late: LateVersion[] = []
  readonly #kinds = new Map<string, Map<string, Version[]>>()

  /** Reads the tables of item kinds up to offsets by partition, what was retracted left out by `isVoid`. */
  static async read(
    log: Pick<EventLog, 'read'>,
    tables: readonly { readonly kind: string; readonly ends: readonly number[] }[],
    isVoid: (record: LogRecord) => boolean,
  ): Promise<KnownTables> {
    const known = new KnownTables()
    for (const { kind, ends } of tables) {
      known.#kinds.set(kind, new Map())
      for (const [partition, end] of ends.entries()) {
        for (let from = 0; from < end;) {
          const recordsMax = Math.min(BATCH_RECORDS, end - from)
          const records = await log.read({ stream: kind, partition, from, recordsMax })
          for (const record of records) if (!isVoid(record)) known.#add(kind, record)
          from += records.length
        }
      }
    }
    known.late.sort((a, b) => a.knownMs - b.knownMs)
    return known
  }

  asOf(kind: string, id: string, timeMs: number): unknown {
    const versions = this.#kinds.get(kind)?.get(id)
    if (versions === undefined) return undefined
    for (let index = versions.length - 1; index >= 0; index--) {
      const version = versions[index] as Version
      if (version.atMs <= timeMs && version.knownMs <= this.knownMs) return version.attributes
    }
    return undefined
  }

  #add(kind: string, record: LogRecord): void {
    const { type, key, data, eventTimeMs: atMs } = record
    const isPut = type === `${kind}.put`
    if (!isPut && type !== `${kind}.removed`) return
    const attributes = isPut ? (data as { attributes: unknown }).attributes : undefined
    const knownMs = knownMsOf(record)
    const own = this.#kinds.get(kind) as Map<string, Version[]>
    const versions = own.get(key)
    const version = { atMs, knownMs, attributes }
    if (knownMs > atMs) this.late.push({ kind, id: key, atMs, knownMs })
    if (versions === undefined) {
      own.set(key, [version])
      return
    }
    // Versions of the same time keep the order of the log; the last one counts.
    let index = versions.length
    while (index > 0 && (versions[index - 1] as Version).atMs > atMs) index -= 1
    versions.splice(index, 0, version)
  }
}
