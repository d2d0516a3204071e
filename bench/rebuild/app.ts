/** The product of the rebuild bench: one counting view. */
import { countView, defineApp, event, id, int } from 'millrace'

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), ms: int() },
  { key: 'viewer' },
)

/** The definition; threads load it from this file. */
export const app = defineApp({
  name: 'rebuild-bench',
  events: [watched],
  views: { plays: countView({ from: [watched], key: 'viewer' }) },
})
