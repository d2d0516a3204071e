/**
 * Upcasters tried on generated old events: each shape that old events may have, through the steps
 * that read it, must come out as today's. Needs the package fast-check.
 */
import { compileSchema } from '@millrace/core'
import fc from 'fast-check'
import { canonicalJson } from './canonical.ts'
import { readerOf, type DeclaredEvent } from './evolution.ts'
import type { SchemaHistory } from './history.ts'
import { valuesOf } from './values.ts'

/** An old event that is not read as one of today. */
export interface TrialFault {
  readonly type: string
  /** The shape it has: a version of the history, or a step of the upcasters. */
  readonly shape: string
  /** The data, shrunk to the simplest that fails. */
  readonly data: unknown
  readonly reason: string
}

/** What a trial found. */
export interface Trial {
  readonly shapes: number
  readonly events: number
  readonly faults: readonly TrialFault[]
}

/** How a trial runs. */
export interface TrialOptions {
  /** The versions that a log holds; without it the shapes that upcasters name are tried. */
  readonly history?: SchemaHistory
  /** Events of each shape. Default 100. */
  readonly events?: number
  /** Default 1: the same events each time. */
  readonly seed?: number
}

/** Tries each shape that old events of the declared types may have. Throws SCHEMA_INVALID for one that cannot be generated. */
export function tryOldEvents(
  declared: readonly DeclaredEvent[],
  { history, events = 100, seed = 1 }: TrialOptions = {},
): Trial {
  const faults: TrialFault[] = []
  let shapes = 0
  for (const event of declared) {
    const today = compileSchema(event.schema)
    for (const [shape, schema] of shapesOf(event, history)) {
      const upcast = readerOf(event, schema)
      if (upcast === undefined) continue
      shapes += 1
      const judge = (data: unknown): string | undefined => {
        try {
          const [issue] = today.issues(upcast(data))
          return issue === undefined ? undefined : `${issue.path || 'its root'}: ${issue.reason}`
        } catch (error) {
          return `the upcaster throws: ${error instanceof Error ? error.message : String(error)}`
        }
      }
      const result = fc.check(
        fc.property(valuesOf(schema), data => judge(data) === undefined),
        { numRuns: events, seed },
      )
      if (!result.failed) continue
      const data = result.counterexample?.[0]
      faults.push({ type: event.type, shape, data, reason: judge(data) ?? 'it is not read' })
    }
  }
  return { shapes, events: shapes * events, faults }
}

/** The shapes of old events: each once, named by where it comes from. */
function shapesOf(
  event: DeclaredEvent,
  history: SchemaHistory | undefined,
): ReadonlyMap<string, unknown> {
  const named = [
    ...event.upcasters.map(({ schema }, i) => [`upcaster ${i + 1}`, schema] as const),
    ...(history?.versions.get(event.type) ?? []).map(
      ({ version, schema }) => [`version ${version}`, schema] as const,
    ),
  ]
  const bySchema = new Map(named.map(([name, schema]) => [canonicalJson(schema), { name, schema }]))
  return new Map([...bySchema.values()].map(({ name, schema }) => [name, schema]))
}
