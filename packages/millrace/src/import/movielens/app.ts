import {
  defineApp,
  event,
  float,
  id,
  int,
  item,
  person,
  signal,
  surface,
  text,
} from '@millrace/core'

const movie = item(
  'movie',
  {
    title: text().describe('as GroupLens writes it, with the year'),
    genres: text().many(),
    year: int().optional(),
    imdbId: text().optional(),
    tmdbId: text().optional(),
  },
  { description: 'a film' },
)

const rated = event(
  'rated',
  { person: id('person'), movie: id('movie'), rating: float({ min: 0, max: 5 }) },
  { key: 'person', description: 'a person gave a film half a star to five stars' },
)

const tagged = event(
  'tagged',
  { person: id('person'), movie: id('movie'), tag: text({ max: 1000 }) },
  { key: 'person', description: 'a person described a film by a word' },
)

const NEUTRAL_RATING = 2.5
const RATING_PER_WEIGHT = 1.5

/**
 * The built-in app for MovieLens. Four stars are an ordinary sign of interest (1), five a stronger
 * one (1.67), two and a half or less tell that the person does not want the film.
 */
export const movielensApp = defineApp({
  name: 'movielens',
  items: [movie],
  people: person({
    gender: text().optional().personal(),
    age: int({ min: 0, max: 150 }).optional().personal(),
    occupation: text().optional().personal(),
    zipCode: text().optional().personal(),
  }),
  events: [rated, tagged],
  signals: [
    signal(rated, {
      item: 'movie',
      weight: data => (data.rating - NEUTRAL_RATING) / RATING_PER_WEIGHT,
    }),
    signal(tagged, { item: 'movie', weight: 0.5 }),
  ],
  surfaces: { home: surface({ items: movie, explore: 0.05 }) },
})
