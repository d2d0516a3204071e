// #region app
import { defineApp, event, id, int, item, signal, surface, text } from 'millrace'

export const Clip = item('clip', { title: text(), topics: text().many() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)

/** The product with its surfaces. */
export const clipsWith = (home: ReturnType<typeof surface>) =>
  defineApp({
    name: 'clips',
    items: [Clip],
    events: [watched],
    signals: [signal(watched, { item: 'clip', weight: data => data.watchedMs / 1000 })],
    surfaces: { home },
  })

export default clipsWith(surface({ items: Clip, explore: 0, size: { default: 3, max: 10 } }))
// #endregion
