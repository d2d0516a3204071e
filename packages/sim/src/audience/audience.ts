/**
 * A simulated audience: people with hidden tastes who act on what a product shows them, and an
 * oracle that knows the truth. `taste.ts` holds the model of choice, `world.ts` that of behaviour,
 * `people.ts` that of interests, `catalogue.ts` that of items.
 *
 * Promise: equal options, seed and answers of the product give equal events. Cost: about five
 * microseconds an event without a product; memory follows people and items, not events.
 */
import { simErrors } from '../errors.ts'
import { createSimRandom } from '../random.ts'
import { createBaselines, type Baselines, type Policy } from './baselines.ts'
import type { AudienceCreator, AudienceItem, Item } from './catalogue.ts'
import {
  createEventIds,
  createEventMaker,
  type AudienceBatch,
  type AudienceEvent,
  type EventKind,
} from './events.ts'
import { resolveOptions, type AudienceNames, type AudienceOptions } from './options.ts'
import { createOracle, type Oracle } from './oracle.ts'
import { Pace, type Outbox, type PaceOptions, type PacedRun } from './pace.ts'
import type { AudiencePerson } from './people.ts'
import { World, type Host, type Recommend, type Tally } from './world.ts'

const DAY_MS = 86_400_000

/** The product under test, or as much of it as is there. */
export interface AudiencePorts {
  /** Answers a person's request for items. Default: the `organic` baseline. */
  readonly recommend?: Policy
  /** Takes events, in order of time. */
  readonly send?: (events: readonly AudienceEvent[]) => Promise<void> | void
  /** Takes an item that was published after the start, before anybody can ask for it. */
  readonly publish?: (items: readonly AudienceItem[]) => Promise<void> | void
  /** Takes people who joined after the start. */
  readonly register?: (people: readonly AudiencePerson[]) => Promise<void> | void
}

/** What happened so far. */
export interface AudienceReport extends Readonly<Tally> {
  readonly nowMs: number
  readonly people: number
  readonly items: number
  readonly events: Readonly<Record<EventKind, number>>
  /** Mean over slates of clips of the fractions watched; 0 without slates. */
  readonly meanReward: number
}

/** How far a run goes; it ends at whichever comes first. At least one must be given. */
export interface RunLimits {
  readonly days?: number
  readonly untilMs?: number
  /** The moment that reaches this number of events is the last; it may add two more. */
  readonly eventsMax?: number
  /** Events handed over at once. Default 100 in `run`, 1,000 in `history`; fewer when people or items arrive. */
  readonly batchEvents?: number
}

/** A simulated audience. One driver at a time. */
export interface Audience {
  readonly options: AudienceOptions
  /** Virtual time, milliseconds since the epoch. */
  readonly nowMs: number
  readonly oracle: Oracle
  readonly baselines: Baselines
  /** Names of the topics, the most popular first. */
  readonly topics: readonly string[]
  readonly creators: readonly AudienceCreator[]
  /** Everybody who has joined, in order. */
  people(): readonly AudiencePerson[]
  /** All that is published, in order. */
  items(): readonly AudienceItem[]
  report(): AudienceReport
  /** Runs on virtual time, as fast as the product answers. Fails as the product fails. */
  run(ports: AudiencePorts, limits: RunLimits): Promise<AudienceReport>
  /**
   * History as batches, the people and items of the start in the first one. Whoever stops reading
   * stops the simulation; memory stays that of one batch.
   */
  history(options: RunLimits & { recommend?: Policy }): AsyncIterable<AudienceBatch>
  /**
   * Runs for a live product: events come at a rate, stamped with the clock's time; virtual time
   * passes as fast as the rate needs. When the product fails, its batch is sent again after a
   * second, the same events with the same ids, and nothing new happens until it is taken.
   */
  pace(ports: AudiencePorts, options: PaceOptions): PacedRun
}

/** Creates an audience; the defaults of `AudienceOptions` fill what is not given. Refuses values without sense (SIM_OPTION_INVALID). */
export function createAudience(
  options: Partial<Omit<AudienceOptions, 'names'>> & { names?: Partial<AudienceNames> } = {},
): Audience {
  return new SimulatedAudience(resolveOptions(options))
}

class SimulatedAudience implements Audience {
  readonly options: AudienceOptions
  readonly baselines: Baselines
  readonly oracle: Oracle
  readonly #world: World
  readonly #counts: Record<EventKind, number> = {
    watched: 0,
    liked: 0,
    hid: 0,
    shared: 0,
    studied: 0,
    enrolled: 0,
  }
  readonly #make: ReturnType<typeof createEventMaker>
  #isDriven = false

  constructor(options: AudienceOptions) {
    this.options = options
    this.#world = new World(options)
    this.baselines = createBaselines(this.#world)
    this.oracle = createOracle(this.#world)
    const bits = createSimRandom(`audience/${options.seed}/ids`).integer(2 ** 31)
    this.#make = createEventMaker(
      options.names,
      options.hasEventIds ? createEventIds(bits) : undefined,
    )
  }

  get nowMs(): number {
    return this.#world.nowMs
  }

  get topics(): readonly string[] {
    return this.#world.catalogue.topics
  }

  get creators(): readonly AudienceCreator[] {
    return this.#world.catalogue.creators
  }

  people(): readonly AudiencePerson[] {
    return this.#world.people.shown
  }

  items(): readonly AudienceItem[] {
    return this.#world.catalogue.items.map(item => item.shown)
  }

  report(): AudienceReport {
    const { tally, nowMs, people, catalogue } = this.#world
    return {
      ...tally,
      nowMs,
      people: people.count,
      items: catalogue.items.length,
      events: { ...this.#counts },
      meanReward: tally.clipSlates === 0 ? 0 : tally.clipReward / tally.clipSlates,
    }
  }

  async run(ports: AudiencePorts, limits: RunLimits): Promise<AudienceReport> {
    for await (const batch of this.#batches(ports.recommend, { batchEvents: 100, ...limits })) {
      await this.#hand(ports, batch)
    }
    return this.report()
  }

  async *history(options: RunLimits & { recommend?: Policy }): AsyncGenerator<AudienceBatch> {
    yield { people: [...this.people()], items: this.items(), events: [] }
    yield* this.#batches(options.recommend, options)
  }

  pace(ports: AudiencePorts, options: PaceOptions): PacedRun {
    this.#claim()
    return new Pace(
      this.#world,
      options,
      stampMs => this.#outbox(ports.recommend, stampMs),
      batch => this.#hand(ports, batch),
      () => void (this.#isDriven = false),
    )
  }

  async *#batches(policy: Policy | undefined, limits: RunLimits): AsyncGenerator<AudienceBatch> {
    const untilMs = endOf(limits, this.nowMs)
    const { eventsMax = Infinity, batchEvents = 1_000 } = limits
    this.#claim()
    try {
      const world = this.#world
      const outbox = this.#outbox(policy, atMs => Math.floor(atMs))
      let events = 0
      while (world.nextMs <= untilMs && events + outbox.size < eventsMax) {
        const step = world.step(outbox.host)
        if (step !== undefined) await step
        // An item must be known to the product before anybody asks for it.
        if (outbox.size < batchEvents && !outbox.hasNews) continue
        events += outbox.size
        yield outbox.take()
      }
      if (untilMs !== Infinity && world.nextMs > untilMs) world.nowMs = untilMs
      if (outbox.size > 0) yield outbox.take()
    } finally {
      this.#isDriven = false
    }
  }

  /** Collects what leaves the world. */
  #outbox(policy: Policy | undefined, stampMs: (atMs: number) => number): Outbox {
    const people: AudiencePerson[] = []
    const items: AudienceItem[] = []
    let events: AudienceEvent[] = []
    const world = this.#world
    const counts = this.#counts
    const isSharing = this.options.names.shared !== undefined
    const host: Host = {
      recommend: this.#resolve(policy),
      publish: item => void items.push(item),
      register: person => void people.push(person),
      stampMs,
      emit: (kind: EventKind, person: number, item: Item, amount: number) => {
        if (kind === 'shared' && !isSharing) return
        counts[kind] += 1
        const { id } = world.people.shown[person] as AudiencePerson
        events.push(this.#make(kind, id, item.id, amount, Math.floor(stampMs(world.nowMs))))
      },
    }
    return {
      host,
      get size() {
        return events.length
      },
      get hasNews() {
        return items.length > 0 || people.length > 0
      },
      take() {
        const batch = { people: people.splice(0), items: items.splice(0), events }
        events = []
        return batch
      },
    }
  }

  #resolve(policy: Policy | undefined): Recommend {
    return typeof policy === 'function' ? policy : this.baselines[policy ?? 'organic']
  }

  async #hand(ports: AudiencePorts, batch: AudienceBatch): Promise<void> {
    if (batch.people.length > 0) await ports.register?.(batch.people)
    if (batch.items.length > 0) await ports.publish?.(batch.items)
    if (batch.events.length > 0) await ports.send?.(batch.events)
  }

  #claim(): void {
    if (this.#isDriven) throw simErrors.create('SIM_REENTRANT')
    this.#isDriven = true
  }
}

function endOf(limits: RunLimits, nowMs: number): number {
  const { days, untilMs, eventsMax } = limits
  if (days === undefined && untilMs === undefined && eventsMax === undefined) {
    const reason = 'give days, untilMs or eventsMax'
    throw simErrors.create('SIM_OPTION_INVALID', { option: 'limits', reason })
  }
  return Math.min(untilMs ?? Infinity, nowMs + (days ?? Infinity) * DAY_MS)
}
