/**
 * A pass against brute force: random live events, late and early ones, history imported in the middle,
 * corrections and merges. At random moments the state of each key is that of the records known then,
 * in the order of the log. What is appended later, live, changes no state of an earlier moment.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { partitionOf, systemClock } from '@millrace/core'
import type { EventLog, LogRecord, NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import {
  CORRECTED_TYPE,
  CORRECTIONS_STREAM,
  type CorrectionAction,
} from '../corrections/contract.ts'
import { GENERATIONS_STREAM } from '../generations.ts'
import { idsFold, textEvent } from '../testing/folds.ts'
import { knownMsOf } from './order.ts'
import { KnownPass } from './pass.ts'

const PARTITIONS = 3
const KEYS = ['a', 'b', 'c', 'd', 'e']
const RUNS = Number(process.env['MILLRACE_PROP_RUNS'] ?? 60)
const fold = idsFold('ids', 'clip')

type Step =
  | {
      readonly kind: 'live'
      readonly key: number
      readonly lateMs: number
      readonly waitMs: number
    }
  | { readonly kind: 'history'; readonly times: readonly number[]; readonly key: number }
  | { readonly kind: 'correct'; readonly at: number; readonly action: CorrectionAction }

const small = fc.nat(40)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('live' as const), key: fc.nat(4), lateMs: fc.integer({ min: -20, max: 60 }), waitMs: small }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('history' as const), times: fc.array(fc.nat(1_500), { maxLength: 6 }), key: fc.nat(4) }) }, // prettier-ignore
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('correct' as const), at: fc.nat(50), action: fc.constantFrom('retract' as const, 'correct' as const, 'restore' as const, 'hold' as const) }) }, // prettier-ignore
)

class World {
  nowMs = 1_000
  log!: EventLog
  readonly appended: { id: string; key: string }[] = []
  #count = 0

  async open(): Promise<this> {
    this.log = openMemoryLog({ clock: { ...systemClock, nowMs: () => this.nowMs } })
    const one = [CORRECTIONS_STREAM, GENERATIONS_STREAM].map(name => ({ name, partitions: 1 }))
    await this.log.declare([{ name: 'clip', partitions: PARTITIONS }, ...one])
    return this
  }

  async run(step: Step): Promise<void> {
    if (step.kind === 'live') {
      this.nowMs += step.waitMs
      await this.append([this.event(step.key, this.nowMs - step.lateMs, {})])
    } else if (step.kind === 'history') {
      await this.append(
        step.times.map((ms, at) => this.event(step.key + at, ms, { isHistory: true })),
      )
    } else await this.correct(step)
  }

  event(key: number, eventTimeMs: number, other: Partial<NewEvent>): NewEvent {
    const data = `n${this.#count++}`
    const of = KEYS[key % KEYS.length] as string
    const event = textEvent('clip', of, data, { eventTimeMs, ...other })
    this.appended.push({ id: event.id, key: of })
    return event
  }

  async append(events: readonly NewEvent[]): Promise<void> {
    if (events.length > 0) await this.log.commit({ events })
  }

  async correct({ at, action }: { at: number; action: CorrectionAction }): Promise<void> {
    const chosen = this.appended[at % Math.max(this.appended.length, 1)]
    if (chosen === undefined) return
    this.nowMs += 7
    const record = (await this.log.find(chosen.id)) as LogRecord
    const place = { partition: record.partition, offset: record.offset }
    const data = { ...(action === 'correct' ? { data: `fixed${this.#count++}` } : {}) }
    const event = { id: record.id, stream: 'clip', type: record.type, place, ...data }
    const content = { action, events: [event], reason: 'test', by: 'test' }
    const key = 'corrections'
    await this.append([textEvent(CORRECTIONS_STREAM, key, `c${this.#count++}`, { type: CORRECTED_TYPE, eventTimeMs: this.nowMs, data: content, payload: Buffer.from(JSON.stringify(content)) })]) // prettier-ignore
  }

  /** What is known of a key, by looking at everything. */
  async known(key: string, timeMs: number, ends: ReadonlyMap<string, number>): Promise<string> {
    const decided = new Map<string, { action: CorrectionAction; data?: string }>()
    for (const record of await this.log.read({
      stream: CORRECTIONS_STREAM,
      partition: 0,
      from: 0,
    })) {
      if (record.offset >= (ends.get(`${CORRECTIONS_STREAM}/0`) ?? 0) || record.ingestTimeMs > timeMs) continue // prettier-ignore
      const { action, events } = record.data as { action: CorrectionAction; events: { id: string; data?: string }[] } // prettier-ignore
      for (const { id, data } of events) decided.set(id, data === undefined ? { action } : { action, data }) // prettier-ignore
    }
    const partition = partitionOf(key, PARTITIONS)
    const records = await this.log.read({ stream: 'clip', partition, from: 0, recordsMax: 10_000 })
    let state = ''
    for (const record of records) {
      if (record.key !== key || record.offset >= (ends.get(`clip/${partition}`) ?? 0)) continue
      if (knownMsOf(record) > timeMs) continue
      const now = decided.get(record.id)
      if (now === undefined || now.action === 'restore') state += `${record.data as string};`
      else if (now.action === 'correct') state += `${now.data};`
    }
    return state
  }
}

/** States of all keys at some moments, by a pass over each partition; whether the order that was assumed is that of the log. */
async function passed(
  log: EventLog,
  times: readonly number[],
  ends: ReadonlyMap<string, number>,
  isOrderAssumed = false,
): Promise<{ readonly states: readonly string[]; readonly isKept: boolean }> {
  const states: string[] = []
  const passes = await Promise.all(
    Array.from(
      { length: PARTITIONS },
      (_, partition) =>
      KnownPass.open(log, { fold, folds: [fold], partition, ends, skewMs: 60_000, latenessMs: 0, isOrderAssumed }), // prettier-ignore
    ),
  )
  for (const timeMs of times) {
    for (const key of KEYS) {
      const pass = passes[partitionOf(key, PARTITIONS)] as (typeof passes)[number]
      assert.equal(pass.keyAt(key, timeMs), key)
      await pass.advance(timeMs)
      await pass.refresh(key)
      states.push(Buffer.from(pass.shard.encodeKey(key) ?? []).toString())
    }
  }
  const kept = await Promise.all(passes.map(pass => pass.isOrderKept()))
  return { states, isKept: kept.every(Boolean) }
}

it('knows at each moment what brute force knows, whatever is appended later', async () => {
  let refoldable = 0
  let inOrder = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 40 }),
      fc.array(fc.nat(2_500), { minLength: 3, maxLength: 12 }),
      async (steps, moments) => {
        const world = await new World().open()
        for (const each of steps) await world.run(each)
        const ends = new Map(world.log.ends())
        const times = [...moments].sort((a, b) => a - b)
        const { states: found } = await passed(world.log, times, ends)
        const expected: string[] = []
        for (const timeMs of times) {
          for (const key of KEYS) expected.push(await world.known(key, timeMs, ends))
        }
        assert.deepEqual(found, expected)
        // Without a look at all records before: the same, or it says that it was mistaken.
        const assumed = await passed(world.log, times, ends, true)
        if (assumed.isKept) assert.deepEqual(assumed.states, expected)
        inOrder += assumed.isKept ? 1 : 0
        refoldable += steps.filter(({ kind }) => kind !== 'live').length
        // The future: nothing of it may be seen before.
        const past = times.filter(timeMs => timeMs <= world.nowMs)
        const before = found.slice(0, past.length * KEYS.length)
        world.nowMs = Math.max(world.nowMs, ...past) + 1
        for (let at = 0; at < 10; at++) await world.run({ kind: 'live', key: at, lateMs: at * 90, waitMs: at }) // prettier-ignore
        await world.run({ kind: 'correct', at: 1, action: 'retract' })
        const now = await passed(world.log, past, new Map(world.log.ends()))
        assert.deepEqual(now.states, before)
      },
    ),
    { numRuns: RUNS },
  )
  assert.ok(refoldable > 0)
  assert.ok(inOrder > 0 && inOrder < RUNS, `${inOrder} of ${RUNS} logs were in order`)
})
