// #region definition
import { defineApp, event, id, int, item, text } from 'millrace'

const Clip = item('clip', { title: text() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), seconds: int({ min: 0 }) },
  { key: 'viewer' },
)

export const app = defineApp({ name: 'clips', items: [Clip], events: [watched] })
// #endregion
