/**
 * A log whose readers see events of earlier versions as of today's: the one border at which records
 * are decoded for folds, reads, rebuilds and exports. What is stored stays as it was written.
 *
 * Cost: nothing without upcasters (the log itself is given back); with them one look-up for each
 * record of a type that has one, and the upcaster when the data is asked for. Another process may
 * register a newer definition meanwhile: its versions are known before its first record is read.
 */
import { quietText } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { EventLog, LogRecord } from '../log.ts'
import { findThrough } from '../find.ts'
import { RecordView } from '../record-view.ts'
import type { EvolutionPlan, Upcast } from './evolution.ts'
import { SCHEMA_STREAM, readSchemaHistory, type SchemaHistory } from './history.ts'

/** The parts of a log that give records. */
type Reads = Pick<EventLog, 'read' | 'history'>

/** A log that upcasts, or `log` itself when nothing in it needs that. */
export function upcastingLog(
  log: EventLog,
  plan: Pick<EvolutionPlan, 'upcasts'>,
  history: Pick<SchemaHistory, 'definitions'>,
): EventLog {
  if (plan.upcasts.size === 0) return log
  const { read, follow, reads } = upcastingReads(log, plan, history)
  return {
    ...reads,
    capabilities: log.capabilities,
    declare: streams => log.declare(streams),
    commit: request => log.commit(request),
    find: findThrough(log, async records => {
      await follow()
      return records.map(read)
    }),
    version: request => log.version(request),
    seek: request => log.seek(request),
    ends: () => log.ends(),
    steps: request => log.steps(request),
    onAdvance: listener => log.onAdvance(listener),
    stats: () => log.stats(),
    close: () => log.close(),
  }
}

/** The same for who only reads: `reads` upcasts what `log` gives. */
export function upcastingReads(
  log: Reads & Pick<EventLog, 'ends'>,
  { upcasts }: Pick<EvolutionPlan, 'upcasts'>,
  history: Pick<SchemaHistory, 'definitions'>,
): {
  readonly reads: Reads
  /** A record as of today. */
  readonly read: (record: LogRecord) => LogRecord
  /** Learns of definitions that were registered since. */
  readonly follow: () => Promise<void>
} {
  let { definitions } = history
  const schemaEnd = (): number => log.ends().get(`${SCHEMA_STREAM}/0`) ?? 0
  let knownEnd = schemaEnd()
  const follow = async (): Promise<void> => {
    const end = schemaEnd()
    if (end === knownEnd) return
    definitions = (await readSchemaHistory(log)).definitions
    knownEnd = end
  }
  const read = (record: LogRecord): LogRecord => {
    const byVersion = upcasts.get(record.type)
    if (byVersion === undefined) return record
    // Records from before the history was kept are of the first version.
    const upcast = byVersion.get(definitions.get(record.definition)?.[record.type] ?? 1)
    return upcast === undefined ? record : new UpcastRecord(record, upcast)
  }
  const reads: Reads = {
    async read(request) {
      const records = await log.read(request)
      await follow()
      return records.map(read)
    },
    async *history(request) {
      await follow()
      for await (const record of log.history(request)) yield read(record)
    },
  }
  return { reads, read, follow }
}

/** A record of an earlier version, read as of today's. Its data is made when it is first asked for. */
class UpcastRecord extends RecordView {
  readonly #original: LogRecord
  readonly #upcast: Upcast
  #made: { readonly data: unknown } | undefined = undefined

  constructor(record: LogRecord, upcast: Upcast) {
    super(record)
    this.#original = record
    this.#upcast = upcast
  }

  get data(): unknown {
    this.#made ??= { data: this.#make() }
    return this.#made.data
  }

  #make(): unknown {
    // Of what was erased nothing is left that an upcaster could be asked for.
    if (this.#original.isErased === true) return this.#original.data
    try {
      return this.#upcast(this.#original.data)
    } catch (error) {
      const { type, id, definition } = this.#original
      const reason = quietText(error)
      throw logErrors.create('UPCAST_FAILED', { type, id, definition, reason }, error)
    }
  }
}
