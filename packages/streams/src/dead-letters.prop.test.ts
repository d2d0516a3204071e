/**
 * Whatever is sent, decided, tried again and restarted in whatever order: what a fold that parks
 * holds is what a rebuild gives, and when nothing waits any more it is what a naive fold over the
 * decided records gives, with each record emitted once.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf } from '@millrace/core'
import fc from 'fast-check'
import type { Amendment } from './amendments.ts'
import type { FoldDefinition, FoldShard } from './fold.ts'
import { readAll, TextShard, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld } from './testing/world.ts'

const NAMES = Array.from({ length: 60 }, (_, index) => `k${index}`)
/** Keys of one partition, so that a record may carry two of them. */
const KEYS = NAMES.filter(name => partitionOf(name, PARTITIONS) === 0).slice(0, 4)

type Action =
  | { readonly do: 'send'; readonly keys: readonly string[]; readonly isBad: boolean }
  | { readonly do: 'skip' | 'fix' | 'retry'; readonly which: number }
  | { readonly do: 'restart' }
  | { readonly do: 'snapshot' }
  | { readonly do: 'compare' }

const which = fc.nat({ max: 9 })
const send = fc.record({
  do: fc.constant('send' as const),
  keys: fc.subarray(KEYS, { minLength: 1, maxLength: 2 }),
  isBad: fc.boolean(),
})
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: send },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('skip', 'fix', 'retry'), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('restart', 'snapshot', 'compare') }) },
)

const brittle: FoldDefinition = {
  name: 'brittle',
  version: '1',
  source: 'clip',
  targets: ['letter.from-person'],
  onFailure: 'park',
  createShard() {
    const shard = new TextShard((state, record) => `${state}${record.data as string};`)
    const fold = shard.fold.bind(shard)
    return Object.assign(shard, {
      fold: ((record, output) => {
        // The state is changed and emitted before it fails: nothing of it may stay.
        fold(record)
        const [key] = record.keys as [string]
        output.emit({ stream: 'letter.from-person', type: 'text', key, data: record.data })
        if ((record.data as string).startsWith('bad')) throw new Error('bad')
      }) satisfies FoldShard['fold'],
    })
  },
}

class Run {
  readonly world = new TestWorld([brittle])
  readonly #sent: { readonly keys: readonly string[]; readonly text: string }[] = []
  readonly #decided = new Map<string, Amendment>()

  async do(step: Action): Promise<void> {
    const { world } = this
    if (step.do === 'send') {
      const text = `${step.isBad ? 'bad' : 'good'} ${this.#sent.length}`
      const [key] = step.keys as [string]
      await world.commit(textEvent('clip', key, text, { keys: step.keys }))
      this.#sent.push({ keys: step.keys, text })
    } else if (step.do === 'restart') await world.open()
    else if (step.do === 'snapshot') await world.streams.snapshot()
    else if (step.do === 'compare') await this.#compare()
    else await this.#decide(step.do, step.which)
  }

  async finish(): Promise<void> {
    const { world } = this
    for (let rounds = 0; ; rounds++) {
      await this.#compare()
      if (world.streams.fold('brittle').parked().length === 0) break
      assert.ok(rounds < 200, 'keys stay parked for ever: ')
      await this.#decide(rounds % 2 === 0 ? 'skip' : 'fix', rounds)
    }
    this.#assertStates()
    // A fold has consumed a record before what it emitted is durable; after the close it is.
    await world.streams.close()
    const emitted = (await readAll(world.log, 'letter.from-person', PARTITIONS)).map(record => `${record.key} ${record.data as string}`) // prettier-ignore
    const wanted = this.#sent.flatMap(({ keys, text }) => {
      const data = this.#foldedAs(text)
      return data === undefined ? [] : [`${keys[0] as string} ${data}`]
    })
    assert.deepEqual(emitted.sort(), wanted.sort())
    await world.open()
    await world.settle()
    this.#assertStates()
    await world.streams.close()
  }

  async #decide(what: 'skip' | 'fix' | 'retry', which: number): Promise<void> {
    const { world } = this
    await world.settle()
    const parked = world.streams.fold('brittle').parked()
    const entry = parked[which % Math.max(parked.length, 1)]
    if (entry === undefined) return
    const { key } = entry
    if (what === 'retry') {
      await world.streams.retry({ fold: 'brittle', key })
      return
    }
    const waiting = await world.streams.waiting({ fold: 'brittle', key, recordsMax: 100 })
    const record = waiting.find(({ data }) => (data as string).startsWith('bad'))
    if (record === undefined) return
    const text = record.data as string
    const reason = 'a test'
    const amendment: Amendment = what === 'skip' ? { kind: 'skip', reason } : { kind: 'fix', reason, data: `fixed ${text}` } // prettier-ignore
    this.#decided.set(text, amendment)
    await world.streams.amend({ fold: 'brittle', key, offset: record.offset, amendment })
  }

  async #compare(): Promise<void> {
    await this.world.settle()
    assert.deepEqual(await this.world.differences(), {})
  }

  #foldedAs(text: string): string | undefined {
    const amendment = this.#decided.get(text)
    if (amendment === undefined) return text
    return amendment.kind === 'skip' ? undefined : (amendment.data as string)
  }

  #assertStates(): void {
    for (const key of KEYS) {
      const texts = this.#sent.filter(({ keys }) => keys.includes(key)).map(({ text }) => this.#foldedAs(text)).filter(text => text !== undefined) // prettier-ignore
      const state = texts.length === 0 ? undefined : texts.map(text => `${text};`).join('')
      assert.equal(this.world.stateOf('brittle', key), state)
    }
  }
}

test('decisions, retries and restarts in any order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 25 }), async actions => {
      const run = new Run()
      await run.world.open()
      for (const step of actions) await run.do(step)
      await run.finish()
    }),
    {
      seed: 20_261_121,
      numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 150),
      endOnFailure: true,
    },
  )
})
