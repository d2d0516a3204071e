import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLogger } from '@millrace/core'
import { createSimClock } from '@millrace/sim'
import { TICK_TYPE } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { readAll, textEvent } from './testing/folds.ts'
import { startTicker } from './ticker.ts'

describe('startTicker', () => {
  const openTicking = async () => {
    const clock = createSimClock({ seed: 1 })
    const log = openMemoryLog({ clock })
    await log.declare([
      { name: 'person', partitions: 2 },
      { name: 'clip', partitions: 2 },
    ])
    const options = { log, clock, logger: silentLogger, streams: ['person'], intervalMs: 1_000 }
    const ticker = startTicker(options)
    const ticks = async () =>
      (await readAll(log, 'person', 2)).filter(record => record.type === TICK_TYPE)
    return { clock, log, ticker, ticks }
  }

  it('moves the time of partitions that had live records, in their own partition', async () => {
    const { clock, log, ticker, ticks } = await openTicking()
    const live = textEvent('person', 'p', 'one', { eventTimeMs: clock.nowMs(), partition: 1 })
    await clock.drive(log.commit({ events: [live] }))
    await clock.runUntil(10_500)
    const found = await ticks()
    assert.ok(found.length >= 3 && found.length <= 10, `${found.length} ticks`)
    assert.deepEqual([...new Set(found.map(record => record.partition))], [1])
    assert.ok((found.at(-1)?.watermarkMs ?? 0) >= clock.nowMs() - 2_500)
    await ticker.stop()
    const before = (await ticks()).length
    await clock.runUntil(60_000)
    assert.equal((await ticks()).length, before)
  })

  it('goes on after a restart of a partition that holds nothing but ticks for long', async () => {
    const { clock, log, ticker, ticks } = await openTicking()
    await ticker.stop()
    const live = textEvent('person', 'p', 'one', { eventTimeMs: clock.nowMs(), partition: 1 })
    const idle = Array.from({ length: 1_001 }, (_, index) =>
      textEvent('person', TICK_TYPE, `tick ${index}`, { type: TICK_TYPE, partition: 1 }),
    )
    await clock.drive(log.commit({ events: [live, ...idle] }))
    const options = { log, clock, logger: silentLogger, streams: ['person'], intervalMs: 1_000 }
    const next = startTicker(options)
    await clock.runUntil(10_500)
    assert.ok((await ticks()).length > idle.length)
    await next.stop()
  })

  it('leaves history and other streams alone', async () => {
    const { clock, log, ticker, ticks } = await openTicking()
    const past = textEvent('person', 'p', 'one', { isHistory: true })
    const other = textEvent('clip', 'c', 'one', { eventTimeMs: clock.nowMs() })
    await clock.drive(log.commit({ events: [past, other] }))
    await clock.runUntil(60_000)
    assert.deepEqual(await ticks(), [])
    assert.equal((await readAll(log, 'clip', 2)).length, 1)
    await ticker.stop()
  })

  it('ticks rarely where nothing happens for long', async () => {
    const { clock, log, ticker, ticks } = await openTicking()
    const live = textEvent('person', 'p', 'one', { eventTimeMs: clock.nowMs(), partition: 0 })
    await clock.drive(log.commit({ events: [live] }))
    await clock.runUntil(3_600_000)
    const count = (await ticks()).length
    assert.ok(count > 20 && count < 200, `${count} ticks in an hour`)
    await ticker.stop()
  })

  it('leaves out ticks that the log refuses, and stops when the log is closed', async () => {
    const { clock, log, ticker, ticks } = await openTicking()
    const live = textEvent('person', 'p', 'one', { eventTimeMs: clock.nowMs(), partition: 0 })
    await clock.drive(log.commit({ events: [live] }))
    const commit = log.commit.bind(log)
    let refused = 0
    log.commit = async () => {
      refused += 1
      throw new Error('no room')
    }
    await clock.runUntil(5_000)
    assert.ok(refused > 0)
    assert.deepEqual(await ticks(), [])
    log.commit = commit
    await clock.runUntil(10_000)
    assert.ok((await ticks()).length > 0)
    await clock.drive(log.close())
    await clock.runUntil(60_000)
    log.stats = () => assert.fail('it looks at a closed log')
    await clock.runUntil(120_000)
    await ticker.stop()
  })
})
