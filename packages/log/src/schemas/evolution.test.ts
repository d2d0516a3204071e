import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  id,
  int,
  isError,
  objectSchema,
  systemClock,
  text,
  timestamp,
  upcastFrom,
  type Fields,
  type Upcaster,
} from '@millrace/core'
import type { EventLog } from '../log.ts'
import { openMemoryLog } from '../memory/index.ts'
import { planEvolution, type DeclaredEvent } from './evolution.ts'
import { readSchemaHistory, registrationOf, schemaStream } from './history.ts'
import { tryOldEvents } from './trial.ts'
import type { ReplaceNested } from '../sealing/nested.ts'
import { upcastingLog } from './upcasting-log.ts'

type Replace = Parameters<ReplaceNested>[1]

const first = { who: id('person'), a: int() }
const second = { who: id('person'), a: int(), b: text().optional() }
const third = { who: id('person'), c: text() }

const declare = (fields: Fields, upcasters: readonly Upcaster[] = []): DeclaredEvent => ({
  type: 'seen',
  stream: 'person',
  schema: objectSchema(fields),
  level: 'BACKWARD_TRANSITIVE',
  upcasters,
})
const toThird = upcastFrom(first, ({ who, a }) => ({ who, c: String(a) })).steps

async function openLog(): Promise<EventLog> {
  const log = openMemoryLog({ clock: systemClock })
  await log.declare([schemaStream, { name: 'person', partitions: 1 }])
  return log
}

async function register(log: EventLog, definition: string, event: DeclaredEvent): Promise<void> {
  const history = await readSchemaHistory(log)
  const events = registrationOf(history, definition, { declared: [event], nowMs: 1 })
  if (events.length > 0) await log.commit({ events })
}

async function write(log: EventLog, definition: string, data: unknown): Promise<void> {
  const one = { stream: 'person', type: 'seen', key: 'ann', eventTimeMs: 5, definition }
  await log.commit({ events: [{ ...one, id: `e-${definition}`, data, headers: { h: '1' } }] })
}

describe('the history', () => {
  it('numbers versions by schema; what was declared before is the version that it was', async () => {
    const log = await openLog()
    assert.equal((await readSchemaHistory(log)).versions.size, 0)
    await register(log, 'd1', declare(first))
    await register(log, 'd2', declare(second))
    await register(log, 'd1', declare(first))
    await register(log, 'd3', declare(first))
    const { versions, definitions } = await readSchemaHistory(log)
    assert.deepEqual(
      versions.get('seen')?.map(({ version, definition }) => `${version} ${definition}`),
      ['1 d1', '2 d2'],
    )
    assert.deepEqual(
      [...definitions],
      [
        ['d1', { seen: 1 }],
        ['d2', { seen: 2 }],
        ['d3', { seen: 1 }],
      ],
    )
    await log.close()
  })
})

describe('the plan', () => {
  it('breaks a version that nothing reads; a step reads it and what it reads itself', async () => {
    const log = await openLog()
    await register(log, 'd1', declare(first))
    await register(log, 'd2', declare(second))
    const history = await readSchemaHistory(log)
    assert.deepEqual(planEvolution([declare(second)], history).broken, [])
    const broken = planEvolution([declare(third)], history).broken
    assert.deepEqual(
      broken.map(({ version, refusals }) => [version.version, refusals[0]?.code]),
      [
        [1, 'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL'],
        [2, 'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL'],
      ],
    )
    // A step from the first shape does not read the second; one from the second reads both.
    const some = planEvolution([declare(third, toThird)], history)
    assert.deepEqual(
      some.broken.map(({ version }) => version.version),
      [2],
    )
    const { steps } = upcastFrom(second, ({ who, a }) => ({ who, c: String(a) }))
    const all = planEvolution([declare(third, steps)], history)
    assert.deepEqual(all.broken, [])
    assert.deepEqual([...(all.upcasts.get('seen')?.keys() ?? [])], [1, 2])
    await log.close()
  })

  it('levels that are not transitive look at the last version alone', async () => {
    const log = await openLog()
    await register(log, 'd1', declare(first))
    await register(log, 'd2', declare(third))
    const history = await readSchemaHistory(log)
    const now: DeclaredEvent = { ...declare(third), level: 'BACKWARD' }
    assert.deepEqual(planEvolution([now], history).broken, [])
    assert.equal(planEvolution([declare(third)], history).broken.length, 1)
    await log.close()
  })
})

describe('the log that upcasts', () => {
  it('is the log itself when nothing needs it', async () => {
    const log = await openLog()
    await register(log, 'd1', declare(first))
    const history = await readSchemaHistory(log)
    assert.equal(upcastingLog(log, planEvolution([declare(second)], history), history), log)
    await log.close()
  })

  it('reads old records as of today, all else as it is, on every way of reading', async () => {
    const inner = await openLog()
    await register(inner, 'd1', declare(first))
    await write(inner, '', { who: 'ann', a: 6 })
    await write(inner, 'd1', { who: 'ann', a: 7 })
    await register(inner, 'd2', declare(third, toThird))
    const history = await readSchemaHistory(inner)
    const log = upcastingLog(inner, planEvolution([declare(third, toThird)], history), history)
    await write(log, 'd2', { who: 'ann', c: 'new' })
    await log.declare([{ name: 'other', partitions: 1 }])
    const read = await log.read({ stream: 'person', partition: 0, from: 0 })
    // Records from before the history was kept are of the first version.
    const expected = ['6', '7', 'new']
    assert.deepEqual(
      read.map(({ data }) => (data as { c: string }).c),
      expected,
    )
    const kept = []
    for await (const { data } of log.history({ stream: 'person', keys: ['ann'] })) kept.push(data)
    assert.deepEqual(
      kept,
      read.map(({ data }) => data),
    )
    assert.equal(await log.find('none'), undefined)
    const found = await log.find('e-d1')
    const stored = await inner.find('e-d1')
    assert.ok(found !== undefined && stored !== undefined)
    assert.deepEqual(JSON.parse(Buffer.from(found.payload).toString()), { who: 'ann', c: '7' })
    assert.deepEqual(stored.data, { who: 'ann', a: 7 })
    for (const member of [
      'tenant',
      'stream',
      'partition',
      'offset',
      'type',
      'key',
      'keys',
      'id',
      'eventTimeMs',
      'ingestTimeMs',
      'watermarkMs',
      'definition',
      'generation',
      'isHistory',
      'headers',
      'sealed',
    ] as const) {
      assert.deepEqual(found[member], stored[member], member)
    }
    assert.equal(await log.version({ stream: 'person', key: 'ann' }), 3)
    assert.equal(await log.seek({ stream: 'person', partition: 0, timeMs: 0 }), 0)
    assert.deepEqual(new Map(log.ends()), new Map(inner.ends()))
    assert.deepEqual(log.stats().streams, inner.stats().streams)
    const place = { processor: 'p', generation: 1, stream: 'person', partition: 0 }
    assert.deepEqual(log.steps(place), [])
    log.onAdvance(() => undefined)()
    await log.close()
  })

  it('reads events inside other records as of today, or as they are where no upcaster takes them', async () => {
    const inner = await openLog()
    await inner.declare([{ name: 'decisions', partitions: 1 }])
    await register(inner, 'd1', declare(first))
    const steps = upcastFrom(first, ({ who, a }) => {
      if (a < 0) throw new TypeError('negative')
      return { who, c: String(a) }
    }).steps
    await register(inner, 'd2', declare(third, steps))
    const plan = planEvolution([declare(third, steps)], await readSchemaHistory(inner))
    const nested = new Map([
      [
        'decisions',
        (data: unknown, replace: Replace) => ({
          of: replace({ data: (data as { of: never }).of, types: ['seen'] }),
        }),
      ],
    ])
    const logOf = async (definition: string): Promise<EventLog> =>
      upcastingLog(inner, plan, await readSchemaHistory(inner), { nested, definition })
    const decide = async (log: EventLog, id: string, of: unknown): Promise<void> => {
      const event = { stream: 'decisions', type: 'decided', key: 'k', id, eventTimeMs: 1 }
      await log.commit({ events: [{ ...event, data: { of } }] })
    }
    await decide(inner, 'nobody knows of which', { who: 'ann', a: 1 })
    await decide(await logOf('d1'), 'old', { who: 'ann', a: 2 })
    await decide(await logOf('d1'), 'odd', { who: 'ann', a: -1 })
    const log = await logOf('d2')
    await decide(log, 'new', { who: 'ann', c: '4' })
    const read = await log.read({ stream: 'decisions', partition: 0, from: 0 })
    assert.deepEqual(
      read.map(({ data }) => (data as { of: unknown }).of),
      [
        { who: 'ann', a: 1 },
        { who: 'ann', c: '2' },
        { who: 'ann', a: -1 },
        { who: 'ann', c: '4' },
      ],
    )
    await log.close()
  })

  it('names the event that an upcaster fails on', async () => {
    const inner = await openLog()
    await register(inner, 'd1', declare(first))
    await write(inner, 'd1', { who: 'ann', a: 7 })
    const history = await readSchemaHistory(inner)
    const { steps } = upcastFrom(first, (): { c: string } => assert.fail('no such luck'))
    const log = upcastingLog(inner, planEvolution([declare(third, steps)], history), history)
    const [record] = await log.read({ stream: 'person', partition: 0, from: 0 })
    assert.throws(
      () => record?.data,
      error => isError(error, 'UPCAST_FAILED') && /seen event e-d1/.test(error.message),
    )
    await log.close()
  })
})

describe('the trial', () => {
  it('finds the simplest old event that is not read, or that an upcaster throws at', async () => {
    const log = await openLog()
    await register(log, 'd1', declare(first))
    const history = await readSchemaHistory(log)
    assert.deepEqual(tryOldEvents([declare(third, toThird)], { history, events: 20 }).faults, [])
    // Not readable at all: the plan says so, there is nothing to try.
    assert.equal(tryOldEvents([declare(third)], { history }).shapes, 0)
    const wrong = upcastFrom(first, ({ who, a }) => ({ who, at: a })).steps
    const limited = declare({ who: id('person'), at: timestamp(), c: text().optional() }, wrong)
    assert.deepEqual(tryOldEvents([limited]).faults, [])
    const narrow = declare({ who: id('person'), at: int({ min: 0 }) }, wrong)
    const [fault] = tryOldEvents([narrow], { history }).faults
    assert.deepEqual([fault?.type, fault?.shape], ['seen', 'version 1'])
    assert.equal((fault?.data as { a: number } | undefined)?.a, -1)
    const throwing = upcastFrom(first, (): { at: number } => assert.fail('never')).steps
    const [thrown] = tryOldEvents([declare({ who: id('person'), at: int() }, throwing)]).faults
    assert.match(thrown?.reason ?? '', /the upcaster throws: never/)
    await log.close()
  })
})
