import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isError, partitionName } from '@millrace/core'
import type { EventLog, Step } from '../log.ts'
import { STREAM, event, historyOf, readAll, withLog } from './harness.ts'
import type { LogFactory } from './harness.ts'

const TARGET = 'totals'
const source = { stream: STREAM, partition: 0 }

function step(from: number, to: number, fields: Partial<Step> = {}): Step {
  return { processor: 'totals', generation: 1, source, from, to, emitted: [], ...fields }
}

async function prepare(log: EventLog): Promise<void> {
  await log.declare([{ name: TARGET, partitions: 4 }])
  await log.commit({ events: Array.from({ length: 20 }, () => event({ partition: 0 })) })
}

/** The tests of steps: their order, their atomicity and what they leave behind. */
export function stepSuite(factory: LogFactory): void {
  it('commits a step with what it emitted, and remembers how far it came', () =>
    withLog(factory, async bench => {
      await prepare(bench.log)
      const emit = (partition: number) => event({ stream: TARGET, partition, generation: 1 })
      await bench.log.commit({ step: step(0, 5, { emitted: [emit(1), emit(1), emit(3)] }) })
      await bench.log.commit({ step: step(5, 9) })
      const { position, results } = await bench.log.commit({
        step: step(9, 10, { emitted: [emit(0)] }),
      })
      assert.deepEqual(results, [])
      assert.deepEqual(new Map(position), new Map([[partitionName(TARGET, 0), 1]]))
      for (const round of ['open', 'reopened']) {
        if (round === 'reopened') await bench.reopen()
        const query = { processor: 'totals', generation: 1, ...source }
        const ends = bench.log.steps(query).map(end => [end.consumed, Object.fromEntries(end.ends)])
        const first = { 'totals/1': 2, 'totals/3': 1 }
        assert.deepEqual(ends[0], [10, { ...first, 'totals/0': 1 }], round)
        if (ends.length > 1) assert.deepEqual(ends.slice(1), [[9, first], [5, first]]) // prettier-ignore
        assert.equal((await readAll(bench.log, 1, { stream: TARGET })).length, 2)
        assert.equal((await historyOf(bench.log, ['k1'], { stream: STREAM })).length, 0)
      }
      assert.deepEqual(bench.log.steps({ processor: 'no', generation: 1, ...source }), [])
    }))

  it('refuses a step that does not follow, before and after a reopening', () =>
    withLog(factory, async bench => {
      await prepare(bench.log)
      const stale = async (wrong: Step): Promise<void> => {
        const commit = bench.log.commit({ step: wrong, events: [event({ id: 'with-it' })] })
        await assert.rejects(commit, error => isError(error, 'STEP_STALE'))
      }
      await stale(step(0, 21))
      await stale(step(3, 2))
      bench.hold()
      const inFlight = bench.log.commit({ step: step(0, 5) })
      await stale(step(0, 5))
      bench.release()
      await inFlight
      for (const round of ['open', 'reopened']) {
        if (round === 'reopened') await bench.reopen()
        await stale(step(0, 5))
        await stale(step(4, 6))
        await stale(step(6, 7))
      }
      await bench.log.commit({ step: step(5, 6) })
      await bench.log.commit({ step: step(0, 3, { processor: 'others' }) })
      await bench.log.commit({ step: step(0, 2, { generation: 2 }) })
      await stale(step(6, 7))
      await stale(step(0, 1, { generation: 1, source: { stream: STREAM, partition: 1 } }))
      await bench.reopen()
      await stale(step(6, 7))
      await bench.log.commit({ step: step(2, 4, { generation: 2 }) })
      assert.equal(await bench.log.find('with-it'), undefined)
    }))

  it('carries the keys that wait from step to step', () =>
    withLog(factory, async bench => {
      await prepare(bench.log)
      const parked = (key: string, attempts: number) => ({ key, offset: 1, error: 'no', attempts })
      const waiting = (): string[] => {
        const query = { processor: 'totals', generation: 1, ...source }
        return (bench.log.steps(query)[0]?.parked ?? []).map(
          entry => `${entry.key}${entry.attempts}`,
        )
      }
      await bench.log.commit({ step: step(0, 2, { parked: [parked('a', 1), parked('ü', 1)] }) })
      await bench.log.commit({ step: step(2, 3) })
      assert.deepEqual(waiting(), ['a1', 'ü1'])
      await bench.reopen()
      assert.deepEqual(waiting(), ['a1', 'ü1'])
      await bench.log.commit({ step: step(3, 4, { parked: [parked('a', 2)], released: ['ü'] }) })
      await bench.reopen()
      assert.deepEqual(waiting(), ['a2'])
      assert.equal(
        bench.log.steps({ processor: 'totals', generation: 1, ...source })[0]?.consumed,
        4,
      )
    }))

  it('never shows a part of a unit', () =>
    withLog(factory, async bench => {
      await prepare(bench.log)
      const emitted = [
        event({ stream: TARGET, partition: 0 }),
        event({ stream: TARGET, partition: 1 }),
      ]
      bench.hold()
      const commit = bench.log.commit({
        events: [event({ id: 'beside', partition: 2 })],
        step: step(0, 1, { emitted }),
      })
      assert.equal(bench.log.ends().get('totals/0'), 0)
      assert.deepEqual(bench.log.steps({ processor: 'totals', generation: 1, ...source }), [])
      bench.release()
      const { results, position } = await commit
      assert.equal(results.length, 1)
      assert.deepEqual([...position.keys()].toSorted(), ['clicks/2', 'totals/0', 'totals/1'])
      assert.equal(bench.log.ends().get('totals/1'), 1)
    }))
}
