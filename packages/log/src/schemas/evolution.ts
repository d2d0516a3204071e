/**
 * Compares what is declared with what a log remembers: which versions are read as they are, which
 * through upcasters, and which not at all.
 *
 * An event of an earlier version enters the chain of upcasters at the newest step whose schema is
 * the version's own, else at the newest that reads it; when today's schema does, at none.
 */
import type { Upcaster } from '@millrace/core'
import { canonicalJson } from './canonical.ts'
import type { DeclaredSchema, SchemaHistory, SchemaVersion } from './history.ts'
import { checkCompatibility, findUnreadable, type SchemaRefusal } from './levels.ts'

/** An event type as it is declared now, with how earlier ones are read. */
export interface DeclaredEvent extends DeclaredSchema {
  readonly stream: string
  readonly upcasters: readonly Upcaster[]
}

/** A version that the declared schema does not keep its level with. */
export interface BrokenVersion {
  readonly event: DeclaredEvent
  readonly version: SchemaVersion
  readonly refusals: readonly SchemaRefusal[]
}

/** Reads the data of an earlier version as of today's. */
export type Upcast = (old: unknown) => unknown

/** What follows from the comparison. */
export interface EvolutionPlan {
  readonly broken: readonly BrokenVersion[]
  /** By event type and version: how its data is read. A version that is read as it is has none. */
  readonly upcasts: ReadonlyMap<string, ReadonlyMap<number, Upcast>>
}

/** Plans how the events of a log are read. Pure. Throws SCHEMA_INVALID. */
export function planEvolution(
  declared: readonly DeclaredEvent[],
  history: SchemaHistory,
): EvolutionPlan {
  const broken: BrokenVersion[] = []
  const upcasts = new Map<string, Map<number, Upcast>>()
  for (const event of declared) {
    const versions = history.versions.get(event.type) ?? []
    for (const version of versions) {
      const steps = stepsFor(event, version.schema)
      const upcast = upcastOf(steps ?? [])
      if (upcast !== undefined) {
        const byVersion = upcasts.get(event.type) ?? new Map<number, Upcast>()
        upcasts.set(event.type, byVersion.set(version.version, upcast))
      }
      const refusals = refusalsOf(event, version, {
        isLast: version === versions.at(-1),
        isReadable: steps !== undefined,
      })
      if (refusals.length > 0) broken.push({ event, version, refusals })
    }
  }
  return { broken, upcasts }
}

/** How data of an earlier schema is read as of today's; undefined when nothing reads it. */
export function readerOf(event: DeclaredEvent, earlier: unknown): Upcast | undefined {
  const steps = stepsFor(event, earlier)
  return steps && (upcastOf(steps) ?? (old => old))
}

/** The steps that data of an earlier schema passes; undefined when nothing reads it. */
function stepsFor(event: DeclaredEvent, earlier: unknown): readonly Upcaster[] | undefined {
  const shapes = [...event.upcasters.map(({ schema }) => schema), event.schema]
  const text = canonicalJson(earlier)
  const same = shapes.findLastIndex(schema => canonicalJson(schema) === text)
  if (same >= 0) return event.upcasters.slice(same)
  const reading = shapes.findLastIndex(reader => isRead(reader, earlier))
  return reading >= 0 ? event.upcasters.slice(reading) : undefined
}

const isRead = (reader: unknown, writer: unknown): boolean =>
  findUnreadable({ format: 'json', reader, writer }).length === 0

function upcastOf(steps: readonly Upcaster[]): Upcast | undefined {
  if (steps.length === 0) return undefined
  const functions = steps.map(({ up }) => up as Upcast)
  return old => functions.reduce((data, up) => up(data), old)
}

function refusalsOf(
  { level, schema }: DeclaredEvent,
  version: SchemaVersion,
  { isLast, isReadable }: { readonly isLast: boolean; readonly isReadable: boolean },
): readonly SchemaRefusal[] {
  if (!isLast && !level.endsWith('_TRANSITIVE')) return []
  const refusals = checkCompatibility({ format: 'json', level, schema, history: [version.schema] })
  return refusals
    .filter(({ direction }) => direction === 'forward' || !isReadable)
    .map(refusal => ({ ...refusal, version: version.version }))
}
