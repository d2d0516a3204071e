import { defineApp, event, id, int, item, text } from 'millrace'

const Clip = item('clip', { title: text() })

// #region event
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int({ min: 0 }) },
  { key: 'viewer' },
)
// #endregion

export const app = defineApp({ name: 'clips', items: [Clip], events: [watched] })
