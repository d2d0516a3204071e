// #region app
import { defineApp, event, float, id, int, item, signal, surface, text } from 'millrace'

const movie = item('movie', {
  title: text(),
  year: int().optional(),
  genres: text().many(),
  imdbId: text().optional(),
  tmdbId: text().optional(),
})
const rated = event(
  'rated',
  { person: id('person'), movie: id('movie'), rating: float({ min: 0, max: 5 }) },
  { key: 'person' },
)
const tagged = event(
  'tagged',
  { person: id('person'), movie: id('movie'), tag: text({ max: 1000 }) },
  { key: 'person' },
)

export default defineApp({
  name: 'films',
  items: [movie],
  events: [rated, tagged],
  signals: [signal(rated, { item: 'movie', weight: data => (data.rating - 2.5) / 1.5 })],
  // Nothing is drawn by chance, so that lists can be compared.
  surfaces: { home: surface({ items: movie, explore: 0 }) },
})
// #endregion
