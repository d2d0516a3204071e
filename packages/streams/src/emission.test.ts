import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { Emission, FoldDefinition, FoldShard } from './fold.ts'
import { idsFold, readAll, textEvent } from './testing/folds.ts'
import { PARTITIONS, TestWorld } from './testing/world.ts'

const TARGET = 'letter.from-person'

/** Calls `then` with every record, and keeps the ids of its keys. */
function withSideEffect(
  then: (record: LogRecord, output: Parameters<FoldShard['fold']>[1]) => void,
): FoldDefinition {
  const base = idsFold('emitting', 'person')
  return {
    ...base,
    targets: [TARGET],
    createShard(context) {
      const shard = base.createShard(context)
      const fold = shard.fold.bind(shard)
      return Object.assign(shard, {
        fold: ((record, output) => {
          fold(record)
          then(record, output)
        }) satisfies FoldShard['fold'],
      })
    },
  }
}

function keysOfPartition(partition: number): [string, string] {
  const keys = Array.from({ length: 60 }, (_, index) => `k${index}`)
  return keys.filter(key => partitionOf(key, PARTITIONS) === partition).slice(0, 2) as [
    string,
    string,
  ]
}

describe('an emission', () => {
  it('parks the key that caused it when the log could not hold it, and says why', async () => {
    const [here, elsewhere] = [keysOfPartition(0)[0], keysOfPartition(1)[0]]
    const wrong: Record<string, Emission> = {
      'it is not among its targets': { stream: 'clip', type: 'text', key: here, data: 1 },
      'it has no data': { stream: TARGET, type: 'text', key: here, data: undefined },
      'the keys of the record fall into several partitions': { stream: TARGET, type: 'text', key: here, keys: [here, elsewhere], data: 1 }, // prettier-ignore
    }
    for (const [reason, emission] of Object.entries(wrong)) {
      const world = await new TestWorld([
        withSideEffect((record, output) => {
          output.emit({ stream: TARGET, type: 'text', key: here, data: 'before' })
          if (record.data === 'bad') output.emit(emission)
        }),
      ]).open()
      await world.commit(textEvent('person', 'p', 'bad'), textEvent('person', 'q', 'good'))
      await world.settle()
      const parked = world.streams.fold('emitting').parked()
      assert.deepEqual(parked.map(({ key }) => key), ['p']) // prettier-ignore
      assert.ok(parked[0]?.error.includes(reason), parked[0]?.error)
      assert.equal(world.stateOf('emitting', 'q'), 'good;')
      // After the close what was emitted is durable; what came before the refused one is not there.
      await world.streams.close()
      assert.equal((await readAll(world.log, TARGET, PARTITIONS)).length, 1)
    }
  })

  it('carries several keys, payload, headers and a time of its own', async () => {
    const keys = keysOfPartition(2)
    const world = await new TestWorld([
      withSideEffect((record, output) =>
        output.emit({
          stream: TARGET,
          type: 'pair',
          key: keys[0],
          keys,
          eventTimeMs: record.eventTimeMs - 7,
          data: { n: 1 },
          payload: Buffer.from('{"n":1}'),
          headers: { why: 'test' },
        }),
      ),
      idsFold('ids', TARGET),
    ]).open()
    await world.commit(textEvent('person', 'p', 'one', { eventTimeMs: 500, isHistory: true }))
    await world.settle()
    const [emitted] = await readAll(world.log, TARGET, PARTITIONS)
    assert.deepEqual(emitted?.keys, keys)
    assert.deepEqual(emitted.headers, { why: 'test' })
    assert.deepEqual(emitted.data, { n: 1 })
    assert.equal(emitted.eventTimeMs, 493)
    assert.equal(emitted.isHistory, true)
    assert.equal(emitted.partition, 2)
    for (const key of keys) assert.notEqual(world.stateOf('ids', key), undefined)
    assert.deepEqual(await world.differences(), {})
    await world.streams.close()
  })

  it('follows from a record that looks to the fold as it does to a reader of the log', async () => {
    const seen: unknown[] = []
    const plain = ({ ...record }: Record<string, unknown>): unknown => record
    const fields = (record: LogRecord): unknown =>
      plain({
        tenant: record.tenant,
        stream: record.stream,
        partition: record.partition,
        offset: record.offset,
        type: record.type,
        key: record.key,
        keys: record.keys,
        id: record.id,
        eventTimeMs: record.eventTimeMs,
        ingestTimeMs: record.ingestTimeMs,
        watermarkMs: record.watermarkMs,
        generation: record.generation,
        isHistory: record.isHistory,
        definition: record.definition,
        headers: record.headers,
        data: record.data,
        payload: Buffer.from(record.payload).toString(),
        sealed: record.sealed,
      })
    const world = await new TestWorld([withSideEffect(record => void seen.push(fields(record)))]).open() // prettier-ignore
    await world.commit(textEvent('person', 'p', 'one', { headers: { a: 'b' }, definition: 'd1' }))
    await world.settle()
    const records = await readAll(world.log, 'person', PARTITIONS)
    assert.deepEqual(seen, records.map(fields))
    assert.equal(seen.length, 1)
    await world.streams.close()
  })

  it('cannot follow from a table that nobody keeps', async () => {
    const base = idsFold('ids', 'person')
    const fold: FoldDefinition = {
      ...base,
      createShard: context =>
        Object.assign(base.createShard(context), {
          fold: () => void context.tables.asOf('clip', 'c', 0),
        }),
    }
    const world = await new TestWorld([fold]).open()
    await world.commit(textEvent('person', 'p', 'one'))
    await world.settle()
    assert.match(world.streams.fold('ids').parked()[0]?.error ?? '', /of the table clip/)
    await world.streams.close()
  })
})
