// #region app
import { check, countView, defineApp, event, id, int, item, oneOf, text } from 'millrace'

const Clip = item('clip', { title: text() })
const watched = event(
  'watched',
  {
    viewer: id('person'),
    clip: id('clip'),
    watchedMs: int({ min: 0 }),
    device: oneOf('phone', 'tv', 'web').optional(),
  },
  { key: 'viewer' },
)

/** How much was watched of a clip. */
const plays = countView({ from: [watched], key: 'clip' })

export default defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched],
  views: { plays },
  checks: {
    /** Nobody watches for more than a day: such an event is a fault of the client. */
    plausible: check({
      of: watched,
      field: 'watchedMs',
      expect: { range: { max: 86_400_000 } },
      severity: 'refuse',
    }),
    /** A clip that is not there yet may come: the event is kept, and waits. */
    clipIsKnown: check({
      of: watched,
      field: 'clip',
      expect: { exists: Clip },
      severity: 'quarantine',
    }),
    deviceIsTold: check({
      of: watched,
      field: 'device',
      expect: { missing: { max: 0.4 } },
      atLeast: 2,
    }),
    someoneWatches: check({ of: watched, expect: { fresh: '15m' } }),
  },
})
// #endregion
