/**
 * A module of the demo, by the contract that a team's own modules use: it shows a few people of the
 * simulated audience, what they did last, and what the simulator knows of their tastes; and it lets
 * a reader act in someone's name without the simulator interfering.
 */
import { defineErrors } from '@millrace/core'
import type { Audience, AudienceBatch, AudienceEvent } from '@millrace/sim/audience'
import { defineModule, type ProductModule } from 'millrace'

const RECENT_MAX = 6
const FEATURED_MAX = 9
const NEWCOMERS_MAX = 3
const TASTES_SHOWN = 3
const VERBS: Readonly<Record<string, string>> = {
  watched: 'watched',
  liked: 'liked',
  hid: 'hid',
  enrolled: 'enrolled in',
  studied: 'studied',
}

interface Done {
  readonly title: string
  readonly verb: string
  readonly atMs: number
}

/** What the demo knows about its audience while it runs. */
export interface Stage {
  /** Notes what is about to be sent; gives the events without those of people who are held. */
  observe(events: readonly AudienceEvent[]): readonly AudienceEvent[]
  /** Notes newcomers and new items. */
  welcome(batch: Pick<AudienceBatch, 'people' | 'items'>): void
  people(): readonly FeaturedPerson[]
  /** False when there is no such person. */
  hold(id: string, isHeld: boolean): boolean
}

/** Someone on the page. */
export interface FeaturedPerson {
  readonly id: string
  readonly name: string
  readonly country: string | undefined
  readonly isNew: boolean
  readonly isHeld: boolean
  /** The strongest interests, shares of their sum. */
  readonly tastes: readonly { readonly topic: string; readonly weight: number }[]
  readonly recent: readonly Done[]
}

/** Keeps what the page shows about the audience. Memory: a few entries per featured person and a title per item. */
export function createStage(audience: Audience): Stage {
  const titles = new Map<string, string>()
  const names = new Map<string, { name: string; country: string | undefined }>()
  const held = new Set<string>()
  const recent = new Map<string, Done[]>()
  const activity = new Map<string, number>()
  const newcomers: string[] = []
  const welcome: Stage['welcome'] = ({ people, items }) => {
    for (const { id, data } of items) titles.set(id, data.title)
    for (const { id, data } of people) names.set(id, { name: data.name, country: data.country })
  }
  welcome({ people: audience.people(), items: audience.items() })
  const starters = new Set(names.keys())

  const note = (event: AudienceEvent): void => {
    const { viewer, learner, clip, course } = event.data
    const person = String(viewer ?? learner)
    activity.set(person, (activity.get(person) ?? 0) + 1)
    const list = recent.get(person) ?? []
    const item = String(clip ?? course)
    const verb = VERBS[event.type] ?? event.type
    list.unshift({ title: titles.get(item) ?? item, verb, atMs: event.atMs })
    list.length = Math.min(list.length, RECENT_MAX)
    recent.set(person, list)
  }
  const featured = chooseFeatured(audience, activity)
  return {
    welcome(batch) {
      welcome(batch)
      for (const { id } of batch.people) if (!starters.has(id)) newcomers.unshift(id)
      newcomers.length = Math.min(newcomers.length, NEWCOMERS_MAX)
    },
    observe(events) {
      for (const event of events) note(event)
      if (held.size === 0) return events
      return events.filter(({ data }) => !held.has(String(data['viewer'] ?? data['learner'])))
    },
    people: () =>
      [...new Set([...held, ...featured(), ...newcomers])].slice(0, FEATURED_MAX).map(id => ({
        id,
        name: names.get(id)?.name ?? id,
        country: names.get(id)?.country,
        isNew: !starters.has(id),
        isHeld: held.has(id),
        tastes: tastesOf(audience, id),
        recent: recent.get(id) ?? [],
      })),
    hold(id, isHeld) {
      if (!names.has(id)) return false
      if (isHeld) held.add(id)
      else held.delete(id)
      return true
    },
  }
}

/** The same few people all the time: those who were most active when the page was first asked for. */
function chooseFeatured(
  audience: Audience,
  activity: ReadonlyMap<string, number>,
): () => readonly string[] {
  let chosen: readonly string[] | undefined
  return () => {
    if (chosen === undefined || chosen.length === 0) {
      chosen = [...activity]
        .toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
        .slice(0, FEATURED_MAX - NEWCOMERS_MAX)
        .map(([id]) => id)
    }
    return chosen.length > 0
      ? chosen
      : audience
          .people()
          .slice(0, FEATURED_MAX)
          .map(({ id }) => id)
  }
}

function tastesOf(audience: Audience, id: string): FeaturedPerson['tastes'] {
  const interests = [...audience.oracle.interests(id, audience.nowMs)]
    .map(([topic, weight]) => ({ topic, weight: Math.max(0, weight) }))
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, TASTES_SHOWN)
  const sum = interests.reduce((total, { weight }) => total + weight, 0) || 1
  return interests.map(({ topic, weight }) => ({ topic, weight: weight / sum }))
}

const errors = defineErrors({
  DEMO_PERSON_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'The simulated audience has no person {person}.',
    remedy: 'Ask GET /v1/demo/people whom it shows.',
  },
})

const personSchema = {
  type: 'object',
  required: ['id', 'name', 'isNew', 'isHeld', 'tastes', 'recent'],
  properties: {
    id: { type: 'string' },
    name: { type: 'string' },
    country: { type: 'string' },
    isNew: { type: 'boolean' },
    isHeld: { type: 'boolean' },
    tastes: {
      type: 'array',
      items: {
        type: 'object',
        required: ['topic', 'weight'],
        properties: { topic: { type: 'string' }, weight: { type: 'number' } },
      },
    },
    recent: {
      type: 'array',
      items: {
        type: 'object',
        required: ['title', 'verb', 'atMs'],
        properties: {
          title: { type: 'string' },
          verb: { type: 'string' },
          atMs: { type: 'number' },
        },
      },
    },
  },
}

/** The module over a stage. */
export function createAudienceModule(stage: Stage): ProductModule<Stage> {
  return defineModule({
    name: 'demo',
    errors,
    open: () => ({
      api: stage,
      commands: [],
      metrics: [],
      routes: [
        {
          method: 'GET',
          path: '/v1/demo/people',
          operation: 'demoPeople',
          scope: 'server',
          summary: 'A few people of the simulated audience',
          response: {
            type: 'object',
            required: ['people'],
            properties: { people: { type: 'array', items: personSchema } },
          },
          handle: () => ({ body: { people: stage.people() } }),
        },
        {
          method: 'PUT',
          path: '/v1/demo/people/:id/hold',
          operation: 'demoHoldPerson',
          scope: 'server',
          summary: 'Keeps the simulator from acting in the name of a person, or lets it again',
          params: {
            type: 'object',
            required: ['id'],
            properties: { id: { type: 'string', maxLength: 256 } },
          },
          body: {
            type: 'object',
            required: ['isHeld'],
            properties: { isHeld: { type: 'boolean' } },
            additionalProperties: false,
          },
          response: {
            type: 'object',
            required: ['isHeld'],
            properties: { isHeld: { type: 'boolean' } },
          },
          errors: ['DEMO_PERSON_UNKNOWN'],
          handle({ params, body }) {
            const person = params['id'] as string
            const { isHeld } = body as { isHeld: boolean }
            if (!stage.hold(person, isHeld)) throw errors.create('DEMO_PERSON_UNKNOWN', { person })
            return { body: { isHeld } }
          },
        },
      ],
    }),
  })
}
