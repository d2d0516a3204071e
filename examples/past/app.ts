// #region view
import { countView, defineApp, event, id, int, item, text } from 'millrace'

const Clip = item('clip', { title: text() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)

/** How often a clip was watched. */
const plays = countView({ from: [watched], key: 'clip' })

export default defineApp({ name: 'clips', items: [Clip], events: [watched], views: { plays } })
// #endregion
