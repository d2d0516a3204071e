import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError } from '@millrace/core'
import { createAudience, type AudienceEvent, type BaselineName } from './index.ts'
import { finishChance, leaveFraction, startChance } from './taste.ts'

const DAY_MS = 86_400_000
const SEEDS = [1, 2, 3]

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Mean reward of a policy on the ten days after ten organic ones. */
async function rewardOf(
  recommend: BaselineName,
  seed: number,
): Promise<{ clips: number; courses: number }> {
  const audience = createAudience({ seed, people: 100, clips: 500, courses: 50 })
  const before = await audience.run({}, { days: 10 })
  const after = await audience.run({ recommend }, { days: 10 })
  return {
    clips: (after.clipReward - before.clipReward) / (after.clipSlates - before.clipSlates),
    courses:
      (after.courseReward - before.courseReward) / (after.courseSlates - before.courseSlates),
  }
}

for (const seed of SEEDS) {
  test(`the oracle earns more than the popular, and the popular more than chance (seed ${seed})`, async () => {
    const oracle = await rewardOf('oracle', seed)
    const popular = await rewardOf('popular', seed)
    const random = await rewardOf('random', seed)
    assert.ok(oracle.clips > 1.5 * popular.clips, `${oracle.clips} and ${popular.clips}`)
    assert.ok(popular.clips > 1.25 * random.clips, `${popular.clips} and ${random.clips}`)
    assert.ok(oracle.courses > 1.5 * random.courses, `${oracle.courses} and ${random.courses}`)
  })
}

test('the chances that clips are started add up to the clips that are watched', async () => {
  const audience = createAudience({ seed: 12, people: 100, clips: 300, courses: 0 })
  const met = new Set<string>()
  let expected = 0
  let watched = 0
  await audience.run(
    {
      recommend({ person, ...request }) {
        const { oracle, baselines } = audience
        const slate = baselines.random({ person, ...request }).filter(({ id }) => !met.has(`${person} ${id}`)) // prettier-ignore
        slate.forEach(({ id }, position) => {
          const when = { atMs: audience.nowMs, isMet: false }
          const again = oracle.startChance(person, id, { ...when, isMet: true })
          assert.ok(again < oracle.startChance(person, id, when))
          expected += oracle.examineChance(position) * oracle.startChance(person, id, when)
        })
        return slate
      },
      send(events) {
        for (const { type, data } of events) {
          if (type !== 'watched') continue
          watched += 1
          met.add(`${data['viewer']} ${data['clip']}`)
        }
      },
    },
    { days: 15, batchEvents: 1 },
  )
  assert.ok(watched > 3_000)
  assert.ok(Math.abs(watched - expected) < 4 * Math.sqrt(expected), `${watched} of ${expected}`)
})

for (const policy of ['random', 'popular', 'organic', 'oracle'] as const) {
  test(`the expected reward is the mean of what ${policy} slates bring`, async () => {
    const audience = createAudience({ seed: 11, people: 100, clips: 500, courses: 50 })
    const expected = { home: 0, courses: 0 }
    const report = await audience.run(
      {
        recommend: request => {
          const slate = audience.baselines[policy](request)
          const surface = request.surface as 'home' | 'courses'
          expected[surface] += audience.oracle.expectedReward(slate, request.person, audience.nowMs)
          return slate
        },
      },
      { days: 25 },
    )
    // The reward of a slate has a standard deviation below 1.5: allow four of their mean.
    const clipsWithin = (4 * 1.5) / Math.sqrt(report.clipSlates)
    const clipsOff = (report.clipReward - expected.home) / report.clipSlates
    assert.ok(Math.abs(clipsOff) < clipsWithin, `${clipsOff} is not within ${clipsWithin}`)
    const coursesWithin = 4 / Math.sqrt(report.courseSlates)
    const coursesOff = (report.courseReward - expected.courses) / report.courseSlates
    assert.ok(Math.abs(coursesOff) < coursesWithin, `${coursesOff} is not within ${coursesWithin}`)
  })
}

test('an estimate from logged events and propensities agrees with the oracle', async () => {
  // Uniformly random slates are logged; what a fixed slate would have brought is estimated from the
  // events alone, each weighted by the inverse of the chance that the log showed that clip there.
  const audience = createAudience({
    seed: 21,
    people: 300,
    clips: 20,
    courses: 0,
    slateSize: 3,
    newClipsPerDay: 0,
  })
  const durations = new Map(
    audience.items().map(({ id, data }) => [id, 'durationMs' in data ? data.durationMs : NaN]),
  )
  const target = ['clip-3', 'clip-11', 'clip-7'].map(id => ({ id }))
  const slates: { shown: readonly { id: string }[]; estimate: number; truth: number }[] = []
  const current = new Map<string, (typeof slates)[number]>()
  await audience.run(
    {
      recommend: request => {
        const shown = audience.baselines.random(request)
        const truth = audience.oracle.expectedReward(target, request.person, audience.nowMs)
        const slate = { shown, estimate: 0, truth }
        slates.push(slate)
        current.set(request.person, slate)
        return shown
      },
      send: events => {
        for (const { type, data } of events) {
          const slate = current.get(String(data['viewer']))
          const clip = String(data['clip'])
          const position = slate?.shown.findIndex(item => item.id === clip) ?? -1
          if (type !== 'watched' || slate === undefined || position < 0) continue
          const fraction = Number(data['watchedMs']) / (durations.get(clip) ?? NaN)
          if (target[position]?.id === clip) slate.estimate += fraction * durations.size
        }
      },
    },
    { days: 60, batchEvents: 1 },
  )
  const estimates = slates.map(slate => slate.estimate)
  const estimate = mean(estimates)
  const truth = mean(slates.map(slate => slate.truth))
  const variance = mean(estimates.map(value => (value - estimate) ** 2))
  const error = Math.sqrt(variance / slates.length)
  assert.ok(Math.abs(estimate - truth) < 4 * error, `${estimate} for ${truth}, error ${error}`)
  assert.ok(error < truth * 0.05, 'the test is sharp enough to fail')
})

test('the best items are the best of all, and no slate is worth more than they are', async () => {
  const audience = createAudience({ seed: 12, people: 20, clips: 200, courses: 30 })
  await audience.run({}, { days: 5 })
  const { oracle, nowMs } = audience
  const ids = audience.items().flatMap(item => (item.kind === 'clip' ? [item.id] : []))
  const courses = audience.items().length - ids.length
  for (const { id: person } of audience.people()) {
    const best = oracle.bestItems(person, 10, nowMs)
    const all = oracle.bestItems(person, ids.length, nowMs)
    assert.deepEqual(best, all.slice(0, 10))
    assert.equal(new Set(all.map(item => item.id)).size, ids.length)
    assert.ok(all.every((item, at) => at === 0 || item.appeal <= (all[at - 1]?.appeal ?? 0)))
    for (const { id, appeal } of all) {
      const affinity = oracle.affinity(person, id, nowMs)
      assert.ok(affinity > 0 && affinity < 1 && appeal <= affinity)
      assert.ok(appeal === affinity || appeal < affinity * 0.5, 'met before counts for less')
    }
    const value = oracle.expectedReward(best, person, nowMs)
    const request = { person, surface: 'home', n: 10, atMs: nowMs }
    for (const other of [best.toReversed(), all.slice(5, 15), audience.baselines.random(request)]) {
      assert.ok(oracle.expectedReward(other, person, nowMs) <= value)
    }
    assert.equal(oracle.bestItems(person, 99, nowMs, { kind: 'course' }).length, courses)
  }
  const early = oracle.bestItems('p1', ids.length, audience.options.startMs)
  assert.ok(early.length < ids.length, 'what was published later is not among the best of before')
  for (const wrong of [
    () => oracle.affinity('nobody', 'clip-1', nowMs),
    () => oracle.affinity('p1', 'nothing', nowMs),
    () => oracle.expectedReward([{ id: 'nothing' }], 'p1', nowMs),
  ]) {
    assert.throws(wrong, error => isError(error, 'SIM_OPTION_INVALID'))
  }
})

test('what is watched is skewed: a tenth of the clips has over two fifths of the views, and most have some', async () => {
  const audience = createAudience({ seed: 13, people: 400, clips: 600 })
  const views = new Map<string, number>()
  const send = (events: readonly AudienceEvent[]): void => {
    for (const { type, data } of events) {
      const clip = data['clip'] as string
      if (type === 'watched') views.set(clip, (views.get(clip) ?? 0) + 1)
    }
  }
  await audience.run({ send }, { days: 20 })
  const sorted = [...views.values()].sort((a, b) => b - a)
  const total = sorted.reduce((sum, count) => sum + count, 0)
  const clips = audience.items().filter(item => item.kind === 'clip').length
  const head = sorted.slice(0, Math.floor(clips / 10)).reduce((sum, count) => sum + count, 0)
  assert.ok(head / total > 0.4 && head / total < 0.9, `${head / total}`)
  assert.ok(views.size > clips * 0.6, `${views.size} of ${clips} clips`)
  assert.ok((sorted[0] as number) > 20 * (sorted[Math.floor(clips / 2)] ?? 0), 'a long tail')
})

test('interests drift: near days are alike, far ones less, and without drift nothing changes', () => {
  const likeness = (drift: number, days: number): number => {
    const audience = createAudience({ seed: 14, people: 150, clips: 10, drift })
    const { startMs } = audience.options
    return mean(
      audience.people().map(({ id }) => {
        const before = [...audience.oracle.interests(id, startMs).values()]
        const after = [...audience.oracle.interests(id, startMs + days * DAY_MS).values()]
        return correlation(before, after)
      }),
    )
  }
  assert.ok(likeness(1, 2) > 0.95)
  assert.ok(likeness(1, 60) < 0.8)
  assert.ok(likeness(1, 60) > 0.3, 'lasting interests stay')
  assert.ok(likeness(0, 60) > 0.999)
})

test('people who join come and watch; what is new is watched more than what is old', async () => {
  const audience = createAudience({ seed: 15, people: 100, clips: 300, newPeoplePerDay: 5 })
  const active = new Set<unknown>()
  const ages: number[] = []
  const published = new Map(audience.items().map(item => [item.id, item.data.publishedAt]))
  await audience.run(
    {
      recommend: 'random',
      publish: items => {
        for (const item of items) published.set(item.id, item.data.publishedAt)
      },
      send: events => {
        for (const { type, atMs, data } of events) {
          active.add(data['viewer'])
          if (type !== 'watched') continue
          ages.push((atMs - (published.get(data['clip'] as string) ?? NaN)) / DAY_MS)
        }
      },
    },
    { days: 20 },
  )
  const newcomers = audience.people().slice(100)
  assert.ok(newcomers.length > 60 && newcomers.length < 140)
  const come = newcomers.filter(person => active.has(person.id)).length
  assert.ok(come > newcomers.length * 0.7, `${come} of ${newcomers.length} came`)
  const request = { person: 'p1', surface: 'home', n: 200, atMs: audience.nowMs }
  const offered = mean(
    audience.baselines
      .random(request)
      .map(item => (audience.nowMs - (published.get(item.id) ?? NaN)) / DAY_MS),
  )
  assert.ok(mean(ages) < offered, 'watched clips are younger than offered ones')
})

test('first positions are watched more, by the declared bias', async () => {
  const audience = createAudience({ seed: 16, people: 300, clips: 500, noise: 0, positionBias: 1 })
  const shown = new Map<string, readonly { id: string }[]>()
  const starts = new Float64Array(10)
  await audience.run(
    {
      recommend: request => {
        const slate = audience.baselines.random(request)
        shown.set(request.person, slate)
        return slate
      },
      send: ([event]) => {
        if (event?.type !== 'watched') return
        const slate = shown.get(event.data['viewer'] as string) ?? []
        const position = slate.findIndex(item => item.id === event.data['clip'])
        if (position >= 0) starts[position] = (starts[position] as number) + 1
      },
    },
    { days: 40, batchEvents: 1 },
  )
  assert.equal(audience.oracle.examineChance(0), 1)
  assert.equal(audience.oracle.examineChance(3), 0.25)
  for (let position = 1; position < 10; position++) {
    const ratio = (starts[position] as number) / (starts[0] as number)
    const wanted = audience.oracle.examineChance(position)
    assert.ok(Math.abs(ratio / wanted - 1) < 0.15, `position ${position}: ${ratio} for ${wanted}`)
  }
})

test('likes go to what is truly liked, hides to what is not, and evenings are busier than nights', async () => {
  const audience = createAudience({ seed: 17, people: 200, clips: 500 })
  const affinities: Record<string, number[]> = { watched: [], liked: [], hid: [] }
  const hours = new Float64Array(24)
  await audience.run(
    {
      recommend: 'random',
      send: events => {
        for (const { type, atMs, data } of events) {
          const person = data['viewer'] as string
          if (person === undefined) continue
          affinities[type]?.push(audience.oracle.affinity(person, data['clip'] as string, atMs))
          const { country } = audience.people()[Number(person.slice(1)) - 1]?.data ?? {}
          const hour = Math.floor((atMs / 3_600_000) % 24)
          if (country === 'GB') hours[hour] = (hours[hour] as number) + 1
        }
      },
    },
    { days: 20 },
  )
  const { watched, liked, hid } = affinities as Record<'watched' | 'liked' | 'hid', number[]>
  assert.ok(mean(liked) > mean(watched) + 0.1, `${mean(liked)} and ${mean(watched)}`)
  assert.ok(mean(hid) < mean(watched) - 0.1, `${mean(hid)} and ${mean(watched)}`)
  const evening = mean([...hours.slice(18, 22)])
  const night = mean([...hours.slice(2, 6)])
  assert.ok(evening > 3 * night, `${evening} in the evening, ${night} in the night`)
})

test('the curves of choice are chances, and rise with appeal', () => {
  for (const curve of [startChance, finishChance, leaveFraction]) {
    for (let appeal = 0; appeal < 1; appeal += 0.01) {
      assert.ok(curve(appeal) >= 0 && curve(appeal) <= 1)
      assert.ok(curve(appeal + 0.01) > curve(appeal))
    }
  }
  assert.ok(2 * leaveFraction(1) <= 1, 'nobody watches more than all')
})

function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)]
  const product = (x: readonly number[], mx: number, y: readonly number[], my: number): number =>
    x.reduce((sum, value, at) => sum + (value - mx) * ((y[at] as number) - my), 0)
  return (
    product(a, meanA, b, meanB) /
    Math.sqrt(product(a, meanA, a, meanA) * product(b, meanB, b, meanB))
  )
}
