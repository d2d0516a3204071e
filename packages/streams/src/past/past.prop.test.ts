/**
 * The past against what a live runtime read then: random events (late, history, ticks), late table
 * versions and restarts; at every moment at which all was folded, each key of each view is read, and
 * at the end it is read again as of those moments. The clock stands between two events.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { systemClock, type Position } from '@millrace/core'
import { compiled, views } from '../testing/oracle.ts'
import { OracleWorld, oracleCommand, type OracleCommand } from '../testing/oracle-world.ts'
import { canonicalText } from '../views/canonical.ts'
import { createViewReader, type ViewReader } from '../views/reader.ts'

const KEYS = [...Array(6).keys()].map(number => `p${number}`).concat(['c0', 'c1', 'c2', 'c3', 'c4'])

interface Seen {
  /**
   * False when time came to a re-keyed stream alone since the newest event: a position names the
   * streams from outside, and so the moment of that event.
   */
  readonly isPosition: boolean
  readonly timeMs: number
  readonly position: Position
  readonly values: ReadonlyMap<string, string>
}

class PastWorld extends OracleWorld {
  readonly seen: Seen[] = []
  #isPosition = true

  constructor() {
    super()
    this.clock = { ...systemClock, nowMs: () => this.nowMs }
  }

  override async run(step: OracleCommand): Promise<void> {
    await super.run(step)
    if (step.kind === 'tick') this.#isPosition = step.stream === 0
    if (step.kind === 'watch') this.#isPosition = true
  }

  readers(): readonly (readonly [string, ViewReader])[] {
    return Object.keys(views).map(name => [name, createViewReader(this.streams, name)])
  }

  look(): void {
    const values = new Map<string, string>()
    for (const [name, reader] of this.readers()) {
      for (const key of KEYS) values.set(`${name} ${key}`, told(reader.get(key)))
    }
    const position = new Map(this.log.ends())
    this.seen.push({ timeMs: this.nowMs, position, isPosition: this.#isPosition, values })
  }
}

function told({ value, watermarkMs }: { value: unknown; watermarkMs: number }): string {
  return canonicalText([value ?? null, Number.isFinite(watermarkMs) ? watermarkMs : null])
}

it('reads what was read then, by time and by position, of every kind of view', async () => {
  let compared = 0
  await fc.assert(
    fc.asyncProperty(fc.array(oracleCommand, { minLength: 1, maxLength: 50 }), async commands => {
      const world = await new PastWorld().open()
      for (const step of commands) {
        await world.run(step)
        if (step.kind !== 'wait') continue
        world.look()
      }
      await world.settle()
      for (const { timeMs, position, isPosition, values } of world.seen) {
        for (const [name, reader] of world.readers()) {
          const { source } = world.streams.fold(`view.${name}`).definition
          const stream = source.split('.from-').at(-1) as string
          const hasBegun = [...position].some(
            ([place, end]) => end > 0 && place.startsWith(`${stream}/`),
          )
          for (const key of hasBegun ? KEYS : []) {
            const before = values.get(`${name} ${key}`)
            const byTime = await reader.at({ timeMs }).get(key)
            assert.equal(told(byTime), before, `${name} ${key} at the time ${timeMs}`)
            compared += 1
            if (!isPosition) continue
            const byPosition = await reader.at({ position }).get(key)
            assert.equal(told(byPosition), before, `${name} ${key} at the position of ${timeMs}`)
            compared += 1
          }
        }
      }
      await world.streams.close()
    }),
    {
      seed: 20_261_121,
      numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 25),
      endOnFailure: true,
    },
  )
  assert.ok(compared > 1_000)
  assert.ok(compiled.folds.length > 9)
})
