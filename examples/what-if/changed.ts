// #region changed
import { defineApp, view } from 'millrace'
import served from './app.ts'

const { events, views } = served.options

/** What somebody watched for at least a second, and for how long. */
const seen = view({
  from: events,
  key: 'viewer',
  initial: () => ({ clips: [] as string[], totalMs: 0 }),
  fold(state, { data }) {
    if (data.watchedMs < 1000) return
    state.clips.push(data.clip)
    state.totalMs += data.watchedMs
  },
})

export const app = defineApp({ ...served.options, views: { ...views, seen } })
// #endregion
