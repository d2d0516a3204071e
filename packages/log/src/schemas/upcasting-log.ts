/**
 * A log whose readers see events of earlier versions as of today's: the one border at which records
 * are decoded for folds, reads, rebuilds and exports. What is stored stays as it was written.
 *
 * Data of events inside other records, as in corrections, is written under a definition too, and is
 * upcast in the same way. What no upcaster takes stays as it was written, and fails where it is folded.
 *
 * Cost: nothing for reads without upcasters; with them one look-up for each record of a type that has
 * one, and the upcaster when the data is asked for. Another process may register a newer definition
 * meanwhile: its versions are known before its first record is read.
 */
import { quietText } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { EventLog, LogRecord, NewEvent } from '../log.ts'
import { findThrough } from '../find.ts'
import { RecordView } from '../record-view.ts'
import type { ReplaceNested } from '../sealing/nested.ts'
import type { EvolutionPlan, Upcast } from './evolution.ts'
import { SCHEMA_STREAM, readSchemaHistory, type SchemaHistory } from './history.ts'

/** The parts of a log that give records. */
type Reads = Pick<EventLog, 'read' | 'history'>

/** Events inside the records of some streams. */
export interface NestedEvents {
  /** By stream: how they are found. Each spot names the one type of its event. */
  readonly nested: ReadonlyMap<string, ReplaceNested>
  /** The definition that they are written under. */
  readonly definition: string
}

/** A log that upcasts, and notes the definition of what has events inside; `log` itself when nothing in it needs that. */
export function upcastingLog(
  log: EventLog,
  plan: Pick<EvolutionPlan, 'upcasts'>,
  history: Pick<SchemaHistory, 'definitions'>,
  { nested, definition }: NestedEvents = { nested: new Map(), definition: '' },
): EventLog {
  const isPlain = plan.upcasts.size === 0
  if (isPlain && nested.size === 0) return log
  const { read, follow, reads } = upcastingReads(log, plan, history, nested)
  const noted = (event: NewEvent): NewEvent =>
    nested.has(event.stream) && event.definition === undefined ? { ...event, definition } : event
  return {
    read: isPlain ? request => log.read(request) : reads.read,
    history: isPlain ? request => log.history(request) : reads.history,
    capabilities: log.capabilities,
    declare: streams => log.declare(streams),
    commit: ({ events, ...rest }) =>
      log.commit(events === undefined ? rest : { ...rest, events: events.map(noted) }),
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
  nested: NestedEvents['nested'] = new Map(),
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
  const nestedIn = (record: LogRecord): LogRecord => {
    const replace = nested.get(record.stream)
    // One from before definitions were noted may be of any.
    const versions = definitions.get(record.definition)
    if (replace === undefined || versions === undefined) return record
    const upcastOf = (type: string): Upcast | undefined => upcasts.get(type)?.get(versions[type] ?? 1) // prettier-ignore
    return new NestedUpcastRecord(record, replace, upcastOf)
  }
  const read = (record: LogRecord): LogRecord => {
    const byVersion = upcasts.get(record.type)
    if (byVersion === undefined) return nestedIn(record)
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

/** A record with events of earlier versions inside. */
class NestedUpcastRecord extends RecordView {
  readonly #original: LogRecord
  readonly #replace: ReplaceNested
  readonly #upcastOf: (type: string) => Upcast | undefined

  constructor(
    record: LogRecord,
    replace: ReplaceNested,
    upcastOf: (type: string) => Upcast | undefined,
  ) {
    super(record)
    this.#original = record
    this.#replace = replace
    this.#upcastOf = upcastOf
  }

  get data(): unknown {
    return this.#replace(this.#original.data, ({ data, types: [type = ''] }) => {
      const upcast = this.#upcastOf(type)
      if (upcast === undefined) return data
      try {
        return upcast(data)
      } catch {
        // Whoever folds it in place of the event fails by name, and waits for a decision.
        return data
      }
    })
  }
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
