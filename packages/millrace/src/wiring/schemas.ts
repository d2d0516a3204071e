/**
 * The check at start: what the definition declares against what the log remembers and holds. A
 * definition that some event of the log does not fit is refused before anything is folded.
 */
import { partitionName, type App, type Clock } from '@millrace/core'
import { logErrors, type EventLog, type LogRecord, type NewEvent } from '@millrace/log'
import {
  planEvolution,
  readSchemaHistory,
  registrationOf,
  SCHEMA_STREAM,
  schemaStream,
  upcastingLog,
  type BrokenVersion,
  type DeclaredEvent,
  type SchemaHistory,
} from '@millrace/log/schemas'
import { eventsOfDecisions } from './sealing.ts'

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

/** Processes that start with new definitions at once take turns; each turn is a moment. */
const TURNS_MAX = 50
const TURN_MS = 100

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
  const declared = declaredEvents(app)
  const types = declared.map(({ type }) => type)
  for (let turn = 1; ; turn++) {
    const known = await versionsOf(log, types)
    const isRead = (log.ends().get(`${SCHEMA_STREAM}/0`) ?? 0) >= Math.max(0, ...known.values())
    const schemas = await readSchemaHistory(log)
    const plan = planEvolution(declared, schemas)
    const [first] = await findBroken(log, plan.broken, schemas)
    if (first !== undefined) throw incompatible(first)
    const events = registrationOf(schemas, app.fingerprint, { declared, nowMs: clock.nowMs() })
    if (events.length === 0) {
      const inner = { nested: eventsOfDecisions, definition: app.fingerprint }
      return { log: upcastingLog(log, plan, schemas, inner), schemas }
    }
    const overtaken = isRead ? await register(log, events, known) : overtakenBy('another process')
    if (overtaken === undefined) continue
    if (turn >= TURNS_MAX) throw overtaken
    await new Promise<void>(resolve => clock.after(TURN_MS, resolve))
  }
}

/** Where the newest version of each type stands; nothing where the log cannot tell. */
async function versionsOf(log: EventLog, types: readonly string[]): Promise<Map<string, number>> {
  const known = new Map<string, number>()
  if (!log.capabilities.expectedVersion) return known
  for (const key of types) known.set(key, await log.version({ stream: SCHEMA_STREAM, key }))
  return known
}

/**
 * Registers versions, each only where nothing of its type came since `known`, and the definition
 * that names them after all of them; gives the reason when another process was faster.
 */
async function register(
  log: EventLog,
  events: readonly NewEvent[],
  known: ReadonlyMap<string, number>,
): Promise<Error | undefined> {
  const versions = events.slice(0, -1).map(event => {
    const expectedVersion = known.get(event.key)
    return expectedVersion === undefined ? event : { ...event, expectedVersion }
  })
  for (const group of [versions, events.slice(-1)]) {
    const { results } = await log.commit({ events: group })
    const conflict = results.find(result => result.status === 'conflict')
    if (conflict !== undefined) return overtakenBy(conflict.reason)
  }
  return undefined
}

function overtakenBy(reason: string): Error {
  return logErrors.create('EVENT_CONFLICT', { id: 'of a schema version', reason })
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
