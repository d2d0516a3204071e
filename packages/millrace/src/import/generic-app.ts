import {
  defineApp,
  event,
  float,
  id,
  int,
  item,
  signal,
  surface,
  text,
  timestamp,
} from '@millrace/core'

const thing = item(
  'item',
  {
    title: text().optional(),
    topics: text().many().optional(),
    creator: text({ max: 1000 }).optional(),
    description: text({ max: 100_000 }).optional(),
    url: text().optional(),
    durationMs: int({ min: 0 }).optional(),
    publishedAt: timestamp().optional(),
  },
  { description: 'what is recommended' },
)

const interacted = event(
  'interacted',
  { person: id('person'), item: id('item'), value: float().optional() },
  { key: 'person', description: 'a person did something with an item' },
)

const WEIGHT_MAX = 5

/**
 * The built-in app for files of which nothing is known: people, items, and a value that says how
 * much the person liked it (1 when absent; 0 or less: not at all).
 */
export const genericApp = defineApp({
  name: 'interactions',
  items: [thing],
  events: [interacted],
  signals: [
    signal(interacted, {
      item: 'item',
      weight: data => Math.max(-WEIGHT_MAX, Math.min(WEIGHT_MAX, data.value ?? 1)),
    }),
  ],
  surfaces: { home: surface({ items: thing, explore: 0.05 }) },
})
