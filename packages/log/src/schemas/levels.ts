/**
 * Compatibility levels: which schemas of a history a new one is compared with, and which of them
 * must read the other's values. The names and their meaning are those of Confluent's registry.
 */
import type { CompatibilityLevel } from '@millrace/core'
import { compatibleChanges, reasonOf, type Policy } from './json/changes.ts'
import { compareShapes } from './json/compare.ts'
import { readJsonSchema } from './json/read.ts'
import { readAvroSchema } from './avro/read.ts'
import { resolveAvro } from './avro/resolve.ts'

/** The levels, each with what it promises. */
export const COMPATIBILITY_LEVELS = {
  NONE: 'nothing is promised',
  BACKWARD: 'the new schema reads what the last one allowed',
  BACKWARD_TRANSITIVE: 'the new schema reads what every earlier one allowed',
  FORWARD: 'the last schema reads what the new one allows',
  FORWARD_TRANSITIVE: 'every earlier schema reads what the new one allows',
  FULL: 'the new schema and the last one read each other',
  FULL_TRANSITIVE: 'the new schema and every earlier one read each other',
} as const satisfies Readonly<Record<CompatibilityLevel, string>>

/** The language of a schema. */
export type SchemaFormat = 'json' | 'avro'

/** Why a schema is refused. */
export interface SchemaRefusal {
  /** The earlier schema that it does not fit: its number in the history, from 1. */
  readonly version: number
  /** `backward`: the new schema does not read the earlier one's values; `forward`: the other way round. */
  readonly direction: 'backward' | 'forward'
  /** The rule, as the registry names it. */
  readonly code: string
  /** Place in the schema, `#/properties/watchedMs`. */
  readonly path: string
  /** A clause in plain words. */
  readonly reason: string
}

/** What one schema does not read of another. */
export interface SchemaFinding {
  readonly code: string
  readonly path: string
  readonly reason: string
}

/** A schema, and the earlier ones, oldest first. */
export interface CompatibilityRequest {
  readonly format: SchemaFormat
  readonly level: CompatibilityLevel
  readonly schema: unknown
  readonly history: readonly unknown[]
  /** Of JSON Schemas. Default `strict`. */
  readonly policy?: Policy
}

/** Why the schema does not keep the level; empty when it does. Throws SCHEMA_INVALID. */
export function checkCompatibility(request: CompatibilityRequest): readonly SchemaRefusal[] {
  const { level, schema, history } = request
  if (level === 'NONE') return []
  const from = level.endsWith('_TRANSITIVE') ? 0 : Math.max(0, history.length - 1)
  const directions = (['backward', 'forward'] as const).filter(
    direction => level.startsWith('FULL') || level.startsWith(direction.toUpperCase()),
  )
  return history.slice(from).flatMap((earlier, index) =>
    directions.flatMap(direction => {
      const [reader, writer] = direction === 'backward' ? [schema, earlier] : [earlier, schema]
      const findings = findUnreadable({ ...request, reader, writer })
      return findings.map(finding => ({ version: from + index + 1, direction, ...finding }))
    }),
  )
}

/** What the schema `reader` does not read of what `writer` allows; empty when it reads all. Throws SCHEMA_INVALID. */
export function findUnreadable(request: {
  readonly format: SchemaFormat
  readonly reader: unknown
  readonly writer: unknown
  readonly policy?: Policy
}): readonly SchemaFinding[] {
  const { format, reader, writer, policy = 'strict' } = request
  if (format === 'avro') {
    const refusals = resolveAvro(readAvroSchema(reader), readAvroSchema(writer))
    return refusals.map(({ code, path, reason }) => ({ code, path: `#/${path.join('/')}`, reason }))
  }
  const allowed = compatibleChanges(policy)
  return compareShapes(readJsonSchema(writer), readJsonSchema(reader), policy)
    .filter(({ code }) => !allowed.has(code))
    .map(({ code, path }) => ({ code, path: `#/${path.join('/')}`, reason: reasonOf(code) }))
}
