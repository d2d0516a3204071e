import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  defineApp,
  event,
  id,
  isError,
  item,
  signal,
  silentLogger,
  surface,
  systemClock,
  text,
  type App,
} from '@millrace/core'
import {
  defineFilter,
  type Catalogue,
  type Erasures,
  type Recommendations,
} from '@millrace/product'
import { openMillrace } from '../millrace.ts'
import { send } from '../testing/http.ts'
import { runBacktest } from './backtest.ts'

const Clip = item('clip', { title: text(), creator: id('creator') })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), note: text().personal() },
  { key: 'viewer' },
)
const withoutMia = defineFilter({
  name: 'without mia',
  keep: ({ attributes }) => attributes?.['creator'] !== 'mia',
})
const appOf = (filters: readonly (string | typeof withoutMia)[]): App =>
  defineApp({
    name: 'clips',
    items: [Clip],
    events: [watched],
    signals: [signal(watched, { item: 'clip' })],
    partitions: 1,
    surfaces: { home: surface({ items: Clip, explore: 0.3, filters: filters as never }) },
  })
const PEOPLE = ['ana', 'ben', 'cleo', 'dan']

/** More than are read at once. */
const ANSWERS = 1_200
const READ_AT_ONCE = 1_000

test('a backtest leaves out who is erased while it runs, and so does the next', async t => {
  const data = await mkdtemp(join(tmpdir(), 'millrace-backtest-'))
  const app = appOf(['seen'])
  const millrace = await openMillrace({ app, data, logger: silentLogger })
  t.after(async () => {
    await millrace.close()
    await rm(data, { recursive: true })
  })
  const clips = Array.from({ length: 12 }, (_, clip) => {
    const creator = clip % 3 === 0 ? 'mia' : `m${clip}`
    return { id: `c${clip}`, attributes: { title: `Clip ${clip}`, creator } }
  })
  await millrace.module<Catalogue>('catalogue').put('clip', clips)
  const recommendations = millrace.module<Recommendations>('recommendations')
  let ofDan = ''
  for (let number = 0; number < ANSWERS; number++) {
    const viewer = PEOPLE[number % 4] as string
    const given = recommendations.recommend('home', { person: viewer, n: 12 })
    if (viewer === 'dan') ofDan = given.answerId
    // Dan does nothing but look.
    if (number % 97 > 0 || viewer === 'dan') continue
    const { position } = await millrace.track('watched', { viewer, clip: `c${number % 12}`, note: `by ${viewer}` } as never) // prettier-ignore
    await millrace.reached(position, { timeoutMs: 60_000 })
  }
  await recommendations.flush()

  const place = { app: appOf(['seen', withoutMia]), data, database: '', clock: systemClock }
  const told: unknown[] = []
  const run = async (onFirst: () => Promise<void>) => {
    const { requests } = await runBacktest(place, {
      surface: 'home',
      async onDifference({ person }) {
        if (told.push(person) === 1) await onFirst()
      },
    })
    return requests
  }
  const requests = await run(async () => {
    const erasures = millrace.module<Erasures>('erasure')
    const { erasure } = await erasures.begin({ people: ['dan'], reason: 'asked', by: 'test' })
    await erasures.ended(erasure)
  })
  assert.equal(requests.answered, READ_AT_ONCE + (ANSWERS - READ_AT_ONCE) * 0.75)
  assert.ok(told.length > READ_AT_ONCE && told.lastIndexOf('dan') < READ_AT_ONCE)
  told.length = 0
  assert.equal((await run(async () => undefined)).answered, ANSWERS * 0.75)
  assert.ok(!told.includes('dan'))
  // What he was shown, and why, is not told any more.
  await assert.rejects(recommendations.explainAnswer(ofDan), error =>
    isError(error, 'ANSWER_ERASED'),
  )
  const { url } = await millrace.listen()
  for (const [path, status] of [
    [`/v1/answers/${ofDan}/explanation`, 410],
    ['/v1/people/dan/answers', 200],
  ] as const) {
    const answer = await send(url, path)
    assert.equal(answer.status, status, path)
    assert.ok(status === 410 || (answer.json['answers'] as unknown[]).length === 0)
  }
})
