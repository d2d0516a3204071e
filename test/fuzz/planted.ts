/** Parsers that are wrong: what the fuzzer must find. */
import { coreErrors } from '@millrace/core'
import type { FuzzTarget } from '@millrace/sim'

const kept: Buffer[] = []
const planted = (name: string, run: (input: Buffer) => unknown): FuzzTarget => ({
  name,
  shortRuns: 100,
  corpus: () => ({ valid: [Buffer.from('{"a":1}'), Buffer.from('{"b":[2]}')] }),
  run,
})

/** The targets. */
export const targets: readonly FuzzTarget[] = [
  planted('crash', input => JSON.parse(input.toString())),
  planted('hang', input => {
    while (input[0] !== 0x7b);
  }),
  planted('greed', input => {
    if (input[0] === 0x7b) return
    const hoard: unknown[] = []
    for (;;) hoard.push(new Array(1_000_000).fill(hoard))
  }),
  planted('growth', () => kept.push(Buffer.alloc(64 * 1024))),
  planted('mute', () => {
    throw coreErrors.create('POSITION_INVALID')
  }),
  planted('right', () => {
    throw coreErrors.create('POSITION_INVALID', { reason: 'it is always refused' })
  }),
]
