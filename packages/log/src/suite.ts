/**
 * The contract suite: every implementation of the event log passes it. Call `logSuite` in a test
 * file beside the implementation. Behaviour that a log declares itself unable to offer is checked
 * to be refused as UNSUPPORTED.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isError, partitionName, partitionOf } from '@millrace/core'
import { TICK_TYPE } from './log.ts'
import type { AppendResult } from './log.ts'
import {
  PARTITIONS,
  START_MS,
  STREAM,
  event,
  historyOf,
  isPending,
  plain,
  readAll,
  turns,
  withLog,
} from './suite/harness.ts'
import type { LogFactory } from './suite/harness.ts'
import { modelSuite } from './suite/model.ts'
import { findSuite, historySuite, readSuite } from './suite/reading.ts'
import { stepSuite } from './suite/steps.ts'

export type { LogConditions, LogFactory, LogUnderTest } from './suite/harness.ts'

/** Registers the contract tests of the log that `factory` makes. */
export function logSuite(name: string, factory: LogFactory): void {
  describe(`${name}: the log contract`, () => {
    appendSuite(factory)
    duplicateSuite(factory)
    versionSuite(factory)
    watermarkSuite(factory)
    readSuite(factory)
    historySuite(factory)
    findSuite(factory)
    refusalSuite(factory)
    stepSuite(factory)
    modelSuite(factory)
  })
}

function appendSuite(factory: LogFactory): void {
  it('keeps order within each of its partitions', () =>
    withLog(factory, async bench => {
      const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`)
      for (let round = 0; round < 5; round++) {
        const { results } = await bench.log.commit({ events: keys.map(key => event({ key })) })
        results.forEach((result, index) => {
          assert.equal(result.status, 'appended')
          assert.equal(placeOf(result).partition, partitionOf(keys[index] as string, PARTITIONS))
        })
      }
      const seen = []
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const records = await readAll(bench.log, partition, { recordsMax: 7 })
        assert.ok(records.length > 0)
        const numbers = records.map(record => (record['data'] as { n: number }).n)
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        )
        seen.push(...records.map(record => record['id']))
      }
      assert.equal(new Set(seen).size, 200)
    }))

  it('keeps every field of an event, through a reopening', () =>
    withLog(factory, async bench => {
      const full = event({
        tenant: 'acme',
        key: 'Ключ-🔑',
        keys: ['Ключ-🔑', 'ascii', 'ä'],
        type: 'gekauft',
        id: 'id-é-🎬',
        eventTimeMs: -5_000,
        data: { title: 'Füße ☃ 🎬', deep: [1, { a: null }, 'x'], n: -1.5e300 },
        headers: { 'trace-id': 'abc', note: 'žluťoučký' },
        sealed: { person: 'p-1', bytes: Uint8Array.from([0, 255, 7]) },
        isHistory: true,
        definition: 'v7',
        generation: 3,
        partition: 2,
      })
      const envelope = event({
        data: { inner: true },
        payload: Buffer.from('{"id":"x","data":{"inner":true},"more":1}'),
        isEnvelope: true,
        partition: 2,
      })
      const raw = event({ data: [1, 2], payload: Buffer.from(' [1, 2] '), partition: 2 })
      const onlyPayload = event({ data: undefined, payload: Buffer.from('"t"'), partition: 2 })
      await bench.log.commit({ events: [full, envelope, raw, onlyPayload] })
      const check = async (): Promise<void> => {
        const records = await readAll(bench.log, 2)
        const { payload, ingestTimeMs, watermarkMs, offset, ...rest } = records[0] ?? {}
        const { sealed, expectedVersion, ...given } = full
        assert.deepEqual(rest, {
          ...given,
          isUnique: false,
          sealed: { person: 'p-1', bytes: '00ff07' },
        })
        assert.equal(expectedVersion, undefined)
        assert.notEqual(sealed, undefined)
        assert.deepEqual([ingestTimeMs, watermarkMs, offset], [START_MS, -5_000, 0])
        assert.deepEqual(payload, full.data)
        assert.deepEqual(records[1]?.['data'], { inner: true })
        assert.deepEqual(records[1]?.['payload'], { inner: true })
        assert.equal(records[1]?.['tenant'], 'default')
        assert.deepEqual(records[1]?.['keys'], ['k1'])
        assert.deepEqual(records[2]?.['data'], [1, 2])
        assert.equal(records[3]?.['data'], 't')
        assert.deepEqual((await bench.log.find('id-é-🎬'))?.data, full.data)
      }
      await check()
      await bench.reopen()
      await check()
    }))

  it('keeps what is moved here as it was: times, remembered ids, ends of steps', () =>
    withLog(factory, async bench => {
      const moved = { ingestTimeMs: START_MS - 50, watermarkMs: -7 }
      const events = [
        event({ partition: 1, moved }),
        event({ partition: 1, moved, isUnique: true }),
      ]
      await bench.log.commit({ events })
      const source = { stream: STREAM, partition: 1 }
      const ends = new Map([[`${STREAM}/1`, 2]])
      const step = { processor: 'p', generation: 4, source, from: 1, to: 2, emitted: [], ends }
      await bench.log.commit({ step })
      const check = async (): Promise<void> => {
        const records = await readAll(bench.log, 1)
        for (const [index, record] of records.entries()) {
          const { ingestTimeMs, watermarkMs, isUnique } = record
          assert.deepEqual({ ingestTimeMs, watermarkMs }, moved)
          assert.equal(isUnique, index === 1)
        }
        assert.equal(records.length, 2)
        const [newest] = bench.log.steps({ processor: 'p', generation: 4, ...source })
        assert.deepEqual({ ...newest }, { ...newest, consumed: 2, ends })
      }
      await check()
      await bench.reopen()
      await check()
    }))

  it('answers a commit with the least position that contains it', () =>
    withLog(factory, async bench => {
      await bench.log.commit({ events: [event({ partition: 0 }), event({ partition: 1 })] })
      const first = event({ partition: 1, id: 'again' })
      await bench.log.commit({ events: [first] })
      const { position } = await bench.log.commit({
        events: [event({ partition: 3 }), event({ partition: 3 }), first],
      })
      assert.deepEqual(new Map(position), new Map([[at(1), 2], [at(3), 2]])) // prettier-ignore
      assert.equal(bench.log.ends().get(at(1)), 2)
      assert.equal(bench.log.ends().get(at(4)), 0)
      assert.deepEqual(new Map((await bench.log.commit({})).position), new Map())
    }))

  it('shows nothing before it is durable, and tells listeners after', () =>
    withLog(factory, async bench => {
      let advanced = 0
      const stop = bench.log.onAdvance(() => (advanced += 1))
      bench.hold()
      const commit = bench.log.commit({ events: [event({ id: 'held', partition: 0 })] })
      assert.equal(await isPending(commit), true)
      assert.equal(bench.log.ends().get(at(0)), 0)
      assert.deepEqual(await bench.log.read({ stream: STREAM, partition: 0, from: 0 }), [])
      assert.deepEqual(await historyOf(bench.log, ['k1']), [])
      assert.equal(await bench.log.find('held'), undefined)
      assert.ok(bench.log.stats().queuedBytes > 0)
      assert.equal(advanced, 0)
      bench.release()
      await commit
      await turns()
      assert.equal(advanced, 1)
      assert.equal(bench.log.ends().get(at(0)), 1)
      assert.equal((await bench.log.find('held'))?.id, 'held')
      assert.equal(bench.log.stats().queuedBytes, 0)
      stop()
      await bench.log.commit({ events: [event()] })
      await turns()
      assert.equal(advanced, 1)
    }))

  it('keeps large payloads and many small ones', () =>
    withLog(factory, async bench => {
      const text = 'ü'.repeat(300_000)
      const many = Array.from({ length: 3_000 }, () => event({ partition: 1 }))
      await bench.log.commit({ events: [event({ data: { text }, partition: 1 }), ...many] })
      await bench.reopen()
      const records = await readAll(bench.log, 1)
      assert.equal(records.length, 3_001)
      assert.deepEqual(records[0]?.['data'], { text })
      assert.equal(records[3_000]?.['id'], many.at(-1)?.id)
    }))

  it('serves readers while others append', () =>
    withLog(factory, async bench => {
      const total = 400
      const writer = async (): Promise<void> => {
        for (let index = 0; index < total; index += 4) {
          const key = `k${index % 7}`
          const events = Array.from({ length: 4 }, () => event({ partition: 0, key }))
          await bench.log.commit({ events })
        }
      }
      const reader = async (): Promise<void> => {
        for (let from = 0; from < total;) {
          const batch = await bench.log.read({ stream: STREAM, partition: 0, from, recordsMax: 9 })
          for (const record of batch) assert.equal(record.offset, from++)
          if (batch.length === 0) await turns()
        }
      }
      await Promise.all([writer(), reader(), reader(), writer()])
      assert.equal(bench.log.ends().get(at(0)), 2 * total)
    }))
}

function duplicateSuite(factory: LogFactory): void {
  it('recognises an event that it has, in the same commit, a later one, and after a reopening', () =>
    withLog(factory, async bench => {
      const one = event({ id: 'one', data: { a: 1, b: [2] } })
      const same = { ...one, data: { b: [2], a: 1 }, payload: Buffer.from('{"b":[2], "a":1.0}') }
      const { results } = await bench.log.commit({ events: [one, same, event()] })
      const { partition, offset } = placeOf(results[0])
      assert.deepEqual(results[1], { status: 'duplicate', partition, offset })
      assert.deepEqual(results[2], { status: 'appended', partition, offset: offset + 1 })
      for (const round of ['later', 'reopened']) {
        if (round === 'reopened') await bench.reopen()
        const again = await bench.log.commit({ events: [same] })
        assert.deepEqual(again.results, [{ status: 'duplicate', partition, offset }], round)
        assert.deepEqual(new Map(again.position), new Map([[at(partition), offset + 1]]))
      }
      assert.equal(bench.log.ends().get(at(partition)), 2)
    }))

  it('calls the same id with other content a conflict and keeps the rest of the commit', () =>
    withLog(factory, async bench => {
      await bench.log.declare([{ name: 'other', partitions: 2 }])
      const one = event({ id: 'one', data: { a: 1 } })
      await bench.log.commit({ events: [one] })
      const others = [
        { ...one, data: { a: 2 } },
        { ...one, data: { a: 1, b: null } },
        { ...one, type: 'else' },
        { ...one, key: 'else' },
        { ...one, eventTimeMs: START_MS + 1 },
        { ...one, stream: 'other' },
        { ...one, tenant: 'else' },
      ]
      const { results } = await bench.log.commit({ events: [...others, event({ id: 'two' })] })
      for (const result of results.slice(0, -1)) {
        assert.ok(result.status === 'conflict' && result.code === 'EVENT_CONFLICT')
        assert.match(result.reason, /one/)
      }
      assert.equal(results.at(-1)?.status, 'appended')
    }))

  it('lets a duplicate of an event that is not durable wait for it', () =>
    withLog(factory, async bench => {
      const one = event({ id: 'one' })
      bench.hold()
      const first = bench.log.commit({ events: [one] })
      const second = bench.log.commit({ events: [one] })
      assert.equal(await isPending(second), true)
      bench.release()
      const [a, b] = await Promise.all([first, second])
      assert.deepEqual(b.results, [{ ...a.results[0], status: 'duplicate' }])
      assert.deepEqual(new Map(b.position), new Map(a.position))
    }))

  it('neither checks nor remembers ids that are declared unique', () =>
    withLog(factory, async bench => {
      const one = event({ id: 'one', isUnique: true })
      const { results } = await bench.log.commit({ events: [one, one] })
      assert.deepEqual(results.map(result => result.status), ['appended', 'appended']) // prettier-ignore
      assert.equal(await bench.log.find('one'), undefined)
      const later = await bench.log.commit({ events: [{ ...one, isUnique: false, data: 0 }] })
      assert.equal(later.results[0]?.status, 'appended')
      assert.equal((await bench.log.find('one'))?.data, 0)
      assert.equal(await bench.log.find('never'), undefined)
    }))
}

function versionSuite(factory: LogFactory): void {
  it('appends only at the expected version, also of what is not durable yet', () =>
    withLog(factory, async bench => {
      const versionOf = (key: string, tenant?: string): Promise<number> =>
        bench.log.version({ stream: STREAM, key, ...(tenant === undefined ? {} : { tenant }) })
      if (!bench.log.capabilities.expectedVersion) {
        await assert.rejects(versionOf('k1'), unsupported)
        await assert.rejects(
          bench.log.commit({ events: [event({ expectedVersion: 0 })] }),
          unsupported,
        )
        return
      }
      assert.equal(await versionOf('k1'), 0)
      bench.hold()
      const first = bench.log.commit({
        events: [event({ expectedVersion: 0 }), event({ expectedVersion: 0 }), event()],
      })
      const raced = bench.log.commit({ events: [event({ expectedVersion: 0 })] })
      bench.release()
      const { results } = await first
      assert.deepEqual(results.map(result => result.status), ['appended', 'conflict', 'appended']) // prettier-ignore
      const refused = results[1]
      assert.ok(refused?.status === 'conflict' && refused.code === 'VERSION_CONFLICT')
      assert.equal((await raced).results[0]?.status, 'conflict')
      assert.equal(await versionOf('k1'), 2)
      assert.equal(await versionOf('k1', 'acme'), 0)
      await bench.reopen()
      assert.equal(await versionOf('k1'), 2)
      const decided = event({ expectedVersion: 2 })
      const accepted = await bench.log.commit({ events: [decided] })
      assert.equal(accepted.results[0]?.status, 'appended')
      const sentAgain = await bench.log.commit({ events: [decided] })
      assert.equal(sentAgain.results[0]?.status, 'duplicate')
      const stale = await bench.log.commit({ events: [event({ expectedVersion: 2 })] })
      assert.equal(stale.results[0]?.status, 'conflict')
    }))
}

function watermarkSuite(factory: LogFactory): void {
  it('stores the watermark: greatest min(event time, ingest time + skew), less the lateness', () =>
    withLog(factory, async bench => {
      const stream = 'timed'
      await bench.log.declare([{ name: stream, partitions: 4, latenessMs: 100, skewMs: 50 }])
      const send = (offsetMs: number, partition = 0, type = 'clicked'): Promise<unknown> =>
        bench.log.commit({
          events: [event({ stream, partition, type, eventTimeMs: START_MS + offsetMs })],
        })
      await send(-500)
      await send(-800)
      await send(10_000)
      bench.nowMs += 1_000
      await bench.reopen()
      await send(-400, 1)
      await send(900, 0, TICK_TYPE)
      await send(5_000)
      bench.nowMs -= 90_000
      await send(5_000)
      const watermarks = (await readAll(bench.log, 0, { stream })).map(
        record => (record['watermarkMs'] as number) - START_MS,
      )
      assert.deepEqual(watermarks, [-600, -600, -50, 800, 950, 950])
      const stats = bench.log.stats().streams.find(entry => entry.stream === stream)
      assert.deepEqual(
        stats?.partitions.map(partition => partition.watermarkMs - START_MS),
        [950, -500, -Infinity, -Infinity],
      )
    }))
}

function refusalSuite(factory: LogFactory): void {
  it('refuses streams that are malformed, unknown or declared otherwise', () =>
    withLog(factory, async bench => {
      const { log } = bench
      const declared = (code: string, name: string, partitions: number): Promise<void> =>
        assert.rejects(log.declare([{ name, partitions }]), error => isError(error, code))
      await log.declare([{ name: STREAM, partitions: PARTITIONS, latenessMs: 5 }])
      await declared('LOG_STREAM_CONFLICT', STREAM, PARTITIONS + 1)
      await declared('LOG_STREAM_INVALID', 'Wrong Name', 1)
      await declared('LOG_STREAM_INVALID', 'zero', 0)
      const unknown = (error: unknown): boolean => isError(error, 'LOG_STREAM_UNKNOWN')
      const missing = (error: unknown): boolean => isError(error, 'LOG_PARTITION_UNKNOWN')
      await assert.rejects(log.commit({ events: [event({ stream: 'no' })] }), unknown)
      await assert.rejects(log.read({ stream: 'no', partition: 0, from: 0 }), unknown)
      await assert.rejects(log.read({ stream: STREAM, partition: 5, from: 0 }), missing)
      await assert.rejects(log.seek({ stream: STREAM, partition: -1, timeMs: 0 }), missing)
      await assert.rejects(historyOf(log, ['k'], { stream: 'no' }), unknown)
    }))

  it('refuses an event that cannot be stored, and the whole commit with it', () =>
    withLog(factory, async bench => {
      const cycle: Record<string, unknown> = {}
      cycle['self'] = cycle
      const bad = [
        event({ key: '' }),
        event({ key: 'k'.repeat(513) }),
        event({ key: '\ud800' }),
        event({ id: '' }),
        event({ id: 'i'.repeat(129) }),
        event({ type: '' }),
        event({ eventTimeMs: 1.5 }),
        event({ eventTimeMs: Number.NaN }),
        event({ data: undefined }),
        event({ data: cycle }),
        event({ data: () => 1 }),
        event({ partition: PARTITIONS }),
        event({ keys: [] }),
        event({ keys: ['ok', ''] }),
        event({ headers: { a: 1 as unknown as string } }),
        event({ generation: -1 }),
        event({ expectedVersion: -1 }),
      ]
      for (const wrong of bad) {
        const commit = bench.log.commit({ events: [event(), wrong] })
        await assert.rejects(commit, error => {
          assert.ok(isError(error, 'LOG_EVENT_INVALID'), String(error))
          assert.equal(error.details['index'], 1)
          return true
        })
      }
      assert.deepEqual(await historyOf(bench.log, ['k1']), [])
    }))

  it('pushes back when too much waits, and says when to come back', () =>
    withLog(
      factory,
      async bench => {
        const data = { text: 'x'.repeat(4_000) }
        bench.hold()
        const waiting = [bench.log.commit({ events: [event({ data })] })]
        let refused: unknown
        while (refused === undefined && waiting.length < 50) {
          const commit = bench.log.commit({ events: [event({ data })] })
          waiting.push(commit)
          refused = await Promise.race([
            commit.catch((error: unknown) => error),
            turns().then(() => undefined),
          ])
        }
        assert.ok(isError(refused, 'LOG_OVERLOADED'), String(refused))
        assert.ok((refused.retryAfterMs ?? 0) > 0)
        bench.release()
        const done = await Promise.allSettled(waiting)
        assert.equal(done.filter(outcome => outcome.status === 'rejected').length, 1)
        const after = await bench.log.commit({ events: [event({ data })] })
        assert.equal(after.results[0]?.status, 'appended')
      },
      { queueBytesMax: 20_000 },
    ))

  it('takes nothing more after a failed sync, and keeps serving what was durable', () =>
    withLog(factory, async bench => {
      const before = await bench.log.commit({ events: [event({ id: 'before', partition: 0 })] })
      assert.equal(before.results[0]?.status, 'appended')
      bench.failSyncs()
      const readOnly = (error: unknown): boolean => isError(error, 'LOG_READ_ONLY')
      const commits = [1, 2, 3].map(() => bench.log.commit({ events: [event({ partition: 0 })] }))
      for (const commit of commits) await assert.rejects(commit, readOnly)
      await assert.rejects(bench.log.commit({ events: [event()] }), readOnly)
      await assert.rejects(bench.log.declare([{ name: 'late', partitions: 1 }]), readOnly)
      assert.match(bench.log.stats().readOnlyReason ?? '', /takes no more events: .*medium/)
      assert.deepEqual((await readAll(bench.log, 0)).map(record => record['id']), ['before']) // prettier-ignore
      assert.equal((await bench.log.find('before'))?.id, 'before')
    }))

  it('finishes what it accepted when it closes, and refuses what comes after', () =>
    withLog(factory, async bench => {
      const accepted = [1, 2, 3].map(() => bench.log.commit({ events: [event({ partition: 0 })] }))
      const { log } = bench
      await bench.reopen()
      await Promise.all(accepted)
      assert.equal((await readAll(bench.log, 0)).length, 3)
      const closed = (error: unknown): boolean => isError(error, 'LOG_CLOSED')
      await assert.rejects(log.commit({ events: [event()] }), closed)
      await assert.rejects(log.read({ stream: STREAM, partition: 0, from: 0 }), closed)
      await assert.rejects(log.find('x'), closed)
      await assert.rejects(log.declare([]), closed)
      await assert.rejects(log.version({ stream: STREAM, key: 'k' }), closed)
      await assert.rejects(historyOf(log, ['k']), closed)
      await log.close()
    }))

  it('gives records that stay as they are while the log goes on', () =>
    withLog(factory, async bench => {
      await bench.log.commit({ events: [event({ partition: 0 }), event({ partition: 0 })] })
      await bench.reopen()
      const [first] = await bench.log.read({ stream: STREAM, partition: 0, from: 0 })
      assert.ok(first !== undefined)
      const before = plain(first)
      await bench.log.commit({ events: Array.from({ length: 500 }, () => event()) })
      await readAll(bench.log, 0)
      assert.deepEqual(plain(first), before)
    }))
}

function unsupported(error: unknown): boolean {
  return isError(error, 'UNSUPPORTED')
}

function at(partition: number): string {
  return partitionName(STREAM, partition)
}

function placeOf(result: AppendResult | undefined): { partition: number; offset: number } {
  assert.ok(result !== undefined && result.status !== 'conflict')
  return result
}
