import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodePosition,
  encodePosition,
  hasReached,
  isError,
  joinPositions,
  partitionName,
} from './index.ts'

const positions = fc
  .dictionary(
    fc
      .tuple(fc.stringMatching(/^[a-z][a-z0-9._-]{0,10}$/), fc.nat(255))
      .map(([s, p]) => partitionName(s, p)),
    fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  )
  .map(entries => new Map(Object.entries(entries)))

test('a token gives its position back, and equal positions give equal tokens', () => {
  fc.assert(
    fc.property(positions, position => {
      const token = encodePosition(position)
      assert.match(token, /^[A-Za-z0-9._-]+$/)
      assert.deepEqual(new Map([...decodePosition(token)].sort()), new Map([...position].sort()))
      assert.equal(encodePosition(new Map([...position].reverse())), token)
    }),
  )
})

test('the join is the least position that has reached both', () => {
  fc.assert(
    fc.property(positions, positions, (a, b) => {
      const joined = joinPositions(a, b)
      assert.ok(hasReached(joined, a) && hasReached(joined, b))
      for (const [name, offset] of joined) {
        assert.equal(offset, Math.max(a.get(name) ?? 0, b.get(name) ?? 0))
      }
      assert.equal(hasReached(a, b), encodePosition(joined) === encodePosition(a))
    }),
  )
})

test('anything else is refused with a code, never with a crash', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map(text => `p1.${btoa(encodeURI(text))}`),
      ),
      token => {
        try {
          const position = decodePosition(token)
          assert.deepEqual(
            decodePosition(encodePosition(position)),
            new Map([...position].filter(e => e[1] > 0).sort()),
          )
        } catch (error) {
          assert.ok(isError(error, 'POSITION_INVALID'), String(error))
        }
      },
    ),
  )
  for (const token of [
    '',
    'p1',
    'p2.',
    'p1.%',
    'p1.' + 'A'.repeat(70_000),
    `p1.${btoa('a/1=zzzzzzzzzzz')}`,
  ]) {
    assert.throws(
      () => decodePosition(token),
      error => isError(error, 'POSITION_INVALID'),
    )
  }
})
