import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSeededRandom } from '@millrace/core'
import fc from 'fast-check'
import { KEY_SCOPES, createKeyId, createKeyText, readKeyText } from './key-text.ts'

const scopes = fc.constantFrom(...KEY_SCOPES)
const keys = fc.record({ scope: scopes, seed: fc.integer() }).map(({ scope, seed }) => {
  const random = createSeededRandom(seed)
  const id = createKeyId(random)
  return { scope, id, text: createKeyText({ scope, id }, random) }
})

test('a key says its scope and id, and has the form that scanners look for', () => {
  fc.assert(
    fc.property(keys, ({ scope, id, text }) => {
      assert.match(text, /^millrace_(public|server|admin)_[0-9a-z]{10}_[0-9A-Za-z]{38}$/)
      assert.deepEqual(readKeyText(text), { scope, id })
    }),
  )
})

test('a key with another character anywhere is no key', () => {
  fc.assert(
    fc.property(
      keys,
      fc.nat(),
      fc.constantFrom('0', 'a', 'Z', '_', ' ', '-', 'é'),
      ({ text }, place, other) => {
        const at = place % text.length
        fc.pre(text[at] !== other)
        assert.equal(readKeyText(text.slice(0, at) + other + text.slice(at + 1)), undefined)
      },
    ),
  )
})

test('any other text is no key', () => {
  fc.assert(fc.property(fc.string(), text => assert.equal(readKeyText(text), undefined)))
})

test('every character is as likely as the others', () => {
  const random = createSeededRandom(3)
  const counts = new Map<string, number>()
  for (let index = 0; index < 4000; index++) {
    const secret = createKeyText({ scope: 'admin', id: 'a'.repeat(10) }, random).slice(-38, -6)
    for (const letter of secret) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  }
  assert.equal(counts.size, 62)
  const expected = (4000 * 32) / 62
  // Chi-squared with 61 degrees of freedom is above 120 less than once in 100,000 fair runs.
  let distance = 0
  for (const count of counts.values()) distance += (count - expected) ** 2 / expected
  assert.ok(distance < 120, `chi-squared ${distance}`)
})
