/** The product that the HTTP benches serve: clips that people watch, two views, one surface. */
import { countView, defineApp, event, id, int, item, signal, surface, text } from 'millrace'

const Clip = item('clip', { title: text(), topics: text().many(), creator: id('creator') })
const watched = event(
  'watched',
  {
    viewer: id('person'),
    clip: id('clip'),
    watchedMs: int(),
    device: text().optional(),
    note: text().optional(),
  },
  { key: 'viewer' },
)

/** With views and recommendations, as a product has them. */
export const product = defineApp({
  name: 'bench',
  items: [Clip],
  events: [watched],
  signals: [signal(watched, { item: 'clip' })],
  surfaces: { home: surface({ items: Clip, explore: 0.05 }) },
  views: {
    plays: countView({ from: [watched], key: 'clip' }),
    mine: countView({ from: [watched], key: 'viewer' }),
  },
})

/** Events alone: what ingestion costs by itself. */
export const bare = defineApp({ name: 'bench-bare', events: [watched] })
