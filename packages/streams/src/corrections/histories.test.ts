import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@millrace/core'
import type { EventLog, HistoryRequest, LogRecord } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { textEvent } from '../testing/folds.ts'
import { turn } from '../testing/world.ts'
import { Histories } from './histories.ts'
import { Originals } from './originals.ts'

const REQUEST = { stream: 'person', keys: ['p', 'q'], isByOffset: true } as const

/** A log with some records of two keys, and how often their histories were read. */
async function openHistories(
  text = 'some text',
  count = 40,
): Promise<{ log: EventLog; histories: Histories; reads: () => number }> {
  const log = openMemoryLog({ clock: systemClock })
  await log.declare([{ name: 'person', partitions: 1 }])
  const events = Array.from({ length: count }, (_, number) =>
    textEvent('person', number % 3 === 0 ? 'p' : 'q', text, { id: `e${number}` }),
  )
  await log.commit({ events })
  let reads = 0
  const history = log.history.bind(log)
  log.history = request => {
    reads += 1
    return history(request)
  }
  return { log, histories: new Histories(log), reads: () => reads }
}

async function idsOf(records: AsyncIterable<LogRecord>): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of records) ids.push(id)
  return ids
}

test('a history is read once for all who ask for it by the same corrections', async () => {
  const { log, histories, reads } = await openHistories()
  const wanted = await idsOf(log.history(REQUEST))
  assert.equal(wanted.length, 40)
  const [first, meanwhile] = await Promise.all([
    idsOf(histories.at(3).history(REQUEST)),
    idsOf(histories.at(3).history({ ...REQUEST, keys: ['q', 'p'] })),
  ])
  const behind = await idsOf(histories.at(3).history(REQUEST))
  assert.deepEqual([first, meanwhile, behind], [wanted, wanted, wanted])
  assert.equal(reads(), 2)
  // Other corrections, another span, other keys, another order.
  assert.deepEqual(await idsOf(histories.at(4).history(REQUEST)), wanted)
  assert.deepEqual(await idsOf(histories.at(3).history({ ...REQUEST, from: 5 })), wanted.slice(5))
  assert.equal((await idsOf(histories.at(3).history({ ...REQUEST, keys: ['p'] }))).length, 14)
  const { isByOffset: _, ...byTime } = REQUEST
  assert.equal((await idsOf(histories.at(3).history(byTime))).length, 40)
  assert.equal(reads(), 6)
  histories.forget()
  assert.deepEqual(await idsOf(histories.at(3).history(REQUEST)), wanted)
  assert.equal(reads(), 7)
  assert.equal((await histories.at(3).read({ stream: 'person', partition: 0, from: 0 })).length, 40)
  await log.close()
})

test('who waits for a history that was broken off reads it', async () => {
  const { log, histories, reads } = await openHistories()
  const first = histories.at(0).history(REQUEST)[Symbol.asyncIterator]()
  await first.next()
  const waiting = idsOf(histories.at(0).history(REQUEST))
  await turn()
  assert.equal(reads(), 1)
  await first.return?.()
  assert.equal((await waiting).length, 40)
  assert.equal(reads(), 2)
  await log.close()
})

test('a history that is too large to be held is read by each', async () => {
  const { log, histories, reads } = await openHistories('x'.repeat(1_500_000), 2)
  for (const count of [1, 2]) {
    assert.equal((await idsOf(histories.at(0).history(REQUEST))).length, 2)
    assert.equal(reads(), count)
  }
  await log.close()
})

test('the records of a correction that was planned are not read again', async () => {
  const { log } = await openHistories()
  const place = { partition: 0, offset: 4 }
  const entry = { id: 'e4', stream: 'person', type: 'text', place, history: [] }
  const planned = new Map<string, LogRecord>()
  let reads = 0
  const counting: Pick<EventLog, 'read'> = {
    read: request => {
      reads += 1
      return log.read(request)
    },
  }
  const originals = (): Originals => new Originals(counting, [new Map(), planned])
  const read = originals()
  await read.load([entry])
  assert.equal(reads, 1)
  const record = read.of(entry) as LogRecord
  planned.set('e4', record)
  const spared = originals()
  await spared.load([entry])
  assert.equal(spared.of(entry), record)
  assert.equal(reads, 1)
  // What was planned is at another place.
  planned.set('e4', { ...record, offset: 5 })
  const other = originals()
  await other.load([entry])
  assert.equal(other.of(entry)?.offset, 4)
  assert.equal(reads, 2)
  await log.close()
})

test('what was planned is handed to the log, but for what was sealed and for other streams', async () => {
  const { log } = await openHistories()
  const planned = new Map<string, LogRecord>()
  for await (const record of log.history(REQUEST)) planned.set(record.id, record)
  const [one, two, three] = ['e1', 'e2', 'e3'].map(id => planned.get(id) as LogRecord)
  planned.set('e2', { ...two, sealed: { person: 'q', bytes: Buffer.from('x') } } as LogRecord)
  planned.set('e3', { ...three, stream: 'clip' } as LogRecord)
  let known: HistoryRequest['known']
  const history = log.history.bind(log)
  log.history = request => {
    known = request.known
    return history(request)
  }
  await idsOf(new Histories(log, [new Map(), planned]).at(0).history(REQUEST))
  assert.equal(known?.(0, 1), one)
  assert.deepEqual([known?.(0, 2), known?.(0, 3), known?.(1, 1)], [undefined, undefined, undefined])
  await log.close()
})
