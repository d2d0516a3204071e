import { countView, defineApp, event, id, int } from 'millrace'

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)

// #region view
const playsBefore = countView({ from: [watched], key: 'viewer' })

/** How many clips a person watched for at least a second. */
const plays = countView({
  from: [watched],
  key: 'viewer',
  where: e => e.data.watchedMs >= 1_000,
  replaces: playsBefore,
})
// #endregion

export default defineApp({ name: 'clips', events: [watched], views: { plays } })
