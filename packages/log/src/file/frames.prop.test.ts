import { KeptRecord } from '../kept-record.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_TENANT } from '../log.ts'
import type { NewEvent } from '../log.ts'
import { plain } from '../suite/harness.ts'
import { createBytes } from './bytes.ts'
import { FrameRecord, writeRecord } from './frames.ts'
import { Group } from './group.ts'
import { KeyChains, hashOfKey } from './key-chains.ts'
import { createNameTable } from './names.ts'
import type { Segment } from './segment.ts'

const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ minLength: 1, maxLength }),
    fc.string({ minLength: 1, maxLength, unit: 'grapheme' }),
  )

const eventOf: fc.Arbitrary<NewEvent> = fc.record(
  {
    stream: fc.constant('clicks'),
    type: text(20),
    key: text(100),
    id: text(80),
    eventTimeMs: fc.maxSafeInteger(),
    data: fc.jsonValue(),
    tenant: text(10),
    keys: fc.array(text(50), { minLength: 1, maxLength: 5 }),
    headers: fc.dictionary(text(10), text(30)),
    sealed: fc.record({ person: text(20), bytes: fc.uint8Array({ maxLength: 40 }) }),
    isHistory: fc.boolean(),
    definition: text(10),
    generation: fc.nat(),
  },
  { requiredKeys: ['stream', 'type', 'key', 'id', 'eventTimeMs', 'data'] },
)

test('a record is read from its frame as it is read from memory', () => {
  fc.assert(
    fc.property(
      fc.array(eventOf, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (events, asText) => {
        const names = createNameTable()
        const number = (space: 'type' | 'definition' | 'tenant', name: string): number =>
          names[space].find(name) ?? names[space].add(name)
        const group = new Group({} as Segment, 0, createBytes(64))
        group.beginUnit()
        const starts: number[] = []
        events.forEach((event, offset) => {
          starts.push(group.at)
          const head = {
            stream: 3,
            partition: 2,
            type: number('type', event.type),
            tenant: number('tenant', event.tenant ?? DEFAULT_TENANT),
            definition: number('definition', event.definition ?? ''),
            isUnique: false,
            offset,
            ingestTimeMs: 5,
            watermarkMs: -7,
          }
          const json = JSON.stringify(event.data)
          const given = asText ? event : { ...event, payload: Buffer.from(json) }
          writeRecord(group, head, given, asText ? json : undefined)
        })
        events.forEach((event, offset) => {
          const record = new FrameRecord(group.bytes, starts[offset] as number, 'clicks', names)
          const kept = new KeptRecord(event, {
            partition: 2,
            offset,
            ingestTimeMs: 5,
            watermarkMs: -7,
            isUnique: event.isUnique ?? false,
          })
          // JSON has one zero; memory keeps what the caller gave.
          const data = JSON.parse(JSON.stringify(event.data)) as unknown
          assert.deepEqual(plain(record), { ...plain(kept), data, payload: data })
        })
      },
    ),
    { seed: 11, numRuns: 300 },
  )
})

test('key chains find what a Map finds, newest first', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 300 }), keys => {
      const chains = new KeyChains()
      const model = new Map<number, number[]>()
      keys.forEach((key, record) => {
        // Few distinct hashes, so that chains share buckets and hashes collide.
        const hash = hashOfKey(0, String(key % 23)) >>> 0
        chains.add(hash, record)
        model.set(hash, [record, ...(model.get(hash) ?? [])])
        // Questions in between: the chains are brought up to date from where they were.
        if (key === 0) assert.deepEqual(chains.find(hash), model.get(hash))
      })
      for (const [hash, records] of model) assert.deepEqual(chains.find(hash), records)
      assert.deepEqual(chains.find(0xdeadbeef), model.get(0xdeadbeef) ?? [])
    }),
    { seed: 12, numRuns: 200 },
  )
})
