import { defineApp, event, id, int, item, text, upcastFrom, view } from 'millrace'

const Clip = item('clip', { title: text() })

// #region event
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int({ min: 0 }) },
  {
    key: 'viewer',
    upcast: upcastFrom(
      { viewer: id('person'), clip: id('clip'), seconds: int({ min: 0 }) },
      ({ viewer, clip, seconds }) => ({ viewer, clip, watchedMs: seconds * 1000 }),
    ),
  },
)
// #endregion

const watchTime = view({
  from: [watched],
  key: 'viewer',
  initial: () => ({ ms: 0 }),
  fold: (state, { data }) => ({ ms: state.ms + data.watchedMs }),
})

export const app = defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched],
  views: { watchTime },
})
