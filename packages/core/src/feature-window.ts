import { durationMs, type Duration } from './duration.ts'

/**
 * What of time a feature looks at: the last so much of it (`'7d'`, in steps of a 24th), the
 * calendar-aligned span that the moment is in (`{ tumbling: '1d' }`), all of it, or the session that
 * the moment is in: its events, none of which is further than the gap from the one before. A session
 * looks back by `max` (default `'1d'`), in steps of the gap.
 */
export type FeatureWindow =
  | 'lifetime'
  | Duration
  | { sliding: Duration; step?: Duration }
  | { tumbling: Duration }
  | { session: Duration; max?: Duration }

/** A window as tiles: `count` tiles of `stepMs` up to that of the moment; one tile that never ends for `lifetime`. */
export interface TiledWindow {
  readonly stepMs: number
  readonly count: number
  /** Of a session: how long after an event it ends. Equal to `stepMs`, so that no session ends within a tile. */
  readonly gapMs?: number
}

/** Tiles of the default step: those of a window of seven days are seven hours long. */
const TILES = 24
const SESSION_MAX: Duration = '1d'

/** Tiles of a window; throws DURATION_INVALID. */
export function tiledWindow(window: FeatureWindow): TiledWindow {
  if (window === 'lifetime') return { stepMs: Infinity, count: 1 }
  if (typeof window !== 'object') return tiledWindow({ sliding: window })
  if ('tumbling' in window) return { stepMs: durationMs(window.tumbling), count: 1 }
  if ('session' in window) {
    const gapMs = durationMs(window.session)
    // The oldest step is not whole.
    const count = Math.ceil(durationMs(window.max ?? SESSION_MAX) / gapMs) + 1
    return { stepMs: gapMs, count, gapMs }
  }
  const sizeMs = durationMs(window.sliding)
  const stepMs = window.step === undefined ? Math.ceil(sizeMs / TILES) : durationMs(window.step)
  return { stepMs, count: Math.ceil(sizeMs / stepMs) }
}
