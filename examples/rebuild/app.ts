// #region view
import { countView, defineApp, event, id, int } from 'millrace'

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)

/** How many clips a person watched. */
const plays = countView({ from: [watched], key: 'viewer' })

export default defineApp({ name: 'clips', events: [watched], views: { plays } })
// #endregion
