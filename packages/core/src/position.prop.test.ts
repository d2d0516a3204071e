import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isError } from './errors.ts'
import { decodePosition, encodePosition } from './position.ts'

const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 300)

const position = fc
  .array(
    fc.tuple(
      fc.stringMatching(/^[a-z0-9][a-z0-9._~-]{0,12}\/\d{1,5}$/),
      fc.oneof(fc.nat(1_000), fc.maxSafeNat()),
    ),
  )
  .map(entries => new Map(entries))

describe('the token of a position', () => {
  it('gives the position again, and is the same whatever the order of the entries', () => {
    fc.assert(
      fc.property(position, wanted => {
        const token = encodePosition(wanted)
        assert.match(token, /^[\w.-]+$/)
        assert.deepEqual(decodePosition(token), new Map([...wanted].filter(([, at]) => at > 0)))
        assert.equal(encodePosition(new Map([...wanted].reverse())), token)
      }),
      { seed: 20_261_122, numRuns },
    )
  })

  it('is refused by its code, or is one that could have been given, whatever it holds', () => {
    const damaged = fc
      .tuple(position, fc.nat(200), fc.string({ unit: 'binary', maxLength: 3 }))
      .map(([wanted, at, text]) => {
        const token = encodePosition(wanted)
        return token.slice(0, at) + text + token.slice(at + text.length)
      })
    const entries = fc
      .string({ unit: 'binary-ascii', maxLength: 40 })
      .map(text => `p1.${btoa(text)}`)
    fc.assert(
      fc.property(fc.oneof(damaged, entries, fc.string({ unit: 'binary' })), token => {
        let found
        try {
          found = decodePosition(token)
        } catch (error) {
          assert.ok(isError(error, 'POSITION_INVALID'), String(error))
          return
        }
        assert.deepEqual(decodePosition(encodePosition(found)), new Map([...found].filter(([, at]) => at > 0))) // prettier-ignore
      }),
      { seed: 20_261_123, numRuns: 10 * numRuns },
    )
  })
})
