/**
 * Upcasters: how an event that was written under an earlier definition is read as one of today.
 * The bytes in the log stay as they were; readers get what the upcaster makes of them.
 */
import { objectSchema, type Fields, type Infer, type JsonSchema } from './schema.ts'

/**
 * How far a changed definition must keep what was written before it readable. The names are those
 * of Confluent's registry.
 */
export type CompatibilityLevel =
  | 'NONE'
  | 'BACKWARD'
  | 'BACKWARD_TRANSITIVE'
  | 'FORWARD'
  | 'FORWARD_TRANSITIVE'
  | 'FULL'
  | 'FULL_TRANSITIVE'

/** One step: from the data of an earlier definition to the next shape. */
export interface Upcaster {
  /** JSON Schema of the data that it takes. */
  readonly schema: JsonSchema
  readonly up: (old: never) => unknown
}

/** Steps from the oldest shape to today's. `Out`: what the last one gives. */
export interface Upcasters<Out> {
  readonly steps: readonly Upcaster[]
  /** Only in the type system. */
  readonly outType?: Out
  /** A further step: takes what the one before gives, which must fit `fields`. */
  next<const F extends Fields, Next>(
    this: Upcasters<Infer<F>>,
    fields: F,
    up: (old: Infer<F>) => Next,
  ): Upcasters<Next>
}

/**
 * Reads events with these earlier `fields` as what `up` makes of them: a pure function, which keeps
 * the key. `next` appends a step, so that events of every earlier shape pass through those after it.
 */
export function upcastFrom<const F extends Fields, Out>(
  fields: F,
  up: (old: Infer<F>) => Out,
): Upcasters<Out> {
  return createUpcasters([{ schema: objectSchema(fields), up }])
}

function createUpcasters<Out>(steps: readonly Upcaster[]): Upcasters<Out> {
  return {
    steps,
    next: (fields, up) => createUpcasters([...steps, { schema: objectSchema(fields), up }]),
  }
}
