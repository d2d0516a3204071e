import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { findingOf, inputOf } from '@millrace/sim'
import { fuzz, type FuzzReport } from '../../scripts/fuzz-run.ts'
import { targets } from './targets.ts'

const SEED = 4
/** Longer than a machine with much to do leaves a thread without any time. */
const HANG_MS = 2_000

describe('a short run of the fuzzer finds nothing', () => {
  for (const target of targets) {
    test(target.name, async () => {
      const corpus = await target.corpus()
      for (let number = 0; number < target.shortRuns; number++) {
        const found = await findingOf(target, inputOf(corpus, { seed: SEED, number }))
        const again = `npm run fuzz -- --only ${target.name} --seed ${SEED} --input ${number}`
        assert.equal(found, undefined, again)
      }
    })
  }
})

describe('the fuzzer finds what is planted', () => {
  const run = (name: string, only?: number): Promise<FuzzReport> =>
    fuzz({
      targets: join(import.meta.dirname, 'planted.ts'),
      name,
      seed: 1,
      until: { inputs: 100 },
      growthBytes: 2 ** 20,
      only,
      // What does not hang is waited for on a machine that is slow, too.
      hangMs: name === 'hang' ? HANG_MS : 600_000,
    })
  for (const [name, expected] of [
    ['crash', /^SyntaxError: /],
    ['hang', new RegExp(`^hang: no end after ${HANG_MS} ms`)],
    ['greed', /^the thread ended: .*memory/],
    ['growth', /^growth: \d+ MiB held after a while, \d+ MiB in the end/],
    ['mute', /^POSITION_INVALID does not say \{reason\}/],
  ] as const) {
    test(name, async () => {
      const { findings } = await run(name)
      const [first] = findings
      assert.match(first?.text ?? 'nothing', expected)
      // Growth shows over many inputs; anything else again with the one alone.
      if (name === 'growth' || name === 'greed') return
      const again = await run(name, first?.input)
      assert.equal(again.findings[0]?.input, first?.input)
      assert.match(again.findings[0]?.text ?? 'nothing', expected)
    })
  }

  test('and nothing else', async () => {
    const { findings, inputs } = await run('right')
    assert.deepEqual(findings, [])
    assert.ok(inputs > 0)
  })
})
