import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { createTokenSigner } from './token.ts'

test('a token is signed with HMAC-SHA-256, at any length', () => {
  const secret = Buffer.from('a secret of this data directory')
  const signer = createTokenSigner(secret)
  const key = createHmac('sha256', secret).update('millrace answer token').digest()
  for (const size of [0, 1, 40, 2_900, 3_100, 20_000, 100]) {
    const exposure = { p: 'ü'.repeat(size) }
    const token = signer.sign(Buffer.from(JSON.stringify(exposure)))
    const [version, body, mac] = token.split('.')
    const wanted = createHmac('sha256', key).update(`${version}.${body}`).digest('base64url')
    assert.equal(mac, wanted)
    assert.deepEqual(signer.read(token), exposure)
  }
})
