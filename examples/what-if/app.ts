// #region views
import { countView, defineApp, event, id, int, item, signal, surface, text, view } from 'millrace'

const Clip = item('clip', { title: text() })

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)
const from = [watched] as const

/** How often a clip was watched. */
const plays = countView({ from, key: 'clip' })

/** What somebody watched, and for how long. */
const seen = view({
  from,
  key: 'viewer',
  initial: () => ({ clips: [] as string[], totalMs: 0 }),
  fold(state, { data }) {
    state.clips.push(data.clip)
    state.totalMs += data.watchedMs
  },
})

export default defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched],
  signals: [signal(watched, { item: 'clip' })],
  surfaces: { home: surface({ items: Clip, sources: ['trending'] }) },
  views: { plays, seen },
})
// #endregion
