/**
 * Ways to recommend that need no product: the floor, the usual, the ceiling, and what people find
 * by themselves. All but the oracle see only what a product sees: the catalogue and what was watched.
 */
import { createSimRandom, type SimRandom } from '../random.ts'
import type { Item } from './catalogue.ts'
import { bestOf } from './taste.ts'
import type { Recommend, RecommendRequest, Slate, World } from './world.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const HALF_LIFE_MS = 3 * DAY_MS
/** A clip gains by being watched for longer than this, and loses by being left sooner. */
const USUAL_FRACTION = 0.4
const POPULAR_MAX = 300
const TRIAL_SHARE = 0.2
const FRESH_ITEMS = 40
/** Exponents of two stay finite below this; then all scores are scaled down. */
const EXPONENT_MAX = 500

/** The baselines; each answers at once. */
export interface Baselines {
  /** Items by chance. */
  readonly random: (request: RecommendRequest) => Slate
  /** What was watched most and longest of late (half-life three days), without what the person has watched; the last fifth of the slate tries items by chance, or nothing new could become popular. */
  readonly popular: (request: RecommendRequest) => Slate
  /** The items with the greatest true appeal. */
  readonly oracle: (request: RecommendRequest) => Slate
  /** What people come across without a recommender: things that are known anyway, things on topics they care for, new things. Use it to make history. */
  readonly organic: (request: RecommendRequest) => Slate
}

/** Creates the baselines of a world; they draw from a branch of its seed. */
export function createBaselines(world: World): Baselines {
  const { catalogue, people, taste, options } = world
  const random = createSimRandom(`audience/${options.seed}/baselines`)
  const charts = createCharts(world)
  const discovery = createDiscovery(world, random)
  const itemsFor = (request: RecommendRequest): readonly Item[] =>
    request.surface === options.courseSurface ? catalogue.courses : catalogue.clips
  const personOf = (request: RecommendRequest): number => people.find(request.person) ?? 0
  const distinct = (n: number, draw: () => Item | undefined): Slate => {
    const slate: Item[] = []
    for (let tries = 0; tries < 5 * n && slate.length < n; tries++) {
      const item = draw()
      if (item !== undefined && !slate.includes(item)) slate.push(item)
    }
    return slate
  }
  return {
    random: request => distinct(request.n, () => random.pick(itemsFor(request))),
    popular(request) {
      const person = personOf(request)
      const items = itemsFor(request)
      const slate: Item[] = []
      for (const item of charts(items)) {
        if (slate.length >= request.n * (1 - TRIAL_SHARE)) break
        if (!people.isRemembered(person, item.index)) slate.push(item)
      }
      while (slate.length < request.n && slate.length < items.length) {
        const item = random.pick(items)
        if (!slate.includes(item)) slate.push(item)
      }
      return slate
    },
    oracle(request) {
      const person = personOf(request)
      return bestOf(itemsFor(request), request.n, item =>
        taste.appeal(person, item, world.nowMs),
      ).map(best => best.item)
    },
    organic(request) {
      const person = personOf(request)
      return distinct(request.n, discovery(person, itemsFor(request)))
    },
  }
}

/** The most watched items, by exponentially decayed plays, ranked anew every hour. */
function createCharts(world: World): (items: readonly Item[]) => readonly Item[] {
  const plays: number[] = []
  let originMs = world.nowMs
  let ranked: { hour: number; clips: readonly Item[]; courses: readonly Item[] } | undefined
  world.onTaken((item, fraction, atMs) => {
    let exponent = (atMs - originMs) / HALF_LIFE_MS
    if (exponent > EXPONENT_MAX) {
      for (let at = 0; at < plays.length; at++) plays[at] = (plays[at] ?? 0) * 2 ** -exponent
      originMs = atMs
      exponent = 0
    }
    plays[item.index] = (plays[item.index] ?? 0) + (fraction - USUAL_FRACTION) * 2 ** exponent
  })
  const rank = (items: readonly Item[]): readonly Item[] =>
    bestOf(items, POPULAR_MAX, item => plays[item.index] ?? 0).map(best => best.item)
  return items => {
    const hour = Math.floor(world.nowMs / HOUR_MS)
    const { clips, courses } = world.catalogue
    if (ranked?.hour !== hour) ranked = { hour, clips: rank(clips), courses: rank(courses) }
    return items === courses ? ranked.courses : ranked.clips
  }
}

/** Draws by reach: from everything, from a topic of interest, or from the newest. Learns of new items once a day. */
function createDiscovery(
  world: World,
  random: SimRandom,
): (person: number, items: readonly Item[]) => () => Item | undefined {
  const { catalogue, people } = world
  const topics = catalogue.topics.length
  let day = -1
  const urns = new Map<readonly Item[], { all: Urn; byTopic: readonly Urn[] }>()
  const urnsOf = (items: readonly Item[]): { all: Urn; byTopic: readonly Urn[] } => {
    const today = Math.floor(world.nowMs / DAY_MS)
    if (today !== day) urns.clear()
    day = today
    let found = urns.get(items)
    if (found === undefined) {
      const byTopic = Array.from({ length: topics }, (_, topic) =>
        createUrn(items.filter(item => item.topics.includes(topic))),
      )
      found = { all: createUrn(items), byTopic }
      urns.set(items, found)
    }
    return found
  }
  return (person, items) => {
    const { all, byTopic } = urnsOf(items)
    const row = people.interestsAt(person, world.nowMs)
    const isKeener = (topic: number, than: number): boolean =>
      (people.interests[row + topic] as number) > (people.interests[row + than] as number)
    return () => {
      const way = random.between(0, 1)
      if (way < 0.45) return all(random)
      if (way > 0.88) {
        return items[items.length - 1 - random.integer(Math.min(FRESH_ITEMS, items.length))]
      }
      let topic = random.integer(topics)
      for (let rival = 0; rival < 3; rival++) {
        const other = random.integer(topics)
        if (isKeener(other, topic)) topic = other
      }
      return byTopic[topic]?.(random)
    }
  }
}

type Urn = (random: SimRandom) => Item | undefined

/** Draws items in proportion to their reach, in constant time (the alias method, Vose 1991). */
function createUrn(items: readonly Item[]): Urn {
  const kept = [...items]
  const count = kept.length
  const total = kept.reduce((sum, item) => sum + item.reach, 0)
  const keep = Float64Array.from(kept, item => (item.reach * count) / total)
  const alias = new Int32Array(count)
  const small: number[] = []
  const large: number[] = []
  for (let at = 0; at < count; at++) ((keep[at] as number) < 1 ? small : large).push(at)
  while (small.length > 0 && large.length > 0) {
    const less = small.pop() as number
    const more = large.pop() as number
    alias[less] = more
    keep[more] = (keep[more] as number) - (1 - (keep[less] as number))
    if (keep[more] < 1) small.push(more)
    else large.push(more)
  }
  // What is left is full but for rounding.
  for (const at of [...small, ...large]) keep[at] = 1
  return random => {
    const at = random.integer(count)
    return kept[random.chance(keep[at] as number) ? at : (alias[at] as number)]
  }
}

/** The name of a baseline. */
export type BaselineName = keyof Baselines
/** Any way to recommend, by name or as a function. */
export type Policy = BaselineName | Recommend
