/**
 * The proof that what is served is what the log says: any request that was kept is computed again,
 * and every ten minutes a sample of the newest ones. What differs is counted by feature: a count
 * above 0 is a fault of the state or of the code, never of chance.
 */
import { partitionName, type Clock, type Logger, type Timer } from '@millrace/core'
import {
  checkServed,
  featuresErrors,
  noteServed,
  type CompiledFeatures,
  type FeatureReader,
  type FeatureRows,
  type Mismatch,
  type ParityCheck,
  type RowsRequest,
  type Served,
} from '@millrace/features'
import type { EventLog, LogRecord } from '@millrace/log'
import type { Streams } from '@millrace/streams'
import { SERVED, SERVED_STREAM, SERVED_VALUES_MAX, ServedWriter } from './served-writer.ts'

const REPORT_EVERY_MS = 600_000
const SAMPLE_MAX = 50
/** Newest records that a sample is drawn from. */
const DRAWN_FROM_MAX = 2_000
const MISMATCHES_TOLD = 20

/** What a look at a sample found. */
export interface ParityReport {
  readonly atMs: number
  /** Requests that were computed again. */
  readonly requests: number
  readonly values: number
  /** Requests whose definition has changed since: their values may rightly differ, and do not count. */
  readonly ofOtherDefinitions: number
  readonly mismatches: number
  /** How many, by `<service>.<feature>`. */
  readonly byFeature: Readonly<Record<string, number>>
  /** The first of them. */
  readonly examples: readonly (Mismatch & { readonly request: string })[]
}

/** What parity stands on. */
export interface ParityPorts {
  readonly log: EventLog
  readonly streams: Streams
  readonly clock: Clock
  readonly logger: Logger
  readonly newId: () => string
  readonly definition: string
  readonly compiled: CompiledFeatures
  readonly reader: FeatureReader
  /** True while this process is the one that reports. */
  readonly leads: () => boolean
}

/** See the head of the file. */
export class Parity {
  /** Values found to differ since the process started, by `<service>.<feature>`; each request counts once. */
  readonly mismatches = new Map<string, number>()
  /** Values that were compared since the process started. */
  compared = 0
  last: ParityReport | undefined
  readonly writer: ServedWriter
  readonly #ports: ParityPorts
  #counted = new Set<string>()
  #timer: Timer | undefined
  #isClosed = false

  constructor(ports: ParityPorts) {
    this.#ports = ports
    this.writer = new ServedWriter(ports)
    this.#schedule()
  }

  /** Reads rows, and keeps what was served, unless it is too much; the id of the request names it. */
  serve(request: RowsRequest): { readonly rows: FeatureRows; readonly requestId?: string } {
    const { reader, streams, compiled, newId } = this.#ports
    const rows = reader.read(request)
    if (rows.statuses.length > SERVED_VALUES_MAX) return { rows }
    const requestId = newId()
    this.writer.write(requestId, noteServed(streams, compiled, request, rows))
    return { rows, requestId }
  }

  /** Keeps rows that a request was served under its own id, with the state as it is in this turn. */
  keep(requestId: string, request: Pick<RowsRequest, 'rows' | 'context'>, read: FeatureRows): void {
    if (read.statuses.length > SERVED_VALUES_MAX) return
    const { streams, compiled } = this.#ports
    this.writer.write(requestId, noteServed(streams, compiled, request, read))
  }

  /** Computes a request again. Rejects with FEATURE_REQUEST_UNKNOWN. */
  async check(requestId: string): Promise<ParityCheck> {
    await this.writer.flush()
    for await (const record of this.#ports.log.history({
      stream: SERVED_STREAM,
      keys: [requestId],
    })) {
      if (record.id === requestId) return await this.#check(record)
    }
    throw featuresErrors.create('FEATURE_REQUEST_UNKNOWN', { request: requestId })
  }

  /** Computes a sample of the newest requests again: spread over the newest two thousand, the newest one included. */
  async report(): Promise<ParityReport> {
    const { log, clock } = this.#ports
    await this.writer.flush()
    const end = log.ends().get(partitionName(SERVED_STREAM, 0)) ?? 0
    const start = log.stats().streams.find(({ stream }) => stream === SERVED_STREAM)?.partitions[0]?.start ?? 0 // prettier-ignore
    const from = Math.max(start, end - DRAWN_FROM_MAX)
    const step = Math.max(1, Math.ceil((end - from) / SAMPLE_MAX))
    const found = { requests: 0, values: 0, ofOtherDefinitions: 0 }
    const byFeature = new Map<string, number>()
    const examples: ParityReport['examples'][number][] = []
    for (let offset = end - 1; offset >= from; offset -= step) {
      const [record] = await log.read({ stream: SERVED_STREAM, partition: 0, from: offset, recordsMax: 1 }) // prettier-ignore
      if (record?.type !== SERVED) continue
      const { fingerprint, mismatches, values, service } = await this.#check(record)
      if (fingerprint.was !== fingerprint.now) {
        found.ofOtherDefinitions += 1
        continue
      }
      found.requests += 1
      found.values += values
      for (const mismatch of mismatches) {
        add(byFeature, `${service}.${mismatch.feature}`)
        if (examples.length < MISMATCHES_TOLD) examples.push({ request: record.id, ...mismatch })
      }
    }
    const mismatches = [...byFeature.values()].reduce((sum, count) => sum + count, 0)
    this.last = {
      atMs: clock.nowMs(),
      ...found,
      mismatches,
      byFeature: Object.fromEntries([...byFeature].sort()),
      examples,
    }
    return this.last
  }

  async #check(record: LogRecord): Promise<ParityCheck> {
    const { streams, compiled, logger } = this.#ports
    const check = await checkServed(streams, compiled, record.data as Served)
    const { fingerprint, mismatches, service } = check
    this.compared += check.values
    if (fingerprint.was !== fingerprint.now || mismatches.length === 0) return check
    if (this.#counted.has(record.id)) return check
    if (this.#counted.size > DRAWN_FROM_MAX) this.#counted = new Set()
    this.#counted.add(record.id)
    for (const { feature } of mismatches) add(this.mismatches, `${service}.${feature}`)
    const [{ feature } = { feature: '' }] = mismatches
    logger.error('served feature values are not those of the log', { request: record.id, count: mismatches.length, feature }) // prettier-ignore
    return check
  }

  #schedule(): void {
    this.#timer = this.#ports.clock.after(REPORT_EVERY_MS, () => {
      const { leads, logger } = this.#ports
      const work = leads() ? this.report() : Promise.resolve()
      work
        .catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error)
          logger.warn('the parity of features could not be checked', { reason })
        })
        .finally(() => {
          if (!this.#isClosed) this.#schedule()
        })
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.writer.close()
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
