import assert from 'node:assert/strict'
import { it } from 'node:test'
import { isError, systemClock } from '@millrace/core'
import { logSuite } from '../suite.ts'
import { event, readAll } from '../suite/harness.ts'
import { createMemoryStore, openMemoryLog } from './index.ts'

logSuite('memory', async ({ clock, beforeSync, queueBytesMax }) => {
  const store = createMemoryStore()
  return {
    open: async () => openMemoryLog({ clock, store, queueBytesMax, sync: beforeSync }),
    dispose: async () => undefined,
  }
})

it('forgets what was not durable when its store is opened again', async () => {
  const store = createMemoryStore()
  const first = openMemoryLog({ clock: systemClock, store })
  await first.declare([{ name: 'clicks', partitions: 1 }])
  await first.commit({ events: [event({ id: 'kept' })] })
  let release = (): void => undefined
  const held = new Promise<void>(resolve => (release = resolve))
  const second = openMemoryLog({ clock: systemClock, store, sync: () => held })
  const lost = second.commit({ events: [event({ id: 'lost' })] })
  const third = openMemoryLog({ clock: systemClock, store })
  await assert.rejects(lost, error => isError(error, 'LOG_CLOSED'))
  release()
  assert.deepEqual((await readAll(third, 0)).map(record => record['id']), ['kept']) // prettier-ignore
  const again = await third.commit({ events: [event({ id: 'lost' })] })
  assert.deepEqual(again.results, [{ status: 'appended', partition: 0, offset: 1 }])
  assert.equal(await third.version({ stream: 'clicks', key: 'k1' }), 2)
  await assert.rejects(second.find('kept'), error => isError(error, 'LOG_CLOSED'))
})

it('removes old records of a transient stream and remembers their ids', async () => {
  let nowMs = 0
  const log = openMemoryLog({ clock: { ...systemClock, nowMs: () => nowMs } })
  await log.declare([{ name: 'clicks', partitions: 1, transient: { maxAgeMs: 10 } }])
  for (; nowMs < 50; nowMs += 5)
    await log.commit({ events: [event({ id: `at-${nowMs}`, data: 1 })] })
  const { partitions } = log.stats().streams[0] ?? {}
  assert.deepEqual(partitions?.map(({ start, end }) => [start, end]), [[7, 10]]) // prettier-ignore
  await assert.rejects(log.read({ stream: 'clicks', partition: 0, from: 6 }), error =>
    isError(error, 'LOG_OFFSET_GONE'),
  )
  assert.deepEqual((await readAll(log, 0, { from: 7 })).map(record => record['id']), ['at-35', 'at-40', 'at-45']) // prettier-ignore
  const again = await log.commit({ events: [event({ id: 'at-5', data: 1 })] })
  assert.deepEqual(again.results, [{ status: 'duplicate', partition: 0, offset: 1 }])
  assert.equal(await log.find('at-5'), undefined)
  assert.equal((await log.find('at-45'))?.offset, 9)
})
