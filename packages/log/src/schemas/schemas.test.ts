import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError } from '@millrace/core'
import { findUnreadable, type SchemaFormat } from './levels.ts'

function unreadable(format: SchemaFormat, writer: unknown, reader: unknown): readonly string[] {
  return findUnreadable({ format, writer, reader }).map(({ code, path }) => `${code} ${path}`)
}

const record = (...fields: readonly unknown[]): unknown => ({ type: 'record', name: 'r', fields })

describe('JSON Schemas', () => {
  const json = (writer: unknown, reader: unknown): readonly string[] =>
    unreadable('json', writer, reader)

  it('say where and why, in words', () => {
    const found = findUnreadable({
      format: 'json',
      writer: { type: 'object', properties: { a: { type: 'integer', maximum: 9 } } },
      reader: { type: 'object', properties: { a: { type: 'integer', maximum: 8 } } },
    })
    assert.deepEqual(found, [
      {
        code: 'MAXIMUM_DECREASED',
        path: '#/properties/a/maximum',
        reason: 'the maximum became smaller',
      },
    ])
  })

  it('an exclusive maximum that shrinks is refused, whatever else limits the number', () => {
    const below = (exclusiveMaximum: number): unknown => ({
      type: 'number',
      exclusiveMaximum,
      maximum: 99,
    })
    assert.deepEqual(json(below(9), below(8)), ['EXCLUSIVE_MAXIMUM_DECREASED #/exclusiveMaximum'])
    assert.deepEqual(json(below(8), below(9)), [])
  })

  it('multiples are those of decimals', () => {
    const of = (multipleOf: number): unknown => ({ type: 'number', multipleOf })
    assert.deepEqual(json(of(0.3), of(0.1)), [])
    assert.deepEqual(json(of(0.1), of(0.3)), ['MULTIPLE_OF_EXPANDED #/multipleOf'])
    assert.deepEqual(json(of(1e21), of(1e-7)), [])
  })

  it('a change deep in a recursive schema is found behind what is met first', () => {
    const tree = (leaf: string): unknown => ({
      definitions: {
        node: {
          type: 'object',
          properties: {
            left: { $ref: '#/definitions/node' },
            either: {
              anyOf: [{ $ref: '#/definitions/node' }, { type: leaf }, { type: 'null' }],
            },
            leaf: { type: leaf },
          },
        },
      },
      $ref: '#/definitions/node',
    })
    assert.deepEqual(json(tree('string'), tree('string')), [])
    assert.ok(json(tree('string'), tree('boolean')).includes('TYPE_CHANGED #/properties/leaf'))
  })

  it('parts of a combination are matched, each with one of its own', () => {
    const any = (...parts: readonly unknown[]): unknown => ({ anyOf: parts })
    const [text, short] = [{ type: 'string' }, { type: 'string', maxLength: 3 }]
    assert.deepEqual(json(any(short, text), any(text, short)), [])
    assert.deepEqual(json(any(short, text), any(short, { type: 'null' })), [
      'COMBINED_TYPE_SUBSCHEMAS_CHANGED #/',
    ])
  })

  it('references are found by pointer, id and anchor', () => {
    const schema = (reference: string): unknown => ({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      properties: { a: { $ref: reference } },
      additionalProperties: false,
      $defs: { 'x/y': { $id: 'other', $anchor: 'here', type: 'string' } },
    })
    for (const reference of ['#/$defs/x~1y', 'other', '#here']) {
      assert.deepEqual(json(schema(reference), schema('#here')), [], reference)
    }
    assert.throws(
      () => json(schema('#/nowhere'), {}),
      error => isError(error, 'SCHEMA_INVALID') && error.message.includes('/properties/a/$ref'),
    )
  })

  it('what is no schema is refused with its place', () => {
    for (const schema of [
      7,
      { type: 'strong' },
      { type: 'array', items: 'x' },
      { properties: [] },
      { enum: 'x' },
      { required: [1] },
      { type: 'string', pattern: 1 },
      { type: 'number', maximum: '1' },
      { $ref: '#/%' },
      { $schema: 'https://json-schema.org/draft/2020-12/schema', $ref: ['#'] },
    ]) {
      assert.throws(
        () => json(schema, {}),
        error => isError(error, 'SCHEMA_INVALID'),
      )
    }
  })
})

it('a name pattern that is no regular expression is refused where it decides', () => {
  const open = { type: 'object', patternProperties: { '[^x': {} } }
  const closed = { ...open, properties: { x: { type: 'string' } }, additionalProperties: false }
  assert.throws(
    () => unreadable('json', { ...open, additionalProperties: false }, closed),
    error => isError(error, 'SCHEMA_INVALID') && error.message.includes('patternProperties/[^x'),
  )
})

describe('Avro schemas', () => {
  const avro = (writer: unknown, reader: unknown): readonly string[] =>
    unreadable('avro', writer, reader)
  const a = { name: 'a', type: 'int' }

  it('a field that is new needs a default; one that went does not matter', () => {
    assert.deepEqual(avro(record(a), record(a, { name: 'b', type: 'string' })), [
      'READER_FIELD_MISSING_DEFAULT_VALUE #/fields/1',
    ])
    assert.deepEqual(avro(record(a), record(a, { name: 'b', type: 'string', default: '' })), [])
    assert.deepEqual(avro(record(a, { name: 'b', type: 'string' }), record(a)), [])
  })

  it('aliases of the reader find what was renamed, unless two fields answer', () => {
    const renamed = { name: 'b', type: 'int', aliases: ['a'] }
    assert.deepEqual(avro(record(a), record(renamed)), [])
    assert.deepEqual(avro(record(a, { name: 'b', type: 'int' }), record(renamed)), [
      'READER_FIELD_AMBIGUOUS #/fields/0',
    ])
    const old = { type: 'record', name: 'ns.Old', fields: [a] }
    const now = { type: 'record', name: 'New', namespace: 'ns', fields: [a] }
    assert.deepEqual(avro(old, now), ['NAME_MISMATCH #/name'])
    assert.deepEqual(avro(old, { ...now, aliases: ['Old'] }), [])
    assert.deepEqual(avro(old, { ...now, namespace: 'other', name: 'Old' }), [])
  })

  it('numbers widen, texts and bytes read each other, nothing narrows', () => {
    const order = ['int', 'long', 'float', 'double']
    for (const [i, writer] of order.entries()) {
      for (const [j, reader] of order.entries()) {
        assert.equal(avro(writer, reader).length === 0, i <= j, `${writer} as ${reader}`)
      }
    }
    assert.deepEqual(avro('bytes', 'string'), [])
    assert.deepEqual(avro('string', 'bytes'), [])
    assert.deepEqual(avro('boolean', 'int'), ['TYPE_MISMATCH #/'])
    assert.deepEqual(avro({ type: 'int', logicalType: 'date' }, 'long'), [])
  })

  it('unions: each branch that was written is read by one', () => {
    assert.deepEqual(avro('string', ['null', 'string']), [])
    assert.deepEqual(avro(['null', 'string'], 'string'), ['TYPE_MISMATCH #/0'])
    assert.deepEqual(avro(['null', 'int'], ['null', 'double']), [])
    assert.deepEqual(avro(['null', 'string', 'boolean'], ['null', 'string']), [
      'MISSING_UNION_BRANCH #/2',
    ])
  })

  it('symbols may not go without a default; sizes and names stay', () => {
    const one = (symbols: readonly string[], more = {}): unknown => ({
      type: 'enum',
      name: 'e',
      symbols,
      ...more,
    })
    assert.deepEqual(avro(one(['A', 'B']), one(['A'])), ['MISSING_ENUM_SYMBOLS #/symbols'])
    assert.deepEqual(avro(one(['A', 'B']), one(['A'], { default: 'A' })), [])
    const fixed = (size: number): unknown => ({ type: 'fixed', name: 'f', size })
    assert.deepEqual(avro(fixed(4), fixed(8)), ['FIXED_SIZE_MISMATCH #/size'])
    const lists = (items: string): unknown => ({ type: 'map', values: { type: 'array', items } })
    assert.deepEqual(avro(lists('int'), lists('string')), ['TYPE_MISMATCH #/values/items'])
  })

  it('recursive types end, and a name may be used before it is declared', () => {
    const list = (value: string): unknown =>
      record({ name: 'value', type: value }, { name: 'next', type: ['null', 'r'] })
    assert.deepEqual(avro(list('int'), list('long')), [])
    assert.ok(avro(list('long'), list('int')).includes('TYPE_MISMATCH #/fields/0/type'))
    const late = record(
      { name: 'x', type: 'late' },
      { name: 'y', type: { type: 'fixed', name: 'late', size: 3 } },
    )
    assert.deepEqual(avro(late, late), [])
  })

  it('what is no schema is refused with its place', () => {
    for (const schema of [
      7,
      'nothing',
      {},
      { type: 'record', name: 'r' },
      { type: 'record', fields: [] },
      record(a, a),
      record({ name: 'a' }),
      record('a'),
      ['int', 'int'],
      ['int', ['null']],
      { type: 'enum', name: 'e' },
      { type: 'enum', name: 'e', symbols: ['A', 'A'] },
      { type: 'enum', name: 'e', symbols: ['A'], default: 'B' },
      { type: 'fixed', name: 'f', size: 'x' },
      record({ name: 'x', type: record(a) }),
    ]) {
      assert.throws(
        () => avro(schema, schema),
        error => isError(error, 'SCHEMA_INVALID'),
        JSON.stringify(schema),
      )
    }
  })
})
