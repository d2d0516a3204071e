/**
 * The check at start: what the definition declares against what the log remembers and holds. A
 * definition that some event of the log does not fit is refused before anything is folded.
 */
import { partitionName, type App, type Clock } from '@millrace/core'
import { logErrors, type EventLog, type LogRecord } from '@millrace/log'
import {
  planEvolution,
  readSchemaHistory,
  registrationOf,
  schemaStream,
  upcastingLog,
  type BrokenVersion,
  type DeclaredEvent,
  type SchemaHistory,
} from '@millrace/log/schemas'

const LEVEL_DEFAULT = 'BACKWARD_TRANSITIVE'

/** The event types of an app as the check compares them. */
export function declaredEvents(app: App): readonly DeclaredEvent[] {
  return [...app.events.values()].map(({ definition, schema }) => ({
    type: definition.name,
    stream: definition.stream,
    schema,
    level: definition.compatibility ?? app.options.compatibility ?? LEVEL_DEFAULT,
    upcasters: definition.upcasters ?? [],
  }))
}

/** Versions that the definition breaks its promise to, with an event of each that the log holds. */
export async function findBroken(
  log: Pick<EventLog, 'read' | 'stats'>,
  broken: readonly BrokenVersion[],
  history: SchemaHistory,
): Promise<readonly { readonly fault: BrokenVersion; readonly record: LogRecord }[]> {
  const found = []
  for (const fault of broken) {
    // Only now is the log looked at: a version of which it holds no event binds nobody.
    const record = await firstOf(log, fault, history)
    if (record !== undefined) found.push({ fault, record })
  }
  return found
}

async function firstOf(
  log: Pick<EventLog, 'read' | 'stats'>,
  { event, version }: BrokenVersion,
  { definitions }: SchemaHistory,
): Promise<LogRecord | undefined> {
  const { partitions = [] } =
    log.stats().streams.find(({ stream }) => stream === event.stream) ?? {}
  for (const [partition, { start, end }] of partitions.entries()) {
    for (let from = start; from < end;) {
      const records = await log.read({ stream: event.stream, partition, from })
      const found = records.find(
        record =>
          record.type === event.type &&
          (definitions.get(record.definition)?.[record.type] ?? 1) === version.version,
      )
      if (found !== undefined) return found
      if (records.length === 0) break
      from += records.length
    }
  }
  return undefined
}

/**
 * Checks the definition, registers what is new of it, and gives the log as it is to be read, with
 * what it remembers. Throws SCHEMA_INCOMPATIBLE with the event, the version, the places and the rules.
 */
export async function admitDefinition(
  log: EventLog,
  app: App,
  clock: Clock,
): Promise<{ readonly log: EventLog; readonly schemas: SchemaHistory }> {
  await log.declare([schemaStream])
  let schemas = await readSchemaHistory(log)
  const declared = declaredEvents(app)
  const plan = planEvolution(declared, schemas)
  const [first] = await findBroken(log, plan.broken, schemas)
  if (first !== undefined) throw incompatible(first)
  const events = registrationOf(schemas, app.fingerprint, { declared, nowMs: clock.nowMs() })
  if (events.length > 0) {
    await log.commit({ events })
    // With what was registered: what is written from now on is of these versions.
    schemas = await readSchemaHistory(log)
  }
  return { log: upcastingLog(log, plan, schemas), schemas }
}

function incompatible({
  fault: { event, version, refusals },
  record,
}: {
  readonly fault: BrokenVersion
  readonly record: LogRecord
}): Error {
  const reasons = refusals.map(({ path, code, reason }) => `${path}: ${reason} (${code})`)
  return logErrors.create('SCHEMA_INCOMPATIBLE', {
    type: event.type,
    level: event.level,
    version: version.version,
    event: `${record.id} at ${partitionName(record.stream, record.partition)}:${record.offset}`,
    reasons: reasons.join('; '),
    refusals,
  })
}
