import {
  attributeOf,
  countView,
  crossed,
  derive,
  event,
  featureService,
  featureView,
  id,
  int,
  item,
  oneOf,
  person,
  ranker,
  signal,
  surface,
  text,
  timestamp,
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

/** What is known of a clip from everybody's plays. */
const clipStats = featureView({
  from: [watched],
  key: 'clip',
  owner: 'ranking',
  features: f => ({
    plays: f.count({ window: 'lifetime' }),
    plays1d: f.count({ window: '1d' }),
    watchedMs: f.sum({ window: 'lifetime', of: 'watchedMs' }),
  }),
})

/** What is known of a course from everybody's sessions. */
const courseStats = featureView({
  from: [studied],
  key: 'course',
  owner: 'ranking',
  features: f => ({
    sessions: f.count({ window: 'lifetime' }),
    minutes: f.sum({ window: 'lifetime', of: 'minutes' }),
  }),
})

/** What a person makes of the topics and the creators of clips. */
const taste = featureView({
  from: [watched, liked, hid],
  key: 'viewer',
  join: { clip: Clip },
  pair: {
    name: 'trait',
    of(e, { clip }) {
      const about = clip(e.data.clip)
      return about === undefined ? undefined : [...about.topics, about.creator]
    },
  },
  owner: 'ranking',
  features: f => ({
    plays: f.count({ window: 'lifetime', where: e => e.type === 'watched' }),
    finished: f.sum({
      window: 'lifetime',
      of: (e, { clip }) =>
        e.type === 'watched'
          ? Math.min(1, e.data.watchedMs / (clip(e.data.clip)?.durationMs ?? Infinity))
          : undefined,
      description: 'Clips watched, each counted as the part of it that was watched.',
    }),
    likes: f.count({ window: 'lifetime', where: e => e.type === 'liked' }),
    hides: f.count({ window: 'lifetime', where: e => e.type === 'hid' }),
  }),
})

const topicsOfClip = attributeOf(Clip, 'topics')
const creatorOfClip = attributeOf(Clip, 'creator')
const topicsOfCourse = attributeOf(Course, 'topics')
const HOUR_MS = 3_600_000

/** What the home page reads of a person and a clip. */
const homeRanking = featureService({
  entities: ['person', 'clip'],
  owner: 'ranking',
  features: {
    topicPlays: crossed(taste.features.plays, topicsOfClip, 'sum'),
    topicFinished: crossed(taste.features.finished, topicsOfClip, 'sum'),
    topicLikes: crossed(taste.features.likes, topicsOfClip, 'sum'),
    creatorPlays: crossed(taste.features.plays, creatorOfClip, 'sum'),
    creatorFinished: crossed(taste.features.finished, creatorOfClip, 'sum'),
    creatorHides: crossed(taste.features.hides, creatorOfClip, 'sum'),
    plays: clipStats.features.plays,
    plays1d: clipStats.features.plays1d,
    finishedShare: derive(
      {
        plays: clipStats.features.plays,
        watchedMs: clipStats.features.watchedMs,
        durationMs: attributeOf(Clip, 'durationMs'),
      },
      // As if ten plays more had seen a third of it.
      ({ plays, watchedMs, durationMs }) => (watchedMs / durationMs + 10 / 3) / (plays + 10),
      { default: 1 / 3 },
    ),
    ageHours: derive(
      { publishedAt: attributeOf(Clip, 'publishedAt') },
      ({ publishedAt }, { atMs }) => Math.max(0, atMs - publishedAt) / HOUR_MS,
      { default: 0 },
    ),
  },
})

/** What the page of courses reads of a person and a course. */
const courseRanking = featureService({
  entities: ['person', 'course'],
  owner: 'ranking',
  features: {
    topicPlays: crossed(taste.features.plays, topicsOfCourse, 'sum'),
    topicFinished: crossed(taste.features.finished, topicsOfCourse, 'sum'),
    sessions: courseStats.features.sessions,
    minutes: courseStats.features.minutes,
  },
})

/** What the home page is made of. */
export const homeOptions = {
  items: Clip,
  ranker: ranker({
    service: homeRanking,
    terms: {
      topics: row => 3 * ((row.topicFinished + 1) / (row.topicPlays + 3) - 1 / 3) + 0.3 * Math.log1p(row.topicPlays) + 0.2 * Math.log1p(row.topicLikes), // prettier-ignore
      creator: row => 2 * ((row.creatorFinished + 1) / (row.creatorPlays + 3) - 1 / 3) - row.creatorHides, // prettier-ignore
      quality: row => 4 * (row.finishedShare - 1 / 3),
      popular: row => 0.1 * Math.log1p(row.plays) + 0.1 * Math.log1p(row.plays1d),
      fresh: row => 0.9 * Math.exp(-row.ageHours / 72),
    },
  }),
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
  },
  features: { clipStats, courseStats, taste, homeRanking, courseRanking },
  surfaces: {
    home: surface(homeOptions),
    courses: surface({
      items: Course,
      ranker: ranker({
        service: courseRanking,
        terms: {
          topics: row => 3 * ((row.topicFinished + 1) / (row.topicPlays + 3) - 1 / 3) + 0.3 * Math.log1p(row.topicPlays), // prettier-ignore
          popular: row => 0.3 * Math.log1p(row.sessions) + 0.1 * Math.log1p(row.minutes),
        },
      }),
      limits: [{ field: 'creator', max: 3 }],
      explore: 0.05,
      description: 'Courses for one person.',
    }),
  },
} satisfies AppOptions
