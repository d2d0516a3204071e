// #region definition
import { countView, defineApp, event, id, int, item, signal, surface, text } from 'millrace'

const Clip = item('clip', { title: text(), topics: text().many(), creator: id('creator') })

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int({ min: 0 }) },
  { key: 'viewer' },
)

export const app = defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched],
  signals: [signal(watched, { item: 'clip', weight: data => data.watchedMs / 20_000 })],
  views: { plays: countView({ from: [watched], key: 'clip' }) },
  surfaces: {
    home: surface({ items: Clip, limits: [{ field: 'creator', max: 2 }], explore: 0.05 }),
  },
})
// #endregion
