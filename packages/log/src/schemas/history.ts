/**
 * The schema history of a log, kept in the log itself, on a stream of its own: what copies, moves
 * or restores the log carries it.
 *
 * A version of an event type is a schema that it was declared with, numbered from 1 in the order in
 * which this log met them; a definition (the fingerprint that each record carries) names a version
 * of every type. What is registered stays; the same schema again is the version that it was.
 */
import type { CompatibilityLevel, JsonSchema } from '@millrace/core'
import type { EventLog, NewEvent, StreamSpec } from '../log.ts'
import { canonicalJson } from './canonical.ts'

/** The stream of the history. The name of an entity kind has no dot, so none can take it. */
export const SCHEMA_STREAM = 'millrace.schemas'
const SCHEMA_TYPE = 'schema.registered'
const DEFINITION_TYPE = 'definition.registered'
const DEFINITION_KEY = 'definitions'

/** The stream to declare. */
export const schemaStream: StreamSpec = { name: SCHEMA_STREAM, partitions: 1 }

/** A version of an event type. */
export interface SchemaVersion {
  readonly type: string
  readonly version: number
  readonly format: 'json'
  readonly schema: unknown
  readonly level: CompatibilityLevel
  /** The definition that brought it. */
  readonly definition: string
  /** When it was registered, milliseconds since the epoch. */
  readonly registeredMs: number
}

/** What a log remembers of its definitions. */
export interface SchemaHistory {
  /** Versions by event type, oldest first. */
  readonly versions: ReadonlyMap<string, readonly SchemaVersion[]>
  /** Versions of event types by definition. */
  readonly definitions: ReadonlyMap<string, Readonly<Record<string, number>>>
}

/** An event type as it is declared now. */
export interface DeclaredSchema {
  readonly type: string
  readonly schema: JsonSchema
  readonly level: CompatibilityLevel
}

/** Reads the history of a log; empty when it has none. */
export async function readSchemaHistory(
  log: Pick<EventLog, 'read' | 'ends'>,
): Promise<SchemaHistory> {
  const versions = new Map<string, SchemaVersion[]>()
  const definitions = new Map<string, Readonly<Record<string, number>>>()
  const end = log.ends().get(`${SCHEMA_STREAM}/0`) ?? 0
  for (let from = 0; from < end;) {
    const records = await log.read({ stream: SCHEMA_STREAM, partition: 0, from })
    for (const { type, data, ingestTimeMs } of records) {
      if (type === SCHEMA_TYPE) {
        const version = {
          ...(data as Omit<SchemaVersion, 'registeredMs'>),
          registeredMs: ingestTimeMs,
        }
        versions.set(version.type, [...(versions.get(version.type) ?? []), version])
      } else if (type === DEFINITION_TYPE) {
        const named = data as { definition: string; versions: Readonly<Record<string, number>> }
        definitions.set(named.definition, named.versions)
      }
    }
    from += Math.max(1, records.length)
  }
  return { versions, definitions }
}

/** The version of a type that has this schema, or undefined. */
export function versionOf(
  history: SchemaHistory,
  { type, schema }: Pick<DeclaredSchema, 'type' | 'schema'>,
): SchemaVersion | undefined {
  const text = canonicalJson(schema)
  return history.versions.get(type)?.find(version => canonicalJson(version.schema) === text)
}

/** The events that register what is declared under `definition`; empty when all of it is known. */
export function registrationOf(
  history: SchemaHistory,
  definition: string,
  { declared, nowMs }: { readonly declared: readonly DeclaredSchema[]; readonly nowMs: number },
): readonly NewEvent[] {
  if (history.definitions.has(definition)) return []
  const numbers: Record<string, number> = {}
  const fresh: NewEvent[] = []
  const event = (type: string, key: string, data: unknown): NewEvent => ({
    stream: SCHEMA_STREAM,
    type,
    key,
    id: `${definition}:${key}`,
    eventTimeMs: nowMs,
    // Another process that registers the same at the same time says the same.
    isTimeOfArrival: true,
    data,
    definition,
  })
  for (const { type, schema, level } of declared) {
    const known = versionOf(history, { type, schema })?.version
    const version = known ?? (history.versions.get(type)?.length ?? 0) + 1
    numbers[type] = version
    if (known !== undefined) continue
    const data = { type, version, format: 'json', schema, level, definition }
    fresh.push(event(SCHEMA_TYPE, type, data))
  }
  return [...fresh, event(DEFINITION_TYPE, DEFINITION_KEY, { definition, versions: numbers })]
}
