/** What the fuzzer does to this package: the tokens of answers. */
import { createHmac } from 'node:crypto'
import type { FuzzTarget } from '@millrace/sim'
import { createTokenSigner } from '../recommendations/token.ts'

const SECRET = Buffer.alloc(32, 7)
const signer = createTokenSigner(SECRET)
const key = createHmac('sha256', SECRET).update('millrace answer token').digest()

/** Signs what stands before the second dot, as long as the signature still fits. */
function reseal(input: Buffer): void {
  const end = input.indexOf('.', input.indexOf('.') + 1)
  if (end < 0) return
  const mac = createHmac('sha256', key).update(input.subarray(0, end)).digest('base64url')
  input.write(mac, end + 1, 'latin1')
}

/** The targets. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'answer-token',
    shortRuns: 2_000,
    corpus: () => ({
      valid: [{ answer: 'a', slots: [{ item: 'ö', propensity: 0.25 }] }, {}].map(exposure =>
        Buffer.from(signer.sign(Buffer.from(JSON.stringify(exposure)))),
      ),
      words: ['t1.', '.', 't2.', '..', '='],
      reseal,
    }),
    run: input => signer.read(input.toString('latin1')),
  },
]
