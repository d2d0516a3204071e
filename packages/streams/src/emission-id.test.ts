import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { timeOfId } from '@millrace/core'
import { EmissionIds, hashText } from './emission-id.ts'

/** Text whose UTF-16 units, low byte first, are the bytes of `ascii`. */
function packed(ascii: string): string {
  assert.equal(ascii.length % 2, 0)
  let text = ''
  for (let at = 0; at < ascii.length; at += 2) {
    text += String.fromCharCode(ascii.charCodeAt(at) | (ascii.charCodeAt(at + 1) << 8))
  }
  return text
}

function hexOf(text: string): string {
  const lanes = new Int32Array(4)
  hashText(lanes, lanes, text)
  return [...lanes].map(lane => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}

it('hashes as MurmurHash3 x86 128 does', () => {
  // Vectors of the reference code, by way of the Python package mmh3 5.
  assert.equal(hexOf(''), '0'.repeat(32))
  const text = packed('I will not buy this record, it is scratched.')
  assert.equal(hexOf(text), 'a0a9683b25ac5e40d9af2895890dddf5')
  const fox = packed('The quick brown fox jumps over the lazy dog.')
  assert.equal(hexOf(fox), '6cbb60997dd6ed5e2bbf0fbb9b627b55')
})

it('gives the same ids for ever', () => {
  const ids = new EmissionIds('rekey.clip.from-person', 3)
  const cause = '0197a5b0-1000-7000-8000-000000000001'
  assert.deepEqual(
    [
      ids.idOf(1_750_000_000_123, cause, { key: 'c1', ordinal: 0, salt: '' }),
      ids.idOf(1_750_000_000_123, cause, { key: 'c1', ordinal: 1, salt: '' }),
      ids.idOf(-5, 'e', { key: 'ключ', ordinal: 0, salt: '\nretry k' }),
    ],
    [
      '01977420-dc7b-8a61-978a-12a3efa71646',
      '01977420-dc7b-80e6-a1f7-2bd47b34b9c5',
      '00000000-0000-8b25-beb5-e17b0ae48ad9',
    ],
  )
})

it('gives ordered ids with the time of the event', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'binary' }),
      (timeMs, cause, key) => {
        const id = new EmissionIds('fold', 1).idOf(timeMs, cause, { key, ordinal: 0, salt: '' })
        assert.equal(timeOfId(id), timeMs)
      },
    ),
    { seed: 1, numRuns: 500 },
  )
})

it('gives other ids when anything differs', () => {
  const seen = new Set<string>()
  let asked = 0
  for (const fold of ['a', 'b', 'ab']) {
    for (const generation of [1, 2, 11]) {
      const ids = new EmissionIds(fold, generation)
      for (let cause = 0; cause < 500; cause++) {
        for (const key of ['k', 'k1', 'k11']) {
          for (const salt of ['', '\nretry k', '\nretry k1']) {
            for (const ordinal of [0, 1]) {
              seen.add(ids.idOf(1, `e${cause}`, { key, ordinal, salt }))
              asked += 1
            }
          }
        }
      }
    }
  }
  assert.equal(seen.size, asked)
})

it('gives the same id in whatever order ids are asked for', () => {
  const [one, other] = [new EmissionIds('fold', 1), new EmissionIds('fold', 1)]
  const ask = (ids: EmissionIds, cause: number): string =>
    ids.idOf(7, `e${cause}`, { key: 'k', ordinal: 0, salt: '' })
  const forwards = [1, 2, 2, 3].map(cause => ask(one, cause))
  const backwards = [3, 2, 1, 2].map(cause => ask(other, cause))
  assert.deepEqual(forwards, [backwards[2], backwards[1], backwards[3], backwards[0]])
})
