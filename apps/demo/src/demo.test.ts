import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAudience, type AudienceEvent } from '@millrace/sim/audience'
import { defineApp, isError, openMillrace } from 'millrace'
import { product } from './app.ts'
import { createAudienceModule, createStage, type Stage } from './audience-module.ts'
import { createRewindModule } from './rewind-module.ts'

async function openDemo() {
  const audience = createAudience({ seed: 7, people: 60, clips: 150, courses: 20 })
  const stage = createStage(audience)
  const app = defineApp({ ...product, modules: [createAudienceModule(stage)] })
  const millrace = await openMillrace({ app, data: 'memory', logLevel: 'silent' })
  const sent: AudienceEvent[] = []
  for await (const batch of audience.history({ days: 3 })) {
    stage.welcome(batch)
    stage.observe(batch.events)
    for (const { kind, id, data } of batch.items) {
      await millrace.trackMany([
        { type: `${kind}.put`, at: data.publishedAt, data: { id, attributes: data } },
      ] as never)
    }
    sent.push(...batch.events)
    const outcome = await millrace.trackMany(
      batch.events.map(({ type, id, atMs, data }) => ({ type, id, at: atMs, data })) as never,
      { isHistory: true },
    )
    assert.equal(outcome.counts.appended, batch.events.length)
  }
  await millrace.reached(millrace.log.ends())
  return { audience, stage, millrace, sent }
}

test('the views of the demo equal a count by hand, and no list shows what was seen', async () => {
  const { audience, millrace, sent } = await openDemo()
  const plays = new Map<unknown, number>()
  const watchedMs = new Map<unknown, number>()
  const minutes = new Map<unknown, number>()
  const seen = new Map<unknown, Set<unknown>>()
  const add = (sums: Map<unknown, number>, key: unknown, value: unknown): void =>
    void sums.set(key, (sums.get(key) ?? 0) + Number(value))
  for (const { type, data } of sent) {
    if (type === 'watched') {
      add(plays, data['clip'], 1)
      add(watchedMs, data['viewer'], data['watchedMs'])
    }
    if (type === 'studied') add(minutes, data['course'], data['minutes'])
    const person = data['viewer'] ?? data['learner']
    const items = seen.get(person) ?? new Set()
    seen.set(person, items.add(data['clip'] ?? data['course']))
  }
  const { url } = await millrace.listen({ port: 0 })
  assert.ok(plays.size > 50, `${plays.size} clips were played`)
  for (const [clip, count] of plays) {
    assert.equal(millrace.view('plays').get(clip as string).value, count)
  }
  for (const [viewer, sum] of watchedMs) {
    const value = millrace.view('watchTime').get(viewer as string).value
    assert.equal((value as { watchedMs: number }).watchedMs, sum)
  }
  for (const [course, sum] of minutes) {
    const answer = await fetch(`${url}/v1/features/courseStats/${course as string}`)
    const { values } = (await answer.json()) as { values: { feature: string; value: unknown }[] }
    assert.equal(values.find(({ feature }) => feature === 'minutes')?.value, sum)
  }
  for (const { id } of audience.people()) {
    const { items } = millrace.recommend('home', { person: id, n: 12 })
    assert.ok(items.length > 0)
    for (const item of items) assert.ok(seen.get(id)?.has(item.id) !== true, `${id} saw ${item.id}`)
  }
  await millrace.close()
})

test('the page sees a few people, and whoever is held is left alone', async () => {
  const { stage, millrace, sent } = await openDemo()
  const { url } = await millrace.listen({ port: 0 })
  const answer = await fetch(`${url}/v1/demo/people`)
  const { people } = (await answer.json()) as { people: ReturnType<Stage['people']> }
  assert.ok(people.length >= 6 && people.length <= 9)
  for (const person of people) assert.ok(person.name.length > 0 && person.tastes.length === 3)
  const { id } = people[0] as { id: string }
  const held = await hold(url, id)
  assert.equal(held.status, 200)
  const last = sent.findLast(({ data }) => (data['viewer'] ?? data['learner']) === id)
  assert.ok(last !== undefined)
  assert.deepEqual(stage.observe([last]), [])
  assert.equal((await hold(url, 'nobody')).status, 404)
  assert.throws(
    () => millrace.module('none'),
    error => isError(error, 'MODULE_UNKNOWN'),
  )
  await millrace.close()
})

const hold = (url: string, id: string): Promise<Response> =>
  fetch(`${url}/v1/demo/people/${id}/hold`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ isHeld: true }),
  })

test('the tour lets a ring of bots in, and judges a changed rule beside what the simulator knows', async t => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-demo-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const audience = createAudience({ seed: 7, people: 30, clips: 120, courses: 0 })
  const modules = [
    createRewindModule({
      audience,
      data,
      send: async events => void (await millrace.trackMany(events)),
    }),
  ]
  const app = defineApp({ ...product, modules })
  const millrace = await openMillrace({ app, data, logLevel: 'silent' })
  t.after(() => millrace.close())
  await millrace.trackMany(
    audience.items().map(({ kind, id, data: attributes }) => ({ type: `${kind}.put`, data: { id, attributes } })) as never, // prettier-ignore
  )
  const { url } = await millrace.listen({ port: 0 })
  const post = async <T>(path: string): Promise<T> => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: '{}' })
    assert.equal(response.status, 200)
    return (await response.json()) as T
  }
  const ring = await post<{ bots: string[]; clips: string[]; events: number }>('/v1/demo/ring')
  assert.deepEqual([ring.bots.length, ring.clips.length, ring.events], [40, 12, 4_000])
  await millrace.reached(millrace.log.ends())
  const trending = await fetch(`${url}/v1/trending?kind=clip&n=12`)
  const { items } = (await trending.json()) as { items: { id: string }[] }
  assert.deepEqual(new Set(items.map(({ id }) => id)), new Set(ring.clips))
  assert.equal(millrace.view('plays').get(ring.clips[0] as string).value, 360)
  for (const { id } of audience.people()) {
    const { items: shown } = millrace.recommend('home', { person: id })
    await millrace.track('watched', { viewer: id, clip: shown[0]?.id as string, watchedMs: 9_000 })
  }
  await millrace.module<{ flush(): Promise<void> }>('recommendations').flush()
  const told = await post<{
    answers: number
    different: number
    predicted: { value: number; low: number; high: number } | null
    truth: number
  }>('/v1/demo/backtest')
  assert.equal(told.answers, 30)
  assert.ok(told.predicted !== null && told.predicted.low <= told.predicted.high)
  assert.ok(Number.isFinite(told.truth) && told.different > 0 === (told.truth !== 0))
})
