import {
  countView,
  event,
  id,
  int,
  item,
  oneOf,
  person,
  signal,
  sliding,
  surface,
  text,
  timestamp,
  tumbling,
  view,
  type AppOptions,
} from 'millrace'

const Clip = item('clip', {
  title: text(),
  topics: text().many(),
  creator: id('creator'),
  durationMs: int({ min: 1 }),
  publishedAt: timestamp(),
})

const Course = item('course', {
  title: text(),
  topics: text().many(),
  creator: id('creator'),
  level: oneOf('beginner', 'intermediate', 'advanced'),
  minutes: int({ min: 1 }),
  publishedAt: timestamp(),
})

const Viewer = person({
  name: text().personal(),
  country: text().optional(),
  joinedAt: timestamp(),
})

const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int({ min: 0 }) },
  { key: 'viewer', description: 'Someone watched a clip, to the end or not.' },
)
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const hid = event(
  'hid',
  { viewer: id('person'), clip: id('clip') },
  { key: 'viewer', description: 'Someone asked not to be shown this clip.' },
)
const enrolled = event(
  'enrolled',
  { learner: id('person'), course: id('course') },
  { key: 'learner' },
)
const studied = event(
  'studied',
  { learner: id('person'), course: id('course'), minutes: int({ min: 0 }) },
  { key: 'learner' },
)

/** Watching for this long counts as one full sign of interest. */
const INTERESTED_MS = 20_000

/** What the home page is made of. */
export const homeOptions = {
  items: Clip,
  limits: [{ field: 'creator', max: 2 }],
  explore: 0.05,
  description: 'The first page: clips for one person.',
} as const

/** The demo's product: short clips and longer courses. */
export const product = {
  name: 'demo',
  items: [Clip, Course],
  people: Viewer,
  events: [watched, liked, hid, enrolled, studied],
  signals: [
    signal(watched, { item: 'clip', weight: data => Math.min(2, data.watchedMs / INTERESTED_MS) }),
    signal(liked, { item: 'clip', weight: 2 }),
    signal(hid, { item: 'clip', weight: -1 }),
    signal(enrolled, { item: 'course', weight: 2 }),
    signal(studied, { item: 'course', weight: data => Math.min(2, data.minutes / 10) }),
  ],
  views: {
    plays: countView({ from: [watched], key: 'clip', description: 'Plays of a clip, ever.' }),
    playsLastDay: countView({ from: [watched], key: 'clip', window: sliding('1d') }),
    watchTime: view({
      description: 'Time watched and number of clips, per person.',
      from: [watched],
      key: 'viewer',
      initial: () => ({ clips: 0, watchedMs: 0 }),
      fold(state, { data }) {
        state.clips += 1
        state.watchedMs += data.watchedMs
      },
      invert(state, { data }) {
        state.clips -= 1
        state.watchedMs -= data.watchedMs
      },
    }),
    creatorHours: view({
      description: 'Time watched per clip and hour, with the creator as of then.',
      from: [watched],
      key: 'clip',
      join: { clip: Clip },
      window: tumbling('1h'),
      initial: () => ({ creator: '', watchedMs: 0 }),
      fold(state, { data }, { tables }) {
        state.creator = tables.clip(data.clip)?.creator ?? ''
        state.watchedMs += data.watchedMs
      },
    }),
    studyMinutes: view({
      description: 'Minutes studied per course.',
      from: [studied],
      key: 'course',
      initial: () => ({ sessions: 0, minutes: 0 }),
      fold(state, { data }) {
        state.sessions += 1
        state.minutes += data.minutes
      },
      invert(state, { data }) {
        state.sessions -= 1
        state.minutes -= data.minutes
      },
    }),
  },
  surfaces: {
    home: surface(homeOptions),
    courses: surface({
      items: Course,
      limits: [{ field: 'creator', max: 3 }],
      explore: 0.05,
      description: 'Courses for one person.',
    }),
  },
} satisfies AppOptions
