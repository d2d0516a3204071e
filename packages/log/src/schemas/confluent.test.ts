/** The published cases of Confluent's registry: verdict, names of the changes, and their places. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { compatibleChanges } from './json/changes.ts'
import { compareShapes } from './json/compare.ts'
import { readJsonSchema } from './json/read.ts'
import { readAvroSchema } from './avro/read.ts'
import { resolveAvro } from './avro/resolve.ts'
import { findUnreadable, type SchemaFinding } from './levels.ts'

const DATA = new URL('../../../../../shared/data/schemas/', import.meta.url)
const CASES = new URL('confluent-compatibility/', DATA)

interface Case {
  readonly description: string
  readonly original_schema: unknown
  readonly update_schema: unknown
  readonly changes: readonly string[]
  readonly compatible: boolean
  readonly compatible_lenient?: boolean
}

const isAbsent = !existsSync(CASES)
const skip = isAbsent ? 'data set ../shared/data/schemas is absent' : false

function readJson(url: URL): unknown {
  // One of the files has a comma before a closing brace.
  return JSON.parse(readFileSync(url, 'utf8').replace(/,(\s*[}\]])/g, '$1'))
}

function filesBelow(folder: URL, end: string): readonly URL[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith(end))
    .map(name => new URL(name, folder))
}

function score(context: TestContext, file: string): void {
  const cases = readJson(new URL(`json/${file}`, CASES)) as readonly Case[]
  const wrong: string[] = []
  for (const { description, original_schema: o, update_schema: u, ...expected } of cases) {
    const found = compareShapes(readJsonSchema(o), readJsonSchema(u), 'strict')
    const names = found.map(({ code, path }) => `${code} #/${path.join('/')}`)
    const isCompatible = (policy: 'strict' | 'lenient'): boolean =>
      found.every(({ code }) => compatibleChanges(policy).has(code))
    const lenient = expected.compatible_lenient ?? isCompatible('lenient')
    const isRight =
      isCompatible('strict') === expected.compatible &&
      isCompatible('lenient') === lenient &&
      JSON.stringify(names.toSorted()) === JSON.stringify([...expected.changes].sort())
    if (!isRight) wrong.push(`${description}: ${names.join(', ')}`)
    context.diagnostic(`${isRight ? 'right' : 'WRONG'} ${description}`)
  }
  context.diagnostic(`${file}: ${cases.length - wrong.length} of ${cases.length}`)
  assert.deepEqual(wrong, [])
  assert.ok(cases.length > 10)
}

function compareWithItself(schema: unknown): readonly SchemaFinding[] {
  return findUnreadable({ format: 'json', reader: schema, writer: structuredClone(schema) })
}

describe('the published cases of the registry', { skip }, () => {
  for (const file of [
    'diff-schema-examples.json',
    'diff-schema-examples-2020-12.json',
    'diff-combined-schema-examples.json',
    'diff-combined-schema-examples-2020-12.json',
  ]) {
    it(file, context => score(context, file))
  }

  it('every schema of the list reads its own values', () => {
    interface Pair {
      readonly source_schema: object
      readonly target_schema: object
      readonly skip: boolean
      readonly refs: boolean
    }
    const pairs = readJson(new URL('json/all-schemas.json', CASES)) as readonly Pair[]
    const modern = 'https://json-schema.org/draft/2020-12/schema'
    const readable = pairs.filter(pair => !pair.skip && !pair.refs)
    for (const { source_schema: source } of readable) {
      const refusals = compareWithItself({ $schema: modern, ...source })
      assert.deepEqual(refusals, [], JSON.stringify(source))
    }
    assert.ok(readable.length > 20)
  })

  it('a recursive schema reads itself', () => {
    const schema = readJson(new URL('json/recursive-schema.json', CASES))
    assert.deepEqual(compareWithItself(schema), [])
  })

  it('every Avro schema is read and reads what it wrote', () => {
    const files = filesBelow(new URL('avro/', CASES), '.avsc')
    let read = 0
    for (const file of files) {
      let type
      try {
        type = readAvroSchema(readJson(file))
      } catch (error) {
        // Two of them name types of other files.
        assert.match(String(error), /there is no type/, file.pathname)
        continue
      }
      read += 1
      assert.deepEqual(resolveAvro(type, readAvroSchema(readJson(file))), [], file.pathname)
    }
    assert.ok(read >= 14, `${read} of ${files.length}`)
  })
})
