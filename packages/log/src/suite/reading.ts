import assert from 'node:assert/strict'
import { it } from 'node:test'
import { deriveId, isError, partitionOf } from '@millrace/core'
import { LOG_FIGURES } from '../figures.ts'
import type { LogRecord } from '../log.ts'
import { PARTITIONS, START_MS, STREAM, event, historyOf, readAll, withLog } from './harness.ts'
import type { LogFactory } from './harness.ts'

/** The tests of reading by offset and by time. */
export function readSuite(factory: LogFactory): void {
  it('finds the first offset at a time of arrival', () =>
    withLog(factory, async bench => {
      for (let index = 0; index < 6; index++) {
        bench.nowMs = START_MS + 100 * index
        await bench.log.commit({ events: [event({ partition: 0 }), event({ partition: 0 })] })
      }
      const seek = (timeMs: number, partition = 0): Promise<number> =>
        bench.log.seek({ stream: STREAM, partition, timeMs: START_MS + timeMs })
      for (const round of ['open', 'reopened']) {
        if (round === 'reopened') await bench.reopen()
        assert.equal(await seek(-1_000_000), 0)
        assert.equal(await seek(0), 0)
        assert.equal(await seek(1), 2)
        assert.equal(await seek(200), 4)
        assert.equal(await seek(450), 10)
        assert.equal(await seek(501), 12)
        assert.equal(await seek(0, 1), 0)
      }
    }))

  it('reads from any offset, and nothing at the end', () =>
    withLog(factory, async bench => {
      await bench.log.commit({ events: Array.from({ length: 50 }, () => event({ partition: 3 })) })
      for (const from of [0, 1, 24, 49, 50, 51, 1_000]) {
        const records = await bench.log.read({ stream: STREAM, partition: 3, from, recordsMax: 1 })
        assert.deepEqual(
          records.map(record => record.offset),
          from < 50 ? [from] : [],
        )
      }
      const refused = bench.log.read({ stream: STREAM, partition: 3, from: -1 })
      await assert.rejects(refused, error => isError(error, 'LOG_OFFSET_GONE'))
    }))

  it('reads at some offsets alone, batch by batch', () =>
    withLog(factory, async bench => {
      await bench.log.commit({ events: Array.from({ length: 60 }, () => event({ partition: 3 })) })
      const place = { stream: STREAM, partition: 3 }
      const all = await readAll(bench.log, 3)
      const wanted = [0, 1, 7, 30, 31, 58, 59, 60, 1_000]
      const there = wanted.filter(offset => offset < 60)
      for (const round of ['open', 'reopened']) {
        if (round === 'reopened') await bench.reopen()
        for (const first of [0, 1, 2, 31, 59, 60]) {
          for (const recordsMax of [1, 2, 100]) {
            const found: LogRecord[] = []
            for (let from = first; ;) {
              const batch = await bench.log.read({ ...place, from, offsets: wanted, recordsMax })
              assert.ok(batch.length <= recordsMax)
              if (batch.length === 0) break
              found.push(...batch)
              from = (batch.at(-1) as LogRecord).offset + 1
            }
            assert.deepEqual(found.map(({ offset }) => offset), there.filter(offset => offset >= first)) // prettier-ignore
            assert.deepEqual(found.map(({ id }) => id), found.map(({ offset }) => all[offset]?.id)) // prettier-ignore
          }
        }
        assert.deepEqual(await bench.log.read({ ...place, from: 0, offsets: [] }), [])
      }
      const refused = bench.log.read({ ...place, from: -1, offsets: [3] })
      await assert.rejects(refused, error => isError(error, 'LOG_OFFSET_GONE'))
    }))

  it('shows its streams in stats', () =>
    withLog(factory, async bench => {
      await bench.log.commit({ events: [event({ partition: 1 }), event({ partition: 1 })] })
      const stats = bench.log.stats()
      assert.deepEqual(stats.streams.map(entry => entry.stream), [STREAM]) // prettier-ignore
      const partitions = stats.streams[0]?.partitions ?? []
      assert.deepEqual(partitions.map(({ start, end }) => [start, end]).slice(0, 2), [[0, 0], [0, 2]]) // prettier-ignore
      assert.equal(partitions.length, PARTITIONS)
      assert.ok(stats.bytes > 0)
      assert.equal(stats.readOnlyReason, undefined)
      assert.equal(stats.counters['appended'], 2)
      for (const name of Object.keys({ ...stats.counters, ...stats.gauges })) {
        assert.ok(LOG_FIGURES[name], `LOG_FIGURES says what ${name} is`)
      }
    }))
}

/** The tests of reading by key. */
export function historySuite(factory: LogFactory): void {
  it('gives all records of one key in order, and of several merged by event time', () =>
    withLog(factory, async bench => {
      const keys = ['a', 'b', 'c', 'd', 'e', 'ü', '🔑']
      for (let index = 0; index < 70; index++) {
        const key = keys[index % keys.length] as string
        const eventTimeMs = START_MS + ((index * 37) % 11)
        const tenant = index % 10 === 0 ? 'acme' : 'default'
        await bench.log.commit({ events: [event({ key, eventTimeMs, tenant })] })
        if (index === 35) await bench.reopen()
      }
      for (const key of keys) {
        const partition = partitionOf(key, PARTITIONS)
        const wanted = (await readAll(bench.log, partition)).filter(
          record => record['key'] === key && record['tenant'] === 'default',
        )
        assert.deepEqual(await historyOf(bench.log, [key]), wanted)
        const [from, to] = [wanted[1]?.['offset'] as number, wanted[4]?.['offset'] as number]
        assert.deepEqual(await historyOf(bench.log, [key], { from, to }), wanted.slice(1, 4))
      }
      const merged = await historyOf(bench.log, ['a', 'ü', 'c', 'a'])
      assert.equal(merged.length, (await historyOf(bench.log, ['a'])).length + (await historyOf(bench.log, ['ü'])).length + (await historyOf(bench.log, ['c'])).length) // prettier-ignore
      const order = merged.map(record => [record['eventTimeMs'] as number, record['id'] as string])
      assert.deepEqual(order, order.toSorted((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]))) // prettier-ignore
      const isByOffset = true
      const byOffset = await historyOf(bench.log, ['a', 'ü', 'c', 'a'], { isByOffset })
      const place = (record: Record<string, unknown>): [number, number] => [record['partition'] as number, record['offset'] as number] // prettier-ignore
      assert.deepEqual(byOffset, merged.toSorted((a, b) => compare(place(a)[0], place(b)[0]) || compare(place(a)[1], place(b)[1]))) // prettier-ignore
      const [from, to] = [2, 7]
      const part = byOffset.filter(record => place(record)[1] >= from && place(record)[1] < to)
      assert.deepEqual(await historyOf(bench.log, ['a', 'ü', 'c'], { from, to, isByOffset }), part)
      assert.equal((await historyOf(bench.log, ['a'], { tenant: 'acme' })).length, 1)
      assert.deepEqual(await historyOf(bench.log, ['never']), [])
    }))

  it('gives the history of keys that are often, seldom and once among others', () =>
    withLog(factory, async bench => {
      const keys = Array.from({ length: 60 }, (_, number) => `k${number}`)
      const own = keys.filter(key => partitionOf(key, PARTITIONS) === partitionOf('k0', PARTITIONS))
      const [often = '', seldom = '', once = '', other = ''] = own
      const keyAt = (index: number): string => {
        if (index === 333) return once
        if (index % 97 === 0) return seldom
        return index % 3 === 0 || (index > 100 && index < 140) ? often : other
      }
      for (let start = 0; start < 600; start += 100) {
        const batch = Array.from({ length: 100 }, (_, at) => event({ key: keyAt(start + at) }))
        await bench.log.commit({ events: batch })
        if (start === 300) await bench.reopen()
      }
      const all = await readAll(bench.log, partitionOf(often, PARTITIONS))
      for (const key of [often, seldom, once, other]) {
        const wanted = all.filter(record => record['key'] === key)
        assert.deepEqual(await historyOf(bench.log, [key]), wanted)
        const inside = wanted.filter(({ offset }) => Number(offset) >= 50 && Number(offset) < 400)
        assert.deepEqual(await historyOf(bench.log, [key], { from: 50, to: 400 }), inside)
      }
      assert.equal((await historyOf(bench.log, [often, other])).length, 600 - 7 - 1)
    }))

  it('finds a record under each of its keys once', () =>
    withLog(factory, async bench => {
      const keys = ['p', 'q', 'r', 's', 't', 'u', 'v'].filter(
        key => partitionOf(key, PARTITIONS) === partitionOf('p', PARTITIONS),
      )
      const other = 'x-elsewhere'
      const rekeyed = event({
        key: 'p',
        keys: [...keys, 'p'],
        partition: partitionOf('p', PARTITIONS),
      })
      await bench.log.commit({ events: [rekeyed, event({ key: other })] })
      await bench.reopen()
      for (const key of keys) {
        assert.deepEqual((await historyOf(bench.log, [key])).map(record => record['id']), [rekeyed.id]) // prettier-ignore
      }
      assert.equal((await historyOf(bench.log, keys)).length, 1)
      assert.equal((await historyOf(bench.log, [...keys, other])).length, 2)
    }))
}

function compare(a: number | string | undefined, b: number | string | undefined): number {
  if (a === b || a === undefined || b === undefined) return 0
  return a < b ? -1 : 1
}

/** What `find` promises of many ids. */
export function findSuite(factory: LogFactory): void {
  it('finds many ids at once, those that are there and durable', () =>
    withLog(factory, async bench => {
      const ids = Array.from({ length: 300 }, (_, at) =>
        at % 2 === 0 ? deriveId(at, '') : `é-${at}`,
      )
      const events = ids.map((id, at) => event({ id, key: `k${at % 7}`, data: at }))
      await bench.log.commit({ events })
      const unknown = [deriveId(1, 'unknown'), 'never', 'no\u0000ne']
      const found = await bench.log.find([...ids.toReversed(), ...unknown, ids[7] as string])
      assert.deepEqual(
        ids.map(id => [found.get(id)?.id, found.get(id)?.data]),
        ids.map((id, at) => [id, at]),
      )
      assert.equal(found.size, ids.length)
      assert.equal((await bench.log.find([])).size, 0)
      bench.hold()
      const later = bench.log.commit({ events: [event({ id: 'later' })] })
      assert.deepEqual([...(await bench.log.find(['later', ids[0] as string])).keys()], [ids[0]])
      bench.release()
      await later
      assert.deepEqual([...(await bench.log.find(['later'])).keys()], ['later'])
    }))
}
