import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyBytes } from './body-bytes.ts'

test('a body is what arrived, however it was cut', () => {
  const lengths = fc.array(
    fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 3000, max: 9000 })),
    { maxLength: 200 },
  )
  const body = new BodyBytes()
  fc.assert(
    fc.property(lengths, list => {
      let next = 0
      const chunks = list.map(length => Buffer.from(Array.from({ length }, () => next++ & 255)))
      for (const chunk of chunks) body.push(chunk)
      assert.equal(body.length, next)
      assert.deepEqual(body.take(), Buffer.concat(chunks))
      assert.deepEqual([body.length, body.pieces], [0, 0])
    }),
    { seed: 1 },
  )
})

test('a body that comes byte by byte is held by few objects', () => {
  const body = new BodyBytes()
  const byte = Buffer.from('x')
  for (let sent = 0; sent < 1_000_000; sent++) body.push(byte)
  assert.ok(body.pieces < 20, `${body.pieces} objects`)
  assert.equal(body.take().toString('latin1'), 'x'.repeat(1_000_000))
})

test('a body of one piece is not copied', () => {
  const body = new BodyBytes()
  const chunk = Buffer.from('{}')
  body.push(chunk)
  assert.equal(body.take(), chunk)
})
