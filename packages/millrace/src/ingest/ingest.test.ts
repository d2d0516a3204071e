import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { createIdSource, createSeededRandom, isError, systemClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { clips, watchedBy } from '../testing/clips.ts'
import { createIngest, type Ingest } from './ingest.ts'

const limits = { eventsMax: 10, eventBytesMax: 1000, depthMax: 8 }

describe('events from outside', () => {
  let log: EventLog
  let ingest: Ingest
  let nowMs = 1_700_000_000_000
  beforeEach(async () => {
    nowMs = 1_700_000_000_000
    const clock = { ...systemClock, nowMs: () => nowMs }
    log = openMemoryLog({ clock })
    await log.declare(clips.streams)
    const newId = createIdSource({ clock, random: createSeededRandom(1) })
    ingest = createIngest({ app: clips, log, clock, newId, limits })
  })
  const lines = (...events: unknown[]): Buffer =>
    Buffer.from(
      events.map(event => (typeof event === 'string' ? event : JSON.stringify(event))).join('\n'),
    )

  it('are stored with the bytes that came', async () => {
    const line = `{ "type": "watched",\t"id": "a", "data": {"viewer":"p","clip":"c","watchedMs":1} }`
    await ingest.body(lines(line), 'ndjson')
    const record = await log.find('a')
    assert.deepEqual(record?.data, { viewer: 'p', clip: 'c', watchedMs: 1 })
    assert.equal(record?.type, 'watched')
    assert.equal(record?.definition, clips.fingerprint)
    assert.equal(record?.eventTimeMs, nowMs)
  })

  it('have a result each, in order, good ones beside bad ones', async () => {
    const outcome = await ingest.body(
      lines(
        watchedBy('p', 'c', { id: 'a' }),
        'not json',
        '',
        watchedBy('p', 'c', { id: 'a' }),
        { type: 'nothing', id: 'n', data: {} },
        watchedBy('p', 'd', { id: 'a' }),
        { ...watchedBy('p', 'c'), extra: 1 },
        watchedBy('p', 'c', { id: 'b', watchedMs: -1 }),
      ),
      'ndjson',
    )
    assert.deepEqual(outcome.counts, { appended: 1, duplicates: 1, conflicts: 1, invalid: 4 })
    const results = outcome.results()
    assert.deepEqual(
      results.map(result => [result.status, 'code' in result ? result.code : '']),
      [
        ['appended', ''],
        ['invalid', 'EVENT_INVALID'],
        ['duplicate', ''],
        ['invalid', 'EVENT_TYPE_UNKNOWN'],
        ['conflict', 'EVENT_CONFLICT'],
        ['invalid', 'EVENT_INVALID'],
        ['invalid', 'EVENT_INVALID'],
      ],
    )
    const [, second, , , , sixth, seventh] = results
    assert.ok(second?.status === 'invalid' && second.line === 2 && second.index === 1)
    assert.ok(sixth?.status === 'invalid' && sixth.path === '/extra')
    assert.ok(seventh?.status === 'invalid' && seventh.path === '/data/watchedMs')
    assert.equal(seventh.id, 'b')
    assert.deepEqual((JSON.parse(outcome.text()) as { results: unknown }).results, results)
  })

  it('get an id when they have none, and say it', async () => {
    const outcome = await ingest.events([watchedBy('p', 'c'), watchedBy('p', 'c')])
    const ids = outcome.results().map(result => result.id)
    assert.equal(new Set(ids).size, 2)
    for (const id of ids) assert.ok((await log.find(id as string)) !== undefined)
    assert.deepEqual(
      (JSON.parse(outcome.text()) as { results: unknown }).results,
      outcome.results(),
    )
  })

  it('of any id are named as they were sent', async () => {
    const ids = ['plain', 'a",', '","', 'back\\', '\u2028 é', '"},{"status":"duplicate"']
    for (const part of [ids, ['x,', ',y', "it's"], ['only']]) {
      const outcome = await ingest.events(part.map(id => watchedBy('p', 'c', { id })))
      const { results } = JSON.parse(outcome.text()) as { results: readonly { id: string }[] }
      assert.deepEqual(
        results.map(({ id }) => id),
        part,
      )
    }
  })

  it('sent again later without a time are the same event', async () => {
    await ingest.events([watchedBy('p', 'c', { id: 'a' })])
    nowMs += 60_000
    const again = await ingest.events([watchedBy('p', 'c', { id: 'a' })])
    assert.equal(again.results()[0]?.status, 'duplicate')
    const timed = await ingest.events([watchedBy('p', 'c', { id: 'a', at: nowMs })])
    assert.equal(timed.results()[0]?.status, 'conflict')
  })

  it('take times as numbers and as text', async () => {
    await ingest.events([watchedBy('p', 'c', { id: 'a', at: '2024-05-01T12:00:00+02:00' })])
    assert.equal((await log.find('a'))?.eventTimeMs, Date.parse('2024-05-01T10:00:00Z'))
    const refused = await ingest.events([watchedBy('p', 'c', { id: 'b', at: 'yesterday' })])
    const [result] = refused.results()
    assert.ok(result?.status === 'invalid' && result.path === '/at')
  })

  it('with half a surrogate pair in a key or an id are refused', async () => {
    const outcome = await ingest.events([
      watchedBy('p\ud800', 'c'),
      watchedBy('p', 'c', { id: 'x\udc00' }),
    ])
    const paths = outcome.results().map(result => ('path' in result ? result.path : ''))
    assert.deepEqual(paths, ['/data/viewer', '/id'])
  })

  it('cannot reach prototypes', async () => {
    const text =
      '{"type":"watched","__proto__":{"data":{"viewer":"p","clip":"c","watchedMs":1}}}\n' +
      '{"type":"watched","data":{"viewer":"p","clip":"c","watchedMs":1,"__proto__":{"polluted":1}}}\n' +
      '{"type":"constructor","data":{}}\n{"type":"__proto__","data":{}}'
    const outcome = await ingest.body(Buffer.from(text), 'ndjson')
    assert.equal(outcome.counts.invalid, 4)
    assert.equal(({} as { polluted?: number }).polluted, undefined)
  })

  it('are refused with numbers that JSON cannot carry', async () => {
    const text = '{"type":"asked","data":{"person":"p","question":"q","urgency":1e999}}'
    const outcome = await ingest.body(Buffer.from(text), 'ndjson')
    assert.equal(outcome.counts.invalid, 1)
  })

  it('above the limits are refused alone, batches as a whole', async () => {
    const large = {
      ...watchedBy('p', 'c'),
      data: { viewer: 'p', clip: 'c', watchedMs: 1, note: 'x'.repeat(1500) },
    }
    const outcome = await ingest.body(lines(large, watchedBy('p', 'c')), 'ndjson')
    assert.deepEqual([outcome.counts.appended, outcome.counts.invalid], [1, 1])
    assert.ok(outcome.results()[0]?.status === 'invalid')
    const many = Array.from({ length: 11 }, () => watchedBy('p', 'c'))
    for (const body of [lines(...many), Buffer.from(JSON.stringify(many))]) {
      const format = body[0] === 0x5b ? 'json' : 'ndjson'
      await assert.rejects(ingest.body(body, format), error => isError(error, 'EVENTS_TOO_MANY'))
    }
    assert.equal(ingest.counters.appended, 1)
  })

  it('marked as history are marked in the log', async () => {
    await ingest.events([watchedBy('p', 'c', { id: 'a', at: 1 })], { isHistory: true })
    assert.equal((await log.find('a'))?.isHistory, true)
  })
})
