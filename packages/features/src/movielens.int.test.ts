/**
 * MovieLens-1M replayed in time order into 24 features of people: at every four-thousandth rating, all
 * features of its person are read as they stand then, and compared with brute force over the ratings
 * of the person so far, to the bit.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { event, featureView, id, int } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { createCellRow } from './cell-row.ts'
import { FeatureShard } from './feature-shard.ts'
import { planView } from './plan.ts'
import { NaiveView } from './testing/oracle.ts'
import { recordOf } from './testing/records.ts'

const DATA = new URL(
  '../../../../shared/data/movielens-1m/ratings_reconstructed.csv.gz',
  import.meta.url,
)
const skip = existsSync(DATA) ? false : 'data set ../shared/data/movielens-1m is absent'
const EVERY = 4_000
const WINDOWS = ['1h', '1d', '30d', 'lifetime'] as const

const rated = event('rated', { person: id('person'), movie: id('movie'), stars: int() }, { key: 'person' }) // prettier-ignore
const view = featureView({
  from: [rated],
  key: 'person',
  features: f => ({
    ...Object.fromEntries(
      WINDOWS.flatMap(window => [
        [`count ${window}`, f.count({ window })],
        [`sum ${window}`, f.sum({ window, of: 'stars' })],
        [`mean ${window}`, f.mean({ window, of: 'stars' })],
        [`likes ${window}`, f.ratio({ window, of: ({ data }) => data.stars >= 4 })],
        [`variance ${window}`, f.variance({ window, of: 'stars' })],
      ]),
    ),
    last: f.last({ window: 'lifetime', of: 'stars' }),
    least: f.min({ window: '30d', of: 'stars' }),
    stars: f.histogram({ window: 'lifetime', of: 'stars', bounds: [2, 3, 4, 5] }),
    trend: f.decayedCount({ halfLife: '6h' }),
  }),
})

interface Rating {
  readonly person: string
  readonly movie: string
  readonly stars: number
  readonly atMs: number
}

/** All ratings in the order of their times. */
function ratings(): readonly Rating[] {
  const lines = gunzipSync(readFileSync(DATA)).toString('latin1').trimEnd().split('\n').slice(1)
  return lines
    .map(line => {
      const [person, movie, stars, seconds] = line.split(',') as [string, string, string, string]
      return { person, movie, stars: Number(stars), atMs: Number(seconds) * 1_000 }
    })
    .sort((a, b) => a.atMs - b.atMs)
}

test('values of people are those of brute force at every four-thousandth rating', { skip }, () => {
  const tables = { asOf: () => undefined }
  const plan = planView('people', view)
  const shard = new FeatureShard(plan, { tables })
  const soFar = new Map<string, LogRecord[]>()
  const indices = plan.features.map(({ index }) => index)
  const row = createCellRow(indices.length)
  let compared = 0
  const all = ratings()
  for (const [offset, { atMs, ...data }] of all.entries()) {
    const { person: key } = data
    const record = recordOf({ type: 'rated', key, offset, eventTimeMs: atMs, data, payload: new Uint8Array() }) // prettier-ignore
    shard.advance(record.watermarkMs)
    shard.fold(record)
    const own = soFar.get(key) ?? []
    soFar.set(key, own)
    own.push(record)
    if (offset % EVERY !== 0) continue
    const naive = new NaiveView(view, tables)
    for (const each of own) naive.take(each)
    shard.read({ key, subKey: '', features: indices, tMs: atMs }, row, indices)
    for (const { index, name } of plan.features) {
      const is = [row.others[index] ?? row.values[index], row.statuses[index]]
      assert.deepStrictEqual(is, [...naive.cell(key, '', name, atMs)], `${name} of ${key} at rating ${offset}`) // prettier-ignore
      compared += 1
    }
  }
  assert.ok(all.length > 600_000)
  assert.equal(compared, Math.ceil(all.length / EVERY) * plan.features.length)
})
