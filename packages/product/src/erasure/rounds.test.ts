import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { createTestClock } from '../testing/open-product.ts'
import { silentLogger, systemClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { CORRECTIONS_STREAM } from '@millrace/streams'
import { ErasureBook } from './book.ts'
import { ERASURE_BEGUN, ERASURE_ENDED, ERASURE_RETRACTED, ERASURES_STREAM } from './events.ts'
import { Rounds } from './rounds.ts'

const people = ['ana']

describe('processes that take part in an erasure', () => {
  let log: EventLog
  let living: Set<string>
  beforeEach(async () => {
    log = openMemoryLog({ clock: systemClock })
    await log.declare([ERASURES_STREAM, CORRECTIONS_STREAM].map(name => ({ name, partitions: 1 })))
    living = new Set()
  })

  const note = async (type: string, data: object): Promise<void> => {
    const event = { stream: ERASURES_STREAM, key: 'e', eventTimeMs: 1, id: type }
    await log.commit({ events: [{ ...event, type, data: { erasure: 'e', ...data } }] })
  }
  const begun = (process: string): Promise<void> =>
    note(ERASURE_BEGUN, { people, reason: 'asked', by: 'test', process })

  /** A process: what it did, and how to end it. */
  async function enter(name: string, { leads = false, clock = systemClock } = {}) {
    const done: string[] = []
    living.add(name)
    const privacy = {
      shut: async () => void done.push('shut'),
      destroy: async () => undefined,
      follow: async () => undefined,
      destroyed: () => [],
      isErased: () => false,
      tidy: async () => undefined,
      remains: async () => [],
    }
    const book = await ErasureBook.open({ log, logger: silentLogger, ...privacy })
    const rounds = new Rounds({
      log,
      book,
      privacy,
      clock,
      logger: { ...silentLogger, warn: (_, facts) => void done.push(`waits for ${String(facts?.['processes'])}`) }, // prettier-ignore
      leads: () => leads,
      streams: {
        reached: async () => void done.push('reached'),
      } as never,
      peers: {
        own: () => name,
        others: async () => [...living].filter(other => other !== name),
        refresh: async () => undefined,
      },
      isRunning: () => false,
      takeOver: () => void done.push('took over'),
      sweep: async () => void done.push('swept'),
      forget: async () => void done.push('let go'),
    })
    book.onNews(() => rounds.wake())
    const leave = async (): Promise<void> => {
      living.delete(name)
      await rounds.close()
      book.close()
    }
    return { done, rounds, leave }
  }

  it('are waited for at each step, but for those that are gone', async () => {
    const other = await enter('other')
    const silent = 'silent'
    living.add(silent)
    const one = await enter('one')
    await begun('one')
    let isShut = false
    const gathered = one.rounds.gather('e', 'shut').then(() => (isShut = true))
    await new Promise<void>(resolve => systemClock.after(300, resolve))
    assert.equal(isShut, false)
    living.delete(silent)
    await gathered
    // Once for the doors, and once for the answer that nothing is on its way.
    assert.deepEqual(new Set(other.done.splice(0)), new Set(['shut']))
    await note(ERASURE_RETRACTED, {})
    await one.rounds.gather('e', 'clean')
    assert.deepEqual(other.done, ['reached', 'let go'])
    await other.leave()
    await one.leave()
  })

  it('are named when they are waited for too long', async () => {
    living.add('silent')
    const clock = createTestClock(0)
    const one = await enter('one', { clock })
    await begun('one')
    const gathered = one.rounds.gather('e', 'shut')
    while (!one.done.includes('waits for silent')) {
      clock.timeMs += 1_000
      await new Promise<void>(resolve => systemClock.after(5, resolve))
    }
    living.delete('silent')
    await gathered
    await one.leave()
  })

  it('look once more for what they had on its way when the others went on without them', async () => {
    const late = await enter('late')
    living.delete('late')
    // All of it is read at once, as after a long silence.
    await log.commit({
      events: [
        [ERASURE_BEGUN, { people, reason: 'asked', by: 'test', process: 'one' }] as const,
        [ERASURE_RETRACTED, {}] as const,
        [ERASURE_ENDED, { people, types: [], views: [], remains: [] }] as const,
      ].map(([type, data]) => ({
        stream: ERASURES_STREAM,
        key: 'e',
        type,
        id: type,
        eventTimeMs: 1,
        data: { erasure: 'e', ...data },
      })),
    })
    while (!late.done.includes('swept')) {
      await new Promise<void>(resolve => systemClock.after(5, resolve))
    }
    assert.ok(late.done.lastIndexOf('shut') < late.done.indexOf('swept'))
    const next = await enter('next')
    next.rounds.wake()
    assert.deepEqual(next.done, ['shut'], 'who begins afterwards has nothing on its way')
    await late.leave()
    await next.leave()
  })

  it('carry it out when whoever began it is gone, one of them', async () => {
    const [first, leader] = [await enter('first'), await enter('leader', { leads: true })]
    await begun('gone')
    while (!leader.done.includes('took over')) {
      await new Promise<void>(resolve => systemClock.after(5, resolve))
    }
    await first.leave()
    await leader.leave()
    assert.ok(!first.done.includes('took over'))
  })
})
