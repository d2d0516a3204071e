/**
 * Fields: the schema language of an app definition. One declaration gives the TypeScript type, the
 * JSON Schema (2020-12, as in OpenAPI 3.1), compiled validation, the personal-data marks and a part
 * of the definition's fingerprint. Nothing is coerced: what is stored is what was sent.
 */
// Not `typebox/compile`, which loads its language of types as well: 0.2 s of every start.
import { Compile } from 'typebox/schema'
import { coreErrors } from './errors.ts'

/** A JSON Schema, as it appears in OpenAPI. */
export type JsonSchema = { readonly [keyword: string]: unknown }

/**
 * A typed field. `T`: the value; `Optional`: whether it may be absent; `Ref`: the entity kind that
 * an id field names, `never` for others.
 */
export interface Field<T, Optional extends boolean = boolean, Ref extends string = string> {
  readonly schema: JsonSchema
  readonly isOptional: Optional
  /** Marked as personal data: masked in logs and exports, sealed with the person's key. */
  readonly isPersonal: boolean
  /** The entity kind that an id (or list of ids) names. */
  readonly ref: Ref | undefined
  /** Only in the type system. */
  readonly valueType?: T
  /** The field may be absent. */
  optional(): Field<T, true, Ref>
  /** A list of such values, at most `max` (default 1,000). */
  many(options?: { max?: number }): Field<T[], Optional, Ref>
  /** Marks the field as personal data. */
  personal(): Field<T, Optional, Ref>
  /** A sentence for the generated reference. */
  describe(description: string): Field<T, Optional, Ref>
}

/** Named fields of an event, an item kind or people. */
export type Fields = Readonly<Record<string, Field<unknown>>>

type Simplify<T> = { [K in keyof T]: T[K] } & {}
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends Field<unknown, true>
    ? F[K]['isOptional'] extends true
      ? K
      : never
    : never
}[keyof F]
type ValueOf<F> = F extends { readonly valueType?: infer T } ? Exclude<T, undefined> : never

/** The object type that `fields` describe. */
export type Infer<F extends Fields> = Simplify<
  { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: ValueOf<F[K]> } & {
    readonly [K in OptionalKeys<F>]?: ValueOf<F[K]>
  }
>

/** The names of the fields that are single, required ids; with `Kind`, ids of that kind. */
export type IdFields<F extends Fields, Kind extends string = string> = {
  [K in keyof F & string]: F[K] extends Field<string, false, infer Ref>
    ? [Ref] extends [never]
      ? never
      : Ref extends Kind
        ? K
        : never
    : never
}[keyof F & string]

interface FieldState {
  readonly schema: JsonSchema
  readonly isOptional: boolean
  readonly isPersonal: boolean
  readonly ref: string | undefined
}

function createField<T, Ref extends string = never>(state: FieldState): Field<T, false, Ref> {
  const derive = (change: Partial<FieldState>): never =>
    createField({ ...state, ...change }) as never
  const field = {
    ...state,
    optional: () => derive({ isOptional: true }),
    many: (options: { max?: number } = {}) =>
      derive({ schema: { type: 'array', items: state.schema, maxItems: options.max ?? 1000 } }),
    personal: () => derive({ isPersonal: true, schema: { ...state.schema, 'x-personal': true } }),
    describe: (description: string) => derive({ schema: { ...state.schema, description } }),
  }
  return field as unknown as Field<T, false, Ref>
}

const plain = <T>(schema: JsonSchema): Field<T, false, never> =>
  createField<T>({ schema, isOptional: false, isPersonal: false, ref: undefined })

/** Text of at most `max` UTF-16 units (default 10,000). */
export function text(options: { min?: number; max?: number } = {}): Field<string, false, never> {
  const min = options.min === undefined ? {} : { minLength: options.min }
  return plain({ type: 'string', ...min, maxLength: options.max ?? 10_000 })
}

/** A safe integer. */
export function int(options: { min?: number; max?: number } = {}): Field<number, false, never> {
  return plain({
    type: 'integer',
    minimum: options.min ?? Number.MIN_SAFE_INTEGER,
    maximum: options.max ?? Number.MAX_SAFE_INTEGER,
  })
}

/** A finite number. */
export function float(options: { min?: number; max?: number } = {}): Field<number, false, never> {
  const min = options.min === undefined ? {} : { minimum: options.min }
  const max = options.max === undefined ? {} : { maximum: options.max }
  return plain({ type: 'number', ...min, ...max })
}

/** True or false. */
export function bool(): Field<boolean, false, never> {
  return plain({ type: 'boolean' })
}

/** A moment: milliseconds since 1970-01-01T00:00:00Z, an integer. */
export function timestamp(): Field<number, false, never> {
  return plain({
    type: 'integer',
    minimum: -8.64e15,
    maximum: 8.64e15,
    description: 'milliseconds since the epoch',
  })
}

/** One of the given texts. */
export function oneOf<const V extends string>(...values: readonly V[]): Field<V, false, never> {
  return plain({ type: 'string', enum: values })
}

/** Pattern of ids of people, items and other entities: 1 to 256 characters, no control characters. */
export const ID_PATTERN = '^[^\\u0000-\\u001f\\u007f]{1,256}$'

/** The id of an entity of `kind` (a person, an item kind, or any other name). */
export function id<const Kind extends string>(kind: Kind): Field<string, false, Kind> {
  return createField<string, Kind>({
    schema: { type: 'string', pattern: ID_PATTERN, 'x-entity': kind },
    isOptional: false,
    isPersonal: false,
    ref: kind,
  })
}

/** The JSON Schema of an object with these fields and no others. */
export function objectSchema(fields: Fields): JsonSchema {
  const properties: Record<string, JsonSchema> = {}
  const required: string[] = []
  for (const [name, field] of Object.entries(fields)) {
    properties[name] = field.schema
    if (!field.isOptional) required.push(name)
  }
  return { type: 'object', properties, required, additionalProperties: false }
}

/** Lower and upper bounds of values, of the units of texts, and of the entries of lists. */
const BOUNDS = [
  ['minimum', 'maximum'],
  ['minLength', 'maxLength'],
  ['minItems', 'maxItems'],
] as const

/** Why the bounds of a field's schema cannot be meant: no value would fit, or one is no bound. */
export function boundsFault(schema: JsonSchema): string | undefined {
  for (const [low, high] of BOUNDS) {
    for (const keyword of [low, high]) {
      const bound = schema[keyword] ?? 0
      const isBound = low === 'minimum' ? Number.isFinite(bound) : isCount(bound)
      if (isBound) continue
      return `${keyword} cannot be ${typeof bound === 'number' ? bound : JSON.stringify(bound)}`
    }
    const [least, most] = [schema[low], schema[high]] as (number | undefined)[]
    if (least !== undefined && most !== undefined && least > most) {
      return `${low} ${least} is above ${high} ${most}`
    }
  }
  if (Array.isArray(schema['enum']) && schema['enum'].length === 0) return 'it names no value'
  const { items } = schema
  return items === undefined ? undefined : boundsFault(items as JsonSchema)
}

function isCount(bound: unknown): boolean {
  return Number.isSafeInteger(bound) && (bound as number) >= 0
}

/** Where and why a value does not fit. */
export interface SchemaIssue {
  /** JSON Pointer (RFC 6901) of the place; empty for the whole value. */
  readonly path: string
  readonly reason: string
}

/** A compiled schema. */
export interface Validator {
  /** True when `value` fits. A few hundred nanoseconds for an event. */
  check(value: unknown): boolean
  /** Why it does not fit, at most 10 issues; empty when it fits. */
  issues(value: unknown): readonly SchemaIssue[]
  /** Throws DATA_INVALID, naming `subject`, when `value` does not fit. */
  assert(value: unknown, subject: string): void
}

const ISSUES_MAX = 10

/** Compiles a JSON Schema once; throws DEFINITION_INVALID when it is not a schema. */
export function compileSchema(schema: JsonSchema): Validator {
  const compiled = Compile(schema)
  const issues = (value: unknown): readonly SchemaIssue[] =>
    compiled.Check(value)
      ? []
      : compiled
          .Errors(value)[1]
          // The field that is too much is named by an issue of its own; that of its object repeats it.
          .filter(error => error.keyword !== 'additionalProperties')
          .slice(0, ISSUES_MAX)
          .map(error => ({
            path: error.instancePath,
            reason: error.keyword === 'boolean' ? 'no such field is declared' : error.message,
          }))
  return {
    check: value => compiled.Check(value),
    issues,
    assert(value, subject) {
      if (compiled.Check(value)) return
      const first = issues(value)[0] ?? { path: '', reason: 'it does not fit the schema' }
      throw coreErrors.create('DATA_INVALID', {
        subject,
        path: first.path === '' ? 'its root' : first.path,
        reason: first.reason,
        issues: issues(value),
      })
    },
  }
}
