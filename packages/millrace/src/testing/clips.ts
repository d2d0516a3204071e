/** A small content product for the tests of this package. */
import {
  countView,
  createSeededRandom,
  defineApp,
  event,
  float,
  id,
  int,
  item,
  oneOf,
  person,
  signal,
  silentLogger,
  sliding,
  surface,
  text,
  view,
  type App,
} from '@millrace/core'
import { openMillrace, type Millrace, type MillraceOptions } from '../millrace.ts'

const Clip = item('clip', { title: text(), topics: text().many(), creator: id('creator') })
const People = person({ name: text().personal(), country: text().optional() })
const watched = event(
  'watched',
  {
    viewer: id('person'),
    clip: id('clip'),
    watchedMs: int({ min: 0 }),
    device: oneOf('phone', 'tv').optional(),
    note: text({ max: 2000 }).optional(),
  },
  { key: 'viewer', description: 'A person watched a clip.' },
)
const asked = event(
  'asked',
  { person: id('person'), question: text().personal(), urgency: float().optional() },
  { key: 'person' },
)
const rated = event(
  'rated',
  { clip: id('clip'), viewer: id('person'), stars: int({ min: 1, max: 5 }) },
  { key: 'clip' },
)

/** The definition. */
export const clips = defineApp({
  name: 'clips',
  items: [Clip],
  people: People,
  events: [watched, asked, rated],
  signals: [signal(watched, { item: 'clip' })],
  surfaces: { home: surface({ items: Clip, explore: 0 }) },
  views: {
    plays: countView({
      from: [watched],
      key: 'clip',
      description: 'How often a clip was watched.',
    }),
    recent: countView({ from: [watched], key: 'viewer', window: sliding('1h') }),
    time: view({
      from: [watched],
      key: 'viewer',
      initial: () => ({ ms: 0 }),
      fold(state, e) {
        state.ms += e.data.watchedMs
      },
      read: state => state.ms,
    }),
  },
})

/** Opens a Millrace for a test: in memory unless told otherwise, silent, with seeded randomness. */
export function openForTest<const A extends App = typeof clips>(
  options: Partial<MillraceOptions<A>> = {},
): Promise<Millrace<A>> {
  return openMillrace({
    app: clips as unknown as A,
    data: 'memory',
    logger: silentLogger,
    random: createSeededRandom(7),
    port: 0,
    ...options,
  })
}

/** A `watched` event as it is sent. */
export function watchedBy(
  viewer: string,
  clip: string,
  more: { id?: string; at?: number | string; watchedMs?: number } = {},
): Record<string, unknown> {
  const { watchedMs = 1000, ...envelope } = more
  return { type: 'watched', ...envelope, data: { viewer, clip, watchedMs } }
}
