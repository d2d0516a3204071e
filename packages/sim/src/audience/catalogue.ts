/**
 * The items of a simulated product: what everybody may know (titles, topics, creators, durations)
 * and what only the simulation knows (quality, hidden factors, reach).
 */
import { createSimRandom, type SimRandom } from '../random.ts'
import type { AudienceOptions } from './options.ts'
import { clipTitle, courseTitle, creatorName } from './titles.ts'
import { TOPICS, type TopicWords } from './words.ts'

/** Length of the hidden factors of people and items. */
export const FACTORS = 8
const DAY_MS = 86_400_000
const LEVELS = ['beginner', 'intermediate', 'advanced'] as const

/** A creator, as plain data. */
export interface AudienceCreator {
  readonly id: string
  readonly data: { readonly name: string; readonly topics: readonly string[] }
}

/** An item for a catalogue, as plain data. Times are milliseconds since the epoch. */
export type AudienceItem =
  | {
      readonly id: string
      readonly kind: 'clip'
      readonly data: {
        readonly title: string
        readonly topics: readonly string[]
        readonly creator: string
        readonly durationMs: number
        readonly publishedAt: number
      }
    }
  | {
      readonly id: string
      readonly kind: 'course'
      readonly data: {
        readonly title: string
        readonly topics: readonly string[]
        readonly creator: string
        readonly level: 'beginner' | 'intermediate' | 'advanced'
        readonly minutes: number
        readonly publishedAt: number
      }
    }

/** An item with what only the simulation knows. */
export interface Item {
  readonly index: number
  readonly id: string
  readonly isClip: boolean
  readonly shown: AudienceItem
  /** Indexes of topics, the main one first, and how much each counts; the weights sum to 1. */
  readonly topics: readonly number[]
  readonly topicWeights: readonly number[]
  readonly factors: Float32Array
  /** Standard normal over items. */
  readonly quality: number
  /** Attention from outside, heavy-tailed: how often people come across it by themselves. */
  readonly reach: number
  /** Milliseconds of a clip, or of a course. */
  readonly durationMs: number
  /** 0 to 2 for courses, 0 for clips. */
  readonly level: number
  readonly publishedMs: number
}

interface Creator {
  readonly id: string
  readonly quality: number
  readonly style: Float32Array
  readonly topics: readonly number[]
  readonly fame: number
}

/** All items and creators; items are added as virtual time passes. */
export class Catalogue {
  readonly items: Item[] = []
  readonly clips: Item[] = []
  readonly courses: Item[] = []
  readonly creators: readonly AudienceCreator[]
  readonly topics: readonly string[]
  readonly #options: AudienceOptions
  readonly #random: SimRandom
  readonly #makers: readonly Creator[]
  readonly #makersByTopic: readonly (readonly Creator[])[]
  readonly #byId = new Map<string, Item>()

  constructor(options: AudienceOptions) {
    this.#options = options
    this.#random = createSimRandom(`audience/${options.seed}/items`)
    this.topics = TOPICS.slice(0, options.topics).map(words => words.topic)
    const random = createSimRandom(`audience/${options.seed}/creators`)
    const makers: Creator[] = []
    const shown: AudienceCreator[] = []
    for (let index = 0; index < options.creators; index++) {
      const maker = makeCreator(`${options.names.creator}${index + 1}`, options.topics, random)
      const topics = maker.topics.map(topic => this.topics[topic] as string)
      makers.push(maker)
      shown.push({ id: maker.id, data: { name: creatorName(topics[0] as string, random), topics } })
    }
    this.creators = shown
    this.#makers = makers
    this.#makersByTopic = this.topics.map((_, topic) =>
      makers.filter(maker => maker.topics[0] === topic),
    )
    for (let count = 0; count < options.clips; count++) {
      this.addClip(options.startMs - this.#random.exponential(20 * DAY_MS))
    }
    for (let count = 0; count < options.courses; count++) {
      this.addCourse(options.startMs - this.#random.between(0, 365 * DAY_MS))
    }
  }

  find(id: string): Item | undefined {
    return this.#byId.get(id)
  }

  /** The item that an answer names; our own baselines answer with the items themselves. */
  resolve(shown: { readonly id: string }): Item | undefined {
    const own = this.items[(shown as Item).index]
    return own === shown ? own : this.#byId.get(shown.id)
  }

  /** Publishes a clip; `shownMs` is the time that its data says, when the audience runs faster than the wall clock. */
  addClip(publishedMs: number, shownMs = publishedMs): Item {
    const base = this.#base()
    const durationMs = Math.round(
      Math.min(Math.max(Math.exp(this.#random.normal() * 0.7) * 45_000, 6_000), 600_000),
    )
    const id = `${this.#options.names.clip}${this.clips.length + 1}`
    const data = {
      title: clipTitle(base.words, this.#random),
      topics: base.topics.map(topic => this.topics[topic] as string),
      creator: base.maker.id,
      durationMs,
      publishedAt: Math.floor(shownMs),
    }
    const shown = { id, kind: 'clip', data } as const
    return this.#add({ ...base, shown, durationMs, level: 0, publishedMs })
  }

  addCourse(publishedMs: number, shownMs = publishedMs): Item {
    const base = this.#base()
    const level = this.#random.pick([0, 0, 1, 1, 2] as const)
    const minutes = 30 * Math.round(2 + this.#random.exponential(8))
    const id = `${this.#options.names.course}${this.courses.length + 1}`
    const data = {
      title: courseTitle(base.words, (level + 1) as 1 | 2 | 3, this.#random),
      topics: base.topics.map(topic => this.topics[topic] as string),
      creator: base.maker.id,
      level: LEVELS[level],
      minutes,
      publishedAt: Math.floor(shownMs),
    }
    const shown = { id, kind: 'course', data } as const
    return this.#add({ ...base, shown, durationMs: minutes * 60_000, level, publishedMs })
  }

  #add(made: Omit<Item, 'index' | 'id' | 'isClip'>): Item {
    const isClip = made.shown.kind === 'clip'
    // Spelled out so that all items have one shape, which keeps reading them fast.
    const item: Item = {
      index: this.items.length,
      id: made.shown.id,
      isClip,
      shown: made.shown,
      topics: made.topics,
      topicWeights: made.topicWeights,
      factors: made.factors,
      quality: made.quality,
      reach: made.reach,
      durationMs: made.durationMs,
      level: made.level,
      publishedMs: made.publishedMs,
    }
    this.items.push(item)
    if (isClip) this.clips.push(item)
    else this.courses.push(item)
    this.#byId.set(item.id, item)
    return item
  }

  /** What clips and courses have in common; a creator mostly stays with one topic. */
  #base() {
    const random = this.#random
    const topic = popularTopic(this.#options.topics, random)
    const makers = this.#makersByTopic[topic] as readonly Creator[]
    const maker =
      makers.length > 0 && random.chance(0.85) ? random.pick(makers) : random.pick(this.#makers)
    const main = random.chance(0.8) ? (maker.topics[0] as number) : topic
    const topics = [main]
    for (let extra = random.integer(3); extra > 0; extra--) {
      const other = random.chance(0.5)
        ? random.pick(maker.topics)
        : random.integer(this.#options.topics)
      if (!topics.includes(other)) topics.push(other)
    }
    const rest = topics.length === 1 ? 0 : 0.4 / (topics.length - 1)
    const factors = new Float32Array(FACTORS)
    for (let at = 0; at < FACTORS; at++) {
      factors[at] = 0.6 * (maker.style[at] as number) + 0.8 * random.normal()
    }
    const quality = 0.6 * maker.quality + 0.8 * random.normal()
    return {
      maker,
      words: TOPICS[main] as TopicWords,
      topics,
      topicWeights: topics.map((_, at) => (at === 0 ? 1 - rest * (topics.length - 1) : rest)),
      factors,
      quality,
      reach: Math.exp(1.2 * random.normal() + 0.5 * quality) * maker.fame,
    }
  }
}

/** A topic drawn by popularity: the chance of the r-th is proportional to 1 / (r + 3). */
export function popularTopic(topics: number, random: SimRandom): number {
  for (;;) {
    const topic = random.integer(topics)
    if (random.chance(3 / (topic + 3))) return topic
  }
}

function makeCreator(id: string, topics: number, random: SimRandom): Creator {
  const own = new Set([popularTopic(topics, random)])
  if (random.chance(0.6)) own.add(random.integer(topics))
  const style = Float32Array.from({ length: FACTORS }, () => random.normal())
  const fame = Math.exp(0.8 * random.normal())
  return { id, quality: random.normal(), style, topics: [...own], fame }
}
