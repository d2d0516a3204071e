// #region app
import { defineApp, event, id, item, surface, text } from 'millrace'

const Clip = item('clip', { title: text(), creator: id('creator'), topics: text().many() })
const watched = event('watched', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })

export default defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched],
  surfaces: { home: surface({ items: Clip }) },
  // Whoever changes more than two rows at once needs a second person.
  approvals: [{ kind: 'catalogue', above: 2 }],
})
// #endregion
