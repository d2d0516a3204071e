/**
 * A week of a product in simulated time, with a ring of bots in its last day: people ask for lists and
 * act on what they are shown, the ring plays a few clips that nobody likes, over and over. Equal
 * options give equal events.
 */
import { createSeededRandom, silentLogger, systemClock, type Clock } from '@millrace/core'
import type { Recommendations } from '@millrace/product'
import { createAudience, type Audience, type AudienceBatch } from '@millrace/sim/audience'
import { unlovedClips } from '../../apps/demo/src/ring.ts'
import { openMillrace, type App, type Millrace } from 'millrace'

/** How large it is. */
export interface HistoryOptions {
  readonly people: number
  readonly days: number
  /** Events of the ring. */
  readonly ringEvents: number
}

/** What came of it. */
export interface History {
  readonly audience: Audience
  /** Events of people and of the ring. */
  readonly events: number
  readonly answers: number
  readonly ring: Ring
  readonly endMs: number
}

/** The ring. */
export interface Ring {
  readonly bots: readonly string[]
  readonly clips: readonly string[]
  readonly fromMs: number
  readonly events: number
}

const START_MS = Date.UTC(2026, 0, 5)
const HOUR_MS = 3_600_000
const PLAYS_PER_BOT = 100
const SLATE = 12
/** Exposures are written behind; more than so many answers do not wait. */
const FLUSH_EVERY = 2_000

/** A clock that is set by what happens. */
function createStoryClock(): Clock & { timeMs: number } {
  return {
    timeMs: START_MS,
    nowMs() {
      return this.timeMs
    },
    monotonicMs() {
      return this.timeMs
    },
    after: (delayMs, task) => systemClock.after(delayMs, task),
    soon: task => systemClock.soon(task),
  }
}

/** Fills a data directory. */
export async function makeHistory(
  app: App,
  data: string,
  options: HistoryOptions,
): Promise<History> {
  const clock = createStoryClock()
  const random = createSeededRandom(5)
  const millrace = await openMillrace({ app, data, clock, random, logger: silentLogger })
  const audience = createAudience({ seed: 5, people: options.people, slateSize: SLATE, startMs: START_MS, clips: Math.min(600, options.people * 5) }) // prettier-ignore
  const story = new Story(millrace, audience, clock, options)
  try {
    await story.run()
    return { audience, ...story.told() }
  } finally {
    await millrace.close()
  }
}

class Story {
  readonly #millrace: Millrace
  readonly #audience: Audience
  readonly #clock: { timeMs: number }
  readonly #ring: Ring
  readonly #endMs: number
  readonly #random = createSeededRandom(6)
  #events = 0
  #answers = 0
  #played = 0
  #isBehind = false

  constructor(
    millrace: Millrace,
    audience: Audience,
    clock: { timeMs: number },
    { days, ringEvents }: HistoryOptions,
  ) {
    this.#millrace = millrace
    this.#audience = audience
    this.#clock = clock
    this.#endMs = START_MS + days * 24 * HOUR_MS
    const count = Math.ceil(ringEvents / PLAYS_PER_BOT)
    this.#ring = {
      bots: Array.from({ length: count }, (_, bot) => `bot-${bot + 1}`),
      clips: unlovedClips(audience),
      fromMs: this.#endMs - 30 * HOUR_MS,
      events: ringEvents,
    }
  }

  async run(): Promise<void> {
    const { people, items } = { people: this.#audience.people(), items: this.#audience.items() }
    await this.#append({ people, items, events: [] })
    await this.#audience.run(
      {
        recommend: async ({ person, surface, n, atMs }) => {
          this.#clock.timeMs = atMs
          await this.#catchUp()
          this.#answers += 1
          if (this.#answers % FLUSH_EVERY === 0) await this.#flush()
          return this.#millrace.recommend(surface as never, { person, n }).items
        },
        send: events => this.#append({ people: [], items: [], events }),
        publish: published => this.#append({ people: [], items: published, events: [] }),
        register: joined => this.#append({ people: joined, items: [], events: [] }),
      },
      { untilMs: this.#endMs },
    )
    await this.#catchUp()
    await this.#flush()
  }

  told(): Omit<History, 'audience'> {
    return { events: this.#events, answers: this.#answers, ring: this.#ring, endMs: this.#endMs }
  }

  #flush(): Promise<void> {
    return this.#millrace.module<Recommendations>('recommendations').flush()
  }

  /** Lists reflect all that happened before, so that the story is the same each time. */
  async #catchUp(): Promise<void> {
    if (!this.#isBehind) return
    this.#isBehind = false
    await this.#millrace.reached(new Map(this.#millrace.log.ends()), { timeoutMs: 60_000 })
  }

  async #append({ people, items, events }: AudienceBatch): Promise<void> {
    const rows = [
      ...items.map(({ kind, id, data }) => ({ type: `${kind}.put`, at: data.publishedAt, data: { id, attributes: data } })), // prettier-ignore
      ...people.map(({ id, data }) => ({ type: 'person.put', at: data.joinedAt, data: { id, attributes: data } })), // prettier-ignore
      ...this.#plays(events.at(-1)?.atMs ?? 0),
      ...events.map(({ type, id, atMs, data }) => ({ type, id, at: atMs, data })),
    ]
    this.#clock.timeMs = Math.max(this.#clock.timeMs, events.at(-1)?.atMs ?? 0)
    const { counts } = await this.#millrace.trackMany(rows)
    if (counts.appended !== rows.length) throw new Error(`${rows.length - counts.appended} events were refused`) // prettier-ignore
    this.#events += rows.length - people.length - items.length
    this.#isBehind = true
  }

  /** What the ring does until then: evenly over a day, which ends some hours before the end. */
  #plays(untilMs: number): { type: string; at: number; data: Record<string, unknown> }[] {
    const { fromMs, events, bots, clips } = this.#ring
    const share = Math.min(1, (untilMs - fromMs) / (24 * HOUR_MS))
    const due = Math.max(0, Math.floor(events * share) - this.#played)
    const first = this.#played
    this.#played += due
    return Array.from({ length: due }, (_, play) => ({
      type: 'watched',
      at: untilMs,
      data: {
        viewer: bots[(first + play) % bots.length],
        clip: clips[Math.floor(this.#random.next() * clips.length)],
        watchedMs: 60_000,
      },
    }))
  }
}
