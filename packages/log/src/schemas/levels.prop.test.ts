/** A verdict is a promise about values: whoever keeps it reads them. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  bool,
  compileSchema,
  float,
  id,
  int,
  objectSchema,
  oneOf,
  text,
  timestamp,
  type CompatibilityLevel,
  type Field,
} from '@millrace/core'
import fc from 'fast-check'
import { checkCompatibility, COMPATIBILITY_LEVELS } from './levels.ts'
import { valuesOf } from './values.ts'

const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 100)

const range = fc.record({
  min: fc.integer({ min: -9, max: 0 }),
  max: fc.integer({ min: 1, max: 9 }),
})
const lengths = fc.record({
  min: fc.integer({ min: 0, max: 2 }),
  max: fc.integer({ min: 3, max: 6 }),
})
const choices = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 })

const single: fc.Arbitrary<Field<unknown>> = fc.oneof(
  fc.constantFrom<Field<unknown>>(bool(), timestamp(), id('clip'), float(), int(), text()),
  range.map(limits => int(limits)),
  range.map(limits => float(limits)),
  lengths.map(limits => text(limits)),
  choices.map(values => oneOf(...values)),
)
const field: fc.Arbitrary<Field<unknown>> = fc
  .tuple(single, fc.boolean(), fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }))
  .map(([one, isOptional, max]) => {
    const many = max === undefined ? one : one.many({ max })
    return isOptional ? many.optional() : many
  })
const fields = fc.dictionary(fc.constantFrom('a', 'b', 'c'), field, { noNullPrototype: true })

/** Two definitions that share most of their fields, as an old and a new one do. */
const pair = fc.tuple(fields, fields, fc.subarray(['a', 'b', 'c'])).map(([old, other, changed]) => {
  const next = { ...old }
  for (const name of changed) {
    if (other[name] === undefined) delete next[name]
    else next[name] = other[name]
  }
  return { old: objectSchema(old), next: objectSchema(next) }
})

it('what keeps BACKWARD reads every old value, and so with FORWARD and FULL', () => {
  let kept = 0
  fc.assert(
    fc.property(pair, fc.context(), ({ old, next }, context) => {
      for (const level of ['BACKWARD', 'FORWARD', 'FULL'] as const) {
        const refusals = checkCompatibility({ format: 'json', level, schema: next, history: [old] })
        if (refusals.length > 0) continue
        kept += 1
        context.log(`${level} is kept`)
        if (level !== 'FORWARD') assertReads(next, old)
        if (level !== 'BACKWARD') assertReads(old, next)
      }
    }),
    { numRuns },
  )
  assert.ok(kept > numRuns / 10, `only ${kept} verdicts of ${numRuns} were kept`)
})

function assertReads(reader: ReturnType<typeof objectSchema>, writer: unknown): void {
  const validator = compileSchema(reader)
  for (const value of fc.sample(valuesOf(writer), { numRuns: 20, seed: 1 })) {
    assert.ok(validator.check(value), `${JSON.stringify(value)} is not read`)
  }
}

it('the levels differ in what they compare, as one direction or two, the last or all', () => {
  const schemas = [
    objectSchema({ a: int() }),
    objectSchema({ a: int(), b: text().optional() }),
    objectSchema({ a: int(), b: text() }),
  ]
  const [first, second, third] = schemas
  const versions = (level: CompatibilityLevel, schema: unknown, history: readonly unknown[]) =>
    checkCompatibility({ format: 'json', level, schema, history }).map(
      ({ version, direction }) => `${version} ${direction}`,
    )
  const refused: Readonly<Record<CompatibilityLevel, readonly string[]>> = {
    NONE: [],
    BACKWARD: ['2 backward'],
    BACKWARD_TRANSITIVE: ['1 backward', '2 backward'],
    FORWARD: [],
    FORWARD_TRANSITIVE: ['1 forward'],
    FULL: ['2 backward'],
    FULL_TRANSITIVE: ['1 backward', '1 forward', '2 backward'],
  }
  for (const level of Object.keys(COMPATIBILITY_LEVELS) as CompatibilityLevel[]) {
    assert.deepEqual(versions(level, third, [first, second]), refused[level], level)
    assert.deepEqual(versions(level, third, []), [], level)
  }
})
