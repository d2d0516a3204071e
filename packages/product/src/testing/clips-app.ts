/** The app of the tests: clips with creators, two signals, surfaces for each question. */
import {
  createSeededRandom,
  defineApp,
  event,
  id,
  int,
  item,
  person,
  signal,
  surface,
  text,
  type App,
  type AppOptions,
} from '@millrace/core'
import type { TrackedEvent } from './open-product.ts'

export const Clip = item('clip', {
  title: text(),
  topics: text().many(),
  creator: id('creator'),
  note: text().optional().personal(),
})
export const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)
export const rated = event(
  'rated',
  { viewer: id('person'), clip: id('clip'), stars: int() },
  { key: 'viewer' },
)

/** The app, with the surfaces of a test beside `home`. */
export function clipsApp(surfaces: AppOptions['surfaces'] = {}): App {
  return defineApp({
    name: 'clips',
    items: [Clip],
    people: person({ country: text() }),
    events: [watched, rated],
    signals: [
      signal(watched, { item: 'clip', weight: data => data.ms / 1_000 }),
      signal(rated, { item: 'clip', weight: data => data.stars - 2 }),
    ],
    surfaces: {
      home: surface({ items: Clip, limits: [{ field: 'creator', max: 3 }], explore: 0.1 }),
      plain: surface({ items: Clip, sources: ['forYou', 'popular'] }),
      ...surfaces,
    },
    partitions: 4,
  })
}

/** Clips c0, c1, ... */
export function clips(count: number): { id: string; attributes: Record<string, unknown> }[] {
  return Array.from({ length: count }, (_, number) => ({
    id: `c${number}`,
    attributes: {
      title: `Clip ${number}`,
      topics: [`topic ${number % 7}`],
      creator: `creator ${number % 10}`,
      note: 'only for the team',
    },
  }))
}

/** Events of people with tastes: person p prefers clips of its fifth of the catalogue. */
export function audience(options: {
  events: number
  people: number
  clips: number
  seed: number
  startMs?: number
}): TrackedEvent[] {
  const { events, people, clips: count, seed, startMs = 1_799_000_000_000 } = options
  const random = createSeededRandom(seed)
  return Array.from({ length: events }, (_, number): TrackedEvent => {
    const who = Math.floor(random.next() * people)
    const part = Math.floor(count / 5)
    const clip = (who % 5) * part + Math.floor(random.next() ** 2 * part)
    const data = { viewer: `p${who}`, clip: `c${clip}` }
    const atMs = startMs + number * 10_000
    return random.next() < 0.8
      ? { type: 'watched', data: { ...data, ms: Math.floor(random.next() * 3_000) + 1 }, atMs }
      : { type: 'rated', data: { ...data, stars: 1 + Math.floor(random.next() * 5) }, atMs }
  })
}
