import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isError } from '@millrace/core'
import { readMap } from './import.ts'

const numRuns = Number(process.env['MILLRACE_PROP_RUNS'] ?? 300)
const name = fc
  .oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'constructor', 'at'))
  .map(text => text.replaceAll(/[,=]/g, '').trim())
  .filter(text => text !== '')

describe('--map', () => {
  it('keeps every pair, whatever the names', () => {
    const pairs = fc.uniqueArray(fc.tuple(name, name), { minLength: 1, selector: ([field]) => field }) // prettier-ignore
    fc.assert(
      fc.property(pairs, fc.constantFrom('', ' '), (wanted, blank) => {
        const text = wanted.map(([field, column]) => `${field}${blank}=${blank}${column}`).join(',')
        assert.deepEqual(Object.entries(readMap(text)).sort(), [...wanted].sort())
      }),
      { seed: 20_261_124, numRuns },
    )
  })

  it('is refused as wrong usage or taken, whatever it holds', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('a', '=', ',', ' ', '__proto__')).map(parts => parts.join('')),
    )
    fc.assert(
      fc.property(text, given => {
        try {
          const pairs = Object.entries(readMap(given))
          assert.equal(pairs.length, given.split(',').length)
        } catch (error) {
          assert.ok(isError(error, 'CLI_USAGE'), String(error))
        }
      }),
      { seed: 20_261_125, numRuns: 10 * numRuns },
    )
  })
})
