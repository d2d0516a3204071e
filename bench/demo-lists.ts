/**
 * How good the demo's lists are, beside what the simulator knows: the audience lives with the demo on
 * virtual time and acts on what it is shown. Prints one JSON object.
 *
 *   node bench/demo-lists.ts [--people 200] [--clips 1200] [--courses 80] [--days 8] [--seeds 3]
 *
 * `reward` is the mean over slates of what the people make of them (fractions of clips watched, or
 * enrolments, each weighed by its position), of the days after three of history. `bySources` is the
 * same product whose lists are ranked by what their sources say; `organic` and `oracle` are those of
 * the simulator.
 */
import { parseArgs } from 'node:util'
import { silentLogger, systemClock, type Clock } from '@millrace/core'
import { createAudience, type AudienceBatch, type BaselineName } from '@millrace/sim/audience'
import { defineApp, openMillrace } from 'millrace'
import { product } from '../apps/demo/src/app.ts'

const { values } = parseArgs({
  options: {
    people: { type: 'string', default: '200' },
    clips: { type: 'string', default: '1200' },
    courses: { type: 'string', default: '80' },
    days: { type: 'string', default: '8' },
    seeds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'demo,bySources,organic,oracle' },
  },
})
const HISTORY_DAYS = 3
const [people, clips, courses, days] = [values.people, values.clips, values.courses, values.days].map(Number) // prettier-ignore

const bySources = {
  ...product,
  surfaces: Object.fromEntries(
    Object.entries(product.surfaces).map(([name, made]) => [name, { ...made, ranker: undefined }]),
  ) as unknown as typeof product.surfaces,
}

interface Rewards {
  readonly clips: number
  readonly courses: number
}

/** Mean rewards of the days after the history. */
async function rewardsOf(
  policy: 'demo' | 'bySources' | BaselineName,
  seed: number,
): Promise<Rewards> {
  const audience = createAudience({ seed, people, clips, courses })
  const isOurs = policy === 'demo' || policy === 'bySources'
  if (!isOurs) {
    const before = await audience.run({}, { days: HISTORY_DAYS })
    return between(before, await audience.run({ recommend: policy }, { days }))
  }
  const clock: Clock = { ...systemClock, nowMs: () => audience.nowMs, monotonicMs: () => systemClock.monotonicMs() } // prettier-ignore
  const app = defineApp(policy === 'demo' ? product : bySources)
  const millrace = await openMillrace({ app, data: 'memory', clock, logger: silentLogger })
  const send = async (batch: Partial<AudienceBatch>): Promise<void> => {
    const put = (kind: string, id: string, at: number, attributes: object) => ({ type: `${kind}.put`, at, data: { id, attributes } }) // prettier-ignore
    const rows = [
      ...(batch.items ?? []).map(({ kind, id, data }) => put(kind, id, data.publishedAt, data)),
      ...(batch.people ?? []).map(({ id, data }) => put('person', id, data.joinedAt, data)),
      ...(batch.events ?? []).map(({ type, id, atMs: at, data }) => ({ type, id, at, data })),
    ]
    const { counts } = await millrace.trackMany(rows as never, { isHistory: true })
    if (counts.appended !== rows.length) throw new Error('events were refused')
    await millrace.reached(millrace.log.ends())
  }
  await send({ items: audience.items(), people: audience.people() })
  const ports = {
    send: (events: AudienceBatch['events']) => send({ events }),
    publish: (items: AudienceBatch['items']) => send({ items }),
    register: (joined: AudienceBatch['people']) => send({ people: joined }),
  }
  const before = await audience.run(ports, { days: HISTORY_DAYS })
  const recommend = ({ person, surface, n }: { person: string; surface: string; n: number }) =>
    millrace.recommend(surface as 'home', { person, n }).items
  const after = await audience.run({ ...ports, recommend }, { days })
  await millrace.close()
  return between(before, after)
}

type Report = Awaited<ReturnType<ReturnType<typeof createAudience>['run']>>
const between = (before: Report, after: Report): Rewards => ({
  clips: (after.clipReward - before.clipReward) / (after.clipSlates - before.clipSlates),
  courses: (after.courseReward - before.courseReward) / (after.courseSlates - before.courseSlates),
})

const round = (value: number): number => Math.round(value * 1_000) / 1_000
const reward: Record<string, object> = {}
for (const policy of values.only.split(',') as ('demo' | BaselineName)[]) {
  const all: Rewards[] = []
  for (let seed = 1; seed <= Number(values.seeds); seed++) all.push(await rewardsOf(policy, seed))
  const mean = (of: keyof Rewards): number => round(all.reduce((sum, each) => sum + each[of], 0) / all.length) // prettier-ignore
  reward[policy] = { clips: mean('clips'), courses: mean('courses'), bySeed: all.map(each => [round(each.clips), round(each.courses)]) } // prettier-ignore
  console.error(policy, JSON.stringify(reward[policy]))
}
console.log(JSON.stringify({ people, clips, courses, days, seeds: Number(values.seeds), reward }))
