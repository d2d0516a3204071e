import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isError, timeOfId } from '@millrace/core'
import { createAudience, type Audience, type AudienceEvent, type AudienceItem } from './index.ts'

const DAY_MS = 86_400_000
const small = { people: 120, clips: 400, courses: 40 }

/** Runs and collects all events. */
async function eventsOf(audience: Audience, days: number): Promise<AudienceEvent[]> {
  const events: AudienceEvent[] = []
  await audience.run({ send: batch => void events.push(...batch) }, { days })
  return events
}

test('equal options and seed give equal events; another seed gives others', async () => {
  const digest = async (seed: number): Promise<string> => {
    const hash = createHash('sha256')
    for await (const batch of createAudience({ ...small, seed }).history({ days: 6 })) {
      hash.update(JSON.stringify(batch))
    }
    return hash.digest('hex')
  }
  assert.equal(await digest(1), await digest(1))
  assert.notEqual(await digest(1), await digest(2))
})

test('a run in parts is the run in one piece', async () => {
  const whole = createAudience({ ...small, seed: 3 })
  const parts = createAudience({ ...small, seed: 3 })
  const all = await eventsOf(whole, 6)
  const some = [...(await eventsOf(parts, 2)), ...(await eventsOf(parts, 4))]
  assert.deepEqual(some, all)
  assert.equal(parts.nowMs, whole.nowMs)
  assert.deepEqual(parts.report(), whole.report())
})

test('events are in order, and fit the people and items that were told before them', async () => {
  const audience = createAudience({ ...small, seed: 4, newPeoplePerDay: 10, newClipsPerDay: 30 })
  const people = new Map<string, number>()
  const items = new Map<string, AudienceItem>()
  const ids = new Set<string>()
  let lastMs = 0
  let batches = 0
  for await (const batch of audience.history({ days: 10, batchEvents: 200 })) {
    assert.ok(batch.events.length <= 202)
    batches += 1
    for (const person of batch.people) people.set(person.id, person.data.joinedAt)
    for (const item of batch.items) items.set(item.id, item)
    for (const { type, id, atMs, data } of batch.events) {
      assert.ok(Number.isInteger(atMs) && atMs >= lastMs)
      lastMs = atMs
      assert.equal(timeOfId(id as string), atMs)
      ids.add(id as string)
      const joinedMs = people.get((data['viewer'] ?? data['learner']) as string)
      assert.ok(joinedMs !== undefined && joinedMs <= atMs)
      const item = items.get((data['clip'] ?? data['course']) as string)
      assert.ok(item !== undefined && item.data.publishedAt <= atMs)
      assert.equal(item.kind, ['studied', 'enrolled'].includes(type) ? 'course' : 'clip')
      if (type === 'watched' && item.kind === 'clip') {
        const watchedMs = data['watchedMs'] as number
        assert.ok(watchedMs >= 1 && watchedMs <= item.data.durationMs)
      }
      if (type === 'studied') assert.ok((data['minutes'] as number) >= 10)
    }
  }
  const { events } = audience.report()
  const total = Object.values(events).reduce((sum, count) => sum + count, 0)
  assert.equal(ids.size, total)
  assert.ok(batches > 10)
  for (const kind of ['watched', 'liked', 'hid', 'studied', 'enrolled'] as const) {
    assert.ok(events[kind] > 10, `${events[kind]} ${kind}`)
  }
  assert.equal(events.shared, 0)
  assert.equal(people.size, audience.people().length)
  assert.equal(items.size, audience.items().length)
})

test('the catalogue looks like one: varied titles, known topics and creators, sensible durations', () => {
  const audience = createAudience({ seed: 5 })
  const creators = new Set(audience.creators.map(creator => creator.id))
  const titles = new Set<string>()
  for (const item of audience.items()) {
    titles.add(item.data.title)
    assert.match(item.data.title, /^[A-Z][^{}]{8,90}$/)
    assert.doesNotMatch(item.data.title, /undefined|\ba [aeiou](?!ne|ni)/)
    assert.ok(item.data.topics.length >= 1 && item.data.topics.length <= 3)
    assert.ok(item.data.topics.every(topic => audience.topics.includes(topic)))
    assert.ok(creators.has(item.data.creator))
    if (item.kind === 'clip') assert.ok(item.data.durationMs >= 6_000)
    else assert.match(item.data.level, /^(beginner|intermediate|advanced)$/)
  }
  assert.ok(titles.size > audience.items().length * 0.85, `${titles.size} titles`)
  assert.ok(audience.creators.every(creator => creator.data.name.length > 3))
  assert.ok(audience.people().some(person => person.data.country === undefined))
})

test('names and ids follow the options', async () => {
  const audience = createAudience({
    ...small,
    seed: 6,
    hasEventIds: false,
    names: {
      person: 'user/',
      clip: 'video/',
      watched: 'played',
      shared: 'passed-on',
      viewer: 'who',
      clipMember: 'what',
    },
  })
  const events = await eventsOf(audience, 5)
  assert.ok(events.every(event => event.id === undefined))
  const played = events.filter(event => event.type === 'played')
  assert.ok(played.length > 100)
  assert.ok(played.every(event => String(event.data['who']).startsWith('user/')))
  assert.ok(played.every(event => String(event.data['what']).startsWith('video/')))
  assert.ok(events.some(event => event.type === 'passed-on'))
  assert.ok(!events.some(event => event.type === 'watched'))
})

test('a product that answers later or wrongly is served all the same', async () => {
  const audience = createAudience({ ...small, seed: 7 })
  const requests: { surface: string; n: number }[] = []
  const report = await audience.run(
    {
      recommend: async request => {
        requests.push(request)
        await Promise.resolve()
        return request.surface === 'home'
          ? [{ id: 'clip-1' }, { id: 'clip-1' }, { id: 'nothing' }, { id: 'course-1' }]
          : []
      },
    },
    { eventsMax: 300 },
  )
  assert.ok(requests.every(request => request.n === 10))
  assert.deepEqual(new Set(requests.map(request => request.surface)), new Set(['home', 'courses']))
  assert.equal(report.unknownItems, 2 * report.clipSlates)
  assert.equal(report.events.studied, 0)
  const failing = audience.run({ recommend: () => assert.fail('the product fails') }, { days: 1 })
  await assert.rejects(failing, /the product fails/)
})

test('one driver at a time, and limits and options with sense', async () => {
  const audience = createAudience({ ...small, seed: 8 })
  const first = audience.run({}, { days: 1 })
  await assert.rejects(audience.run({}, { days: 1 }), error => isError(error, 'SIM_REENTRANT'))
  await first
  await audience.run({}, { untilMs: audience.nowMs + DAY_MS })
  await assert.rejects(audience.run({}, {}), error => isError(error, 'SIM_OPTION_INVALID'))
  const bad = [
    { people: 0 },
    { clips: 1.5 },
    { topics: 99 },
    { noise: 2 },
    { drift: NaN },
    { sessionsPerDay: 0 },
    { newPeoplePerDay: -1 },
    { startMs: Infinity },
  ]
  for (const options of bad) {
    assert.throws(
      () => createAudience(options),
      error => isError(error, 'SIM_OPTION_INVALID'),
    )
  }
})

test('the smallest audience works: one person, one clip, no courses, nothing new', async () => {
  const audience = createAudience({
    seed: 9,
    people: 1,
    clips: 1,
    courses: 0,
    creators: 1,
    topics: 2,
    newPeoplePerDay: 0,
    newClipsPerDay: 0,
  })
  const report = await audience.run({}, { days: 30 })
  assert.ok(report.sessions > 0)
  for (const name of ['random', 'popular', 'oracle', 'organic'] as const) {
    const request = { person: 'p1', surface: 'home', n: 10, atMs: audience.nowMs }
    assert.equal(audience.baselines[name](request).length, 1, name)
    const courses = audience.baselines[name]({ ...request, surface: 'courses' })
    assert.equal(courses.length, 0, name)
  }
})

test('reading history stops with the reader', async () => {
  const audience = createAudience({ ...small, seed: 10 })
  for await (const batch of audience.history({ days: 1_000 })) if (batch.events.length > 0) break
  assert.ok(audience.nowMs < audience.options.startMs + 20 * DAY_MS)
  await audience.run({}, { days: 1 })
})

test('years pass: what was popular long ago is forgotten', async () => {
  const audience = createAudience({
    seed: 11,
    people: 2,
    clips: 30,
    courses: 2,
    newPeoplePerDay: 0,
  })
  await audience.run({ recommend: 'popular' }, { days: 1_600 })
  const request = { person: 'p1', surface: 'home', n: 10, atMs: audience.nowMs }
  const shown = audience.baselines.popular(request).slice(0, 8)
  const published = new Map(audience.items().map(item => [item.id, item.data.publishedAt]))
  const fresh = shown.filter(({ id }) => (published.get(id) ?? 0) > audience.options.startMs)
  assert.ok(fresh.length >= 4, `${fresh.length} of 8 are newer than the start`)
})
