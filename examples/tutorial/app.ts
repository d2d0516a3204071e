// #region definition
import { countView, defineApp, event, id, int, item, signal, surface, text } from 'millrace'

const article = item('article', {
  title: text(),
  topics: text().many(),
  author: text().optional(),
})

const read = event(
  'read',
  { reader: id('person'), article: id('article'), seconds: int({ min: 0 }) },
  { key: 'reader' },
)

const saved = event(
  'saved',
  { reader: id('person'), article: id('article'), note: text().optional() },
  { key: 'reader' },
)

export const app = defineApp({
  name: 'reading',
  items: [article],
  events: [read, saved],
  signals: [
    signal(read, { item: 'article', weight: data => Math.min(3, data.seconds / 30) }),
    signal(saved, { item: 'article', weight: 2 }),
  ],
  views: {
    readers: countView({ from: [read, saved], key: 'article' }),
  },
  surfaces: {
    home: surface({ items: article, limits: [{ field: 'author', max: 1 }] }),
  },
})
// #endregion
