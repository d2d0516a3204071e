import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isError } from '@millrace/core'
import { parseBody, type BodyLimits, type ParsedBody } from './body.ts'

const limits: BodyLimits = { eventsMax: 50, eventBytesMax: 400, depthMax: 6 }
const seed = 20_261_121

interface Parsed {
  readonly isBatch: boolean
  /** By element: the value, or that it was refused. */
  readonly elements: readonly ({ value: unknown } | 'fault')[]
}

/** What `parseBody` should give: obvious code, one thing at a time. A string is an error code. */
function naive(bytes: Buffer, format: 'json' | 'ndjson'): Parsed | string {
  const body = bytes.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]))
    ? bytes.subarray(3)
    : bytes
  if (format === 'ndjson') return naiveLines(body)
  const text = decode(body)
  if (text === undefined) return 'BODY_NOT_UTF8'
  if (text.trim() === '') return 'BODY_MISSING'
  const isArray = text.trimStart().startsWith('[')
  if (!isArray && body.length > limits.eventBytesMax) return 'EVENT_TOO_LARGE'
  const value = parse(text)
  if (value === undefined) return 'BODY_INVALID'
  if (depth(value.value) > limits.depthMax) return 'REQUEST_INVALID'
  if (!isArray) return { isBatch: false, elements: [value] }
  const values = value.value as unknown[]
  if (values.length > limits.eventsMax) return 'EVENTS_TOO_MANY'
  return { isBatch: true, elements: values.map(element => ({ value: element })) }
}

function naiveLines(body: Buffer): Parsed | string {
  const lines: Buffer[] = []
  let start = 0
  for (let index = 0; index <= body.length; index++) {
    if (index === body.length || body[index] === 10) {
      lines.push(body.subarray(start, index))
      start = index + 1
    }
  }
  const full = lines.filter(line => line.some(byte => ![32, 13, 9].includes(byte)))
  if (full.length === 0) return 'BODY_MISSING'
  if (full.length > limits.eventsMax) return 'EVENTS_TOO_MANY'
  return {
    isBatch: true,
    elements: full.map(line => {
      const text = decode(line)
      const value = text === undefined ? undefined : parse(text)
      const isFault =
        value === undefined ||
        Buffer.byteLength(text?.replace(/^[ \t\r]+|[ \t\r]+$/g, '') ?? '') > limits.eventBytesMax ||
        depth(value.value) > limits.depthMax
      return isFault ? 'fault' : value
    }),
  }
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function parse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depth))
}

function actual(bytes: Buffer, format: 'json' | 'ndjson'): ParsedBody | string {
  try {
    return parseBody(Buffer.from(bytes), format, limits)
  } catch (error) {
    if (isError(error)) return error.code
    throw error
  }
}

function assertSame(bytes: Buffer, format: 'json' | 'ndjson'): void {
  const expected = naive(bytes, format)
  const parsed = actual(bytes, format)
  if (typeof expected === 'string' || typeof parsed === 'string') {
    const said = typeof parsed === 'string' ? parsed : 'parsed'
    const wanted = typeof expected === 'string' ? expected : 'parsed'
    // Broken JSON that is also too deep may be refused for either.
    const isEither = wanted === 'BODY_INVALID' && said === 'REQUEST_INVALID'
    if (!isEither) assert.equal(said, wanted)
    return
  }
  assert.equal(parsed.isBatch, expected.isBatch)
  assert.equal(parsed.values.length, expected.elements.length)
  expected.elements.forEach((element, index) => {
    const isFault = parsed.faults.has(index)
    if (element === 'fault') {
      assert.ok(isFault, `element ${index} should be refused`)
      return
    }
    const payload = parsed.payloads[index]
    const size = payload?.length ?? 0
    if (isFault) {
      assert.ok(size > limits.eventBytesMax, `element ${index} is refused without reason`)
      return
    }
    assert.deepEqual(parsed.values[index], element.value)
    // What is stored is what was sent: the bytes decode to the value.
    if (payload !== undefined) {
      assert.deepEqual(JSON.parse(Buffer.from(payload).toString('utf8')), element.value)
    }
  })
}

/** Bodies that are nearly right: well-formed pieces, broken ones, and separators of all kinds. */
const piece = fc.oneof(
  { weight: 6, arbitrary: fc.json({ maxDepth: 3 }) },
  {
    weight: 6,
    arbitrary: fc
      .dictionary(fc.string({ maxLength: 4 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
      .map(value => JSON.stringify(value)),
  },
  fc.constantFrom(
    '{}',
    '[]',
    '{"a":"\\ud800"}',
    '{"a":1,"a":2}',
    '{"__proto__":{"x":1}}',
    '{"a":1e999}',
    'NaN',
    '{"a":"\\"}',
    '{"a":"}',
    '{"a":[{}',
    '{}]}',
    '{},{}',
    '[[[[[[[[1]]]]]]]]',
    '{"a":"é\u2028😀"}',
    '"x"',
    'null',
    `{"a":"${'x'.repeat(500)}"}`,
  ),
)
const separator = fc.constantFrom('\n', '\r\n', '\n\n', ',', ' ', '\n \t\r\n', '')
const noise = fc.option(fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 3 })), {
  nil: undefined,
})

const body = fc
  .tuple(
    fc.array(fc.tuple(piece, separator), { maxLength: 8 }),
    fc.constantFrom('', '[', '\ufeff', ' \n'),
    fc.constantFrom('', ']', '\n', ' '),
    noise,
  )
  .map(([pieces, before, after, broken]) => {
    const text = before + pieces.map(([json, between]) => json + between).join('') + after
    const bytes = Buffer.from(text)
    if (broken === undefined || bytes.length === 0) return bytes
    const [at, more] = broken
    const cut = at % bytes.length
    return Buffer.concat([bytes.subarray(0, cut), more, bytes.subarray(cut)])
  })

/** Bodies that are right. */
const goodBody = (format: 'json' | 'ndjson'): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.tuple(
        fc.dictionary(
          fc.string({ maxLength: 6, unit: 'grapheme' }),
          fc.jsonValue({ maxDepth: 2 }),
          { maxKeys: 4 },
        ),
        fc.constantFrom('\n', '\r\n', '\n\n', ' \n'),
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map(entries =>
      format === 'ndjson'
        ? Buffer.from(entries.map(([value, end]) => JSON.stringify(value) + end).join(''))
        : Buffer.from(
            `[${entries.map(([value, end]) => end + JSON.stringify(value) + end).join(',')}]`,
          ),
    )

describe('a body taken apart', () => {
  it('gives what a naive parser gives, whatever the bytes', () => {
    fc.assert(fc.property(body, fc.constantFrom<'json' | 'ndjson'>('json', 'ndjson'), assertSame), {
      seed,
      numRuns: 4000,
    })
  })

  it('keeps the bytes of every event of a well-formed body', () => {
    for (const format of ['json', 'ndjson'] as const) {
      fc.assert(
        fc.property(goodBody(format), bytes => {
          assertSame(bytes, format)
          const parsed = actual(bytes, format)
          assert.ok(typeof parsed !== 'string')
          // The fast way was taken: no payload has to be made anew.
          assert.equal(parsed.payloads.length, parsed.values.length)
        }),
        { seed, numRuns: 500 },
      )
    }
  })
})
