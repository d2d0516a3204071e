import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSimClock } from '../index.ts'
import { createAudience, type AudienceEvent } from './index.ts'

const small = { people: 100, clips: 300, courses: 20 }

test('events come at the rate, stamped with the time of the clock, and stop when told', async () => {
  const clock = createSimClock({ seed: 1 })
  const audience = createAudience({ ...small, seed: 1, newClipsPerDay: 50, newPeoplePerDay: 20 })
  const events: AudienceEvent[] = []
  const known = new Set([...audience.people(), ...audience.items()].map(each => each.id))
  const run = audience.pace(
    {
      recommend: async request => {
        assert.equal(request.atMs, clock.nowMs())
        await clock.sleep(1)
        return audience.baselines.organic(request)
      },
      publish: items => {
        for (const item of items) {
          known.add(item.id)
          assert.ok(Math.abs(item.data.publishedAt - clock.nowMs()) < 2_000)
        }
      },
      register: people => {
        for (const person of people) known.add(person.id)
      },
      send: async batch => {
        await clock.sleep(2)
        for (const event of batch) {
          assert.ok(known.has((event.data['viewer'] ?? event.data['learner']) as string))
          assert.ok(known.has((event.data['clip'] ?? event.data['course']) as string))
          assert.ok(clock.nowMs() - event.atMs < 2_000)
        }
        events.push(...batch)
      },
    },
    { clock, eventsPerSecond: 100 },
  )
  await clock.runUntil(20_000)
  assert.ok(Math.abs(events.length - 2_000) < 40, `${events.length} events in 20 s`)
  run.setRate(10)
  await clock.runUntil(30_000)
  assert.ok(Math.abs(events.length - 2_100) < 40, `${events.length} events in 30 s`)
  assert.ok(events.every((event, at) => at === 0 || event.atMs >= (events[at - 1]?.atMs ?? 0)))
  const stats = run.stats()
  assert.equal(stats.sent, events.length)
  assert.equal(stats.failures, 0)
  assert.ok(stats.speed > 10, 'virtual time runs ahead')
  const stopping = run.stop()
  await clock.drive(stopping)
  await clock.drive(run.stop())
  const before = events.length
  await clock.runUntil(60_000)
  assert.equal(events.length, before)
  await audience.run({}, { eventsMax: 10 })
})

test('a failing product gets the same batch again, and a late one no flood', async () => {
  const clock = createSimClock({ seed: 2 })
  const audience = createAudience({ ...small, seed: 2 })
  const taken = new Set<unknown>()
  const failures: unknown[] = []
  let isDown = false
  let repeated: readonly AudienceEvent[] | undefined
  const run = audience.pace(
    {
      recommend: request => {
        if (isDown) throw new Error('down')
        return audience.baselines.organic(request)
      },
      send: batch => {
        if (isDown) {
          if (repeated !== undefined) assert.deepEqual(batch, repeated)
          repeated = batch
          throw new Error('down')
        }
        for (const event of batch) {
          assert.ok(!taken.has(event.id))
          taken.add(event.id)
        }
      },
    },
    { clock, eventsPerSecond: 100, tickMs: 100, onFailure: error => failures.push(error) },
  )
  await clock.runUntil(5_000)
  isDown = true
  await clock.runUntil(15_000)
  isDown = false
  const before = taken.size
  await clock.runUntil(16_500)
  assert.ok(
    repeated?.every(event => taken.has(event.id)),
    'what was refused was sent again',
  )
  assert.ok(failures.length >= 5)
  assert.ok(taken.size - before < 400, `${taken.size - before} events in 1.5 s`)
  await clock.runUntil(26_500)
  const { sent, failures: counted } = run.stats()
  assert.equal(sent, taken.size)
  assert.equal(counted, failures.length)
  assert.ok(sent > 5 * 100 + 10 * 100, 'it lives on')
  await clock.drive(run.stop())
})
