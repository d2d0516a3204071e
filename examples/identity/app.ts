// #region app
import { countView, defineApp, event, id, item, person, signal, surface, text } from 'millrace'

const Clip = item('clip', { title: text() })
const People = person({ name: text().optional(), country: text().optional() })
const watched = event('watched', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })

export default defineApp({
  name: 'clips',
  items: [Clip],
  people: People,
  events: [watched],
  signals: [signal(watched, { item: 'clip' })],
  surfaces: { home: surface({ items: Clip, explore: 0 }) },
  views: { seen: countView({ from: [watched], key: 'viewer' }) },
})
// #endregion
