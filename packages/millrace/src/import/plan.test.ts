import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bool,
  defineApp,
  event,
  float,
  id,
  int,
  isError,
  item,
  oneOf,
  text,
  timestamp,
  type App,
} from '@millrace/core'
import { createWorld, memoryFile } from './fixtures.test.ts'
import { genericApp } from './generic-app.ts'
import type { FileOptions } from './plan.ts'

const generic = genericApp
const own = defineApp({
  name: 'own',
  items: [
    item('clip', {
      title: text(),
      topics: text().many(),
      creator: id('creator').optional(),
      length: float({ min: 0 }).optional(),
      isFree: bool().optional(),
      level: oneOf('easy', 'hard').optional(),
      madeAt: timestamp().optional(),
    }),
  ],
  events: [
    event(
      'watched',
      { viewer: id('person'), clip: id('clip'), ms: int({ min: 0 }) },
      { key: 'viewer' },
    ),
    event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' }),
  ],
}) as unknown as App

interface Found {
  readonly data: unknown[]
  readonly at: number[]
  readonly types: string[]
  readonly refused: string[]
}

async function importOf(
  app: App,
  content: string | Uint8Array,
  options: FileOptions & { format?: 'csv' | 'jsonl' } = {},
): Promise<Found> {
  const world = await createWorld(app)
  const report = await world.importFile(memoryFile('x.csv', content), options)
  const records = [...(await world.records())].sort((left, right) => (left.id < right.id ? -1 : 1))
  return {
    data: records.map(record => record.data),
    at: records.map(record => record.eventTimeMs),
    types: records.map(record => record.type),
    refused: report.refusedFirst.map(({ line, reason }) => `${line}: ${reason}`),
  }
}

const refusal = (pattern: RegExp) => (error: unknown) =>
  isError(error, 'IMPORT_MAPPING_INVALID') && pattern.test(`${error.message} ${error.remedy}`)

const interaction = [{ person: 'u1', item: 'i1', value: 4.5 }]

test('columns are guessed from many headers', async () => {
  const files = [
    'userId,movieId,rating,timestamp\nu1,i1,4.5,1000000000\n',
    'timestamp;rating;item_id;user_id\r\n1000000000;4.5;i1;u1\r\n',
    '\ufeffUser ID\tProduct ID\tStars\tDate\nu1\ti1\t4.5\t2001-09-09T01:46:40Z\n',
    '"visitor"|"sku"|"score"|"ts"\n"u1"|"i1"|"4.5"|"1000000000000"\n',
    'reviewerID,asin,overall,unixReviewTime,asin\nu1,x,4.5,1000000000,y\n'
      .replace('asin,o', 'item,o')
      .replace(',x,', ',i1,'),
    'person::item::value::at\nu1::i1::4.5::1000000000\n',
    'person,item,value,at\ru1,i1,4.5,1000000000\r',
  ]
  for (const file of files) {
    const found = await importOf(generic, file)
    assert.deepEqual([file, found.data, found.at], [file, interaction, [1_000_000_000_000]])
  }
})

test('UTF-8 with marks, Latin-1 and cells with everything', async () => {
  const csv = 'id,title,description\n1,"a ""b"", c","line\nline"\n2,Café,\n'
  const { data } = await importOf(generic, csv)
  assert.deepEqual(
    data.map(put => (put as { attributes: unknown }).attributes).sort(),
    [{ title: 'a "b", c', description: 'line\nline' }, { title: 'Café' }].sort(),
  )
  const latin = Buffer.from('id,title\n1,Caf\u00e9\n2,ok\n', 'latin1')
  const strict = await importOf(generic, latin)
  assert.deepEqual(strict.refused, ['2: the row is not UTF-8'])
  const read = await importOf(generic, latin, { isLatin1: true })
  assert.equal(read.data.length, 2)
})

test('values are converted by the schema, or refused with what was expected', async () => {
  const csv =
    'id,title,topics,creator,length,isFree,level,madeAt\n' +
    '1,A,x|y | z,c1,1.5,TRUE,easy,2001-09-09\n' +
    '2,,,,,,,\n' +
    '3,C,,,-1,no,easy,\n' +
    '4,D,,,much,,,\n' +
    '5,E,,,,maybe,,\n' +
    '6,F,,,,,medium,\n' +
    '7,G,,,,,,yesterday\n' +
    ',H,,,,,,\n' +
    '9,I,"[""p"",""q""]",,,,,\n'
  const { data, refused, types } = await importOf(own, csv)
  assert.ok(types.every(type => type === 'clip.put'))
  const byId = new Map(
    (data as { id: string; attributes: unknown }[]).map(put => [put.id, put.attributes]),
  )
  assert.deepEqual(byId.get('1'), {
    title: 'A',
    topics: ['x', 'y', 'z'],
    creator: 'c1',
    length: 1.5,
    isFree: true,
    level: 'easy',
    madeAt: 999_993_600_000,
  })
  assert.deepEqual(byId.get('2'), { title: '', topics: [] })
  assert.deepEqual(byId.get('9'), { title: 'I', topics: ['p', 'q'] })
  assert.equal(byId.size, 3)
  const reasons = refused.join('\n')
  assert.match(reasons, /4: \/attributes\/length .*0/)
  assert.match(reasons, /5: length \(length\): "much" is not a number/)
  assert.match(reasons, /6: isFree \(isFree\): "maybe" is neither true nor false/)
  assert.match(reasons, /7: \/attributes\/level/)
  assert.match(reasons, /8: madeAt \(madeAt\): "yesterday" is not a time/)
  assert.match(reasons, /9: id: it is empty/)
})

test('an app of its own: the event that fits, person and item by their roles', async () => {
  const watched = 'userId,clip,ms,at\nu,c,7,1000000000\n'
  assert.deepEqual((await importOf(own, watched)).types, ['watched'])
  const liked = 'who,what,at\nu,c,1000000000\n'
  const map = { person: 'who', item: 'what', at: 'at' }
  const found = await importOf(own, liked, { map, target: { kind: 'event', name: 'liked' } })
  assert.deepEqual(found.data, [{ viewer: 'u', clip: 'c' }])
  const byNumber = await importOf(own, 'u,c,1000000000\n', {
    map: { viewer: '1', clip: '2', at: '3' },
    hasHeader: false,
  })
  assert.deepEqual(byNumber.types, ['liked'])
})

test('what people did is not taken for a catalogue', async () => {
  const untimed = 'user,item,rating\nu,i,5\n'
  await assert.rejects(importOf(generic, untimed), refusal(/no column tells when/))
  const given = await importOf(generic, untimed, { atMs: 5 })
  assert.deepEqual([given.types, given.at], [['interacted'], [5]])
  const impressions = 'timestamp,item_id,position,click\n2019-11-24 00:01:03,2,2,0\n'
  await assert.rejects(importOf(generic, impressions), refusal(/no event or item kind/))
  const ids = { target: { kind: 'items', name: 'item' }, map: { id: 'item_id' } } as const
  assert.deepEqual((await importOf(generic, impressions, ids)).types, ['item.put'])
})

test('a duration of no known unit is left alone', async () => {
  const { data, refused } = await importOf(generic, 'show_id,title,duration\ns1,A,9 min\n')
  assert.deepEqual([data, refused], [[{ id: 's1', attributes: { title: 'A' } }], []])
})

test('a mapping that cannot be is refused with what there is', async () => {
  const csv = 'who,what,at\nu,c,1000000000\n'
  const event = { kind: 'event', name: 'liked' } as const
  const cases: [FileOptions, RegExp][] = [
    [{}, /no event or item kind of the app own fits.*--event watched --map/s],
    [{ target: { kind: 'event', name: 'nope' } }, /no event nope.*watched, liked/],
    [{ target: { kind: 'items', name: 'nope' } }, /no item kind nope.*clip/],
    [{ target: event, map: { viewer: 'whom' } }, /no column whom.*who, what, at/],
    [{ target: event, map: { seen: 'who' } }, /no field seen.*viewer, clip/],
    [{ target: event, map: { viewer: 'who' } }, /nothing is mapped to clip/],
    [{ target: event, map: { viewer: 'who', clip: 'what' } }, /no column tells when/],
    [{ target: event, map: { viewer: 'who', clip: 'at', at: 'what' } }, /times in column what/],
  ]
  for (const [options, pattern] of cases) {
    await assert.rejects(importOf(own, csv, options), refusal(pattern), String(pattern))
  }
  const fixed = await importOf(own, csv, {
    target: event,
    map: { viewer: 'who', clip: 'what' },
    atMs: 5,
  })
  assert.deepEqual(fixed.at, [5])
})

test('an item mapped better is put again; the same mapping changes nothing', async () => {
  const world = await createWorld(generic)
  const file = memoryFile('n.csv', '1,wrong,right\n')
  const said = (title: string): FileOptions => ({
    hasHeader: false,
    target: { kind: 'items', name: 'item' },
    map: { id: '1', title },
  })
  assert.equal((await world.importFile(file, said('2'))).appended, 1)
  assert.equal((await world.importFile(file, said('3'))).appended, 1)
  assert.equal((await world.importFile(file, said('3'))).duplicates, 1)
})

test('a file without a header is not taken for one with strange names', async () => {
  const news = 'N1\tnews\tA long story about something.\thttps://example.org/1\n'
  await assert.rejects(importOf(generic, news), refusal(/1 \(N1\), 2 \(news\)/))
})

test('JSON Lines: objects are mapped, nested ones too, events are taken as they are', async () => {
  const lines =
    '{"user":{"id":7},"item":"i1","ts":1000000000,"value":"2"}\n\n[1]\n{"broken\n' +
    '{"user":{"id":8},"item":"i2","ts":"soon"}\n{"user":{"id":"\\ud800"},"item":"i2","ts":1000000000}\n'
  const map = { person: 'user.id', item: 'item', at: 'ts', value: 'value' }
  const mapped = await importOf(generic, lines, { format: 'jsonl', map })
  assert.deepEqual(mapped.data, [{ person: '7', item: 'i1', value: 2 }])
  assert.equal(mapped.refused.length, 4)

  const events =
    '{"type":"interacted","at":1000000000000,"data":{"person":"a","item":"b"}}\n' +
    '{"data":{"item":"b","person":"a"},"at":1000000000000,"type":"interacted"}\n' +
    '{"type":"interacted","data":{"person":"a","item":"b"}}\n' +
    '{"type":"nope","at":1,"data":{}}\n'
  const plain = await importOf(generic, events, { format: 'jsonl' })
  assert.deepEqual(plain.data, [{ person: 'a', item: 'b' }])
  assert.equal(plain.refused.length, 2)
})

test('empty files and files of another kind are refused', async () => {
  const empty = (error: unknown): boolean => isError(error, 'IMPORT_EMPTY')
  await assert.rejects(importOf(generic, ''), empty)
  await assert.rejects(importOf(generic, '\n\n'), empty)
  await assert.rejects(importOf(generic, '', { format: 'jsonl' }), empty)
  await assert.rejects(importOf(generic, '[1,2]', { format: 'jsonl' }), error =>
    isError(error, 'IMPORT_NOT_RECOGNISED'),
  )
  const header = await importOf(generic, 'person,item,at\n', {
    timeFormat: 's',
  })
  assert.deepEqual(header.data, [])
})

test('huge cells are refused by line, not by running out of memory', async () => {
  const csv = `person,item,at\na,${'x'.repeat(5_000)},5\nb,"${'y'.repeat(5_000)}",5\nc,d,1000000000\n`
  const { data, refused } = await importOf(generic, csv)
  assert.deepEqual(data, [{ person: 'c', item: 'd' }])
  assert.equal(refused.length, 2)
})
