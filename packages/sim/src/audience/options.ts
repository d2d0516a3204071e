import { simErrors } from '../errors.ts'
import { TOPICS } from './words.ts'

/** Names in what the audience emits; the defaults are those of the demo product. */
export interface AudienceNames {
  /** Prefixes of ids; a number from 1 follows. */
  readonly person: string
  readonly clip: string
  readonly course: string
  readonly creator: string
  /** Event types. `shared` is not emitted unless it is named. */
  readonly watched: string
  readonly liked: string
  readonly hid: string
  readonly shared: string | undefined
  readonly studied: string
  readonly enrolled: string
  /** Members of event data: who and what. */
  readonly viewer: string
  readonly clipMember: string
  readonly learner: string
  readonly courseMember: string
}

/** The names of the demo product. */
export const DEFAULT_NAMES: AudienceNames = {
  person: 'p',
  clip: 'clip-',
  course: 'course-',
  creator: 'creator-',
  watched: 'watched',
  liked: 'liked',
  hid: 'hid',
  shared: undefined,
  studied: 'studied',
  enrolled: 'enrolled',
  viewer: 'viewer',
  clipMember: 'clip',
  learner: 'learner',
  courseMember: 'course',
}

/** What can be chosen about an audience; every member has a default. */
export interface AudienceOptions {
  /** Everything follows from it. Default 1. */
  readonly seed: number | string
  /** Virtual time at which it begins, milliseconds since the epoch. Default the first instant of 2026. */
  readonly startMs: number
  /** People at the start. Default 500. */
  readonly people: number
  /** Clips at the start. Default 1,200. */
  readonly clips: number
  /** Courses at the start. Default 80. */
  readonly courses: number
  /** Creators; fixed. Default 60. */
  readonly creators: number
  /** Topics used, at most 20. Default 20. */
  readonly topics: number
  /** People who join per day of virtual time. Default 1 % of the people at the start. */
  readonly newPeoplePerDay: number
  /** Clips published per day. Default 2 % of the clips at the start. */
  readonly newClipsPerDay: number
  /** Courses published per day. Default 0.5 % of the courses at the start. */
  readonly newCoursesPerDay: number
  /** Sessions of the median person per day. Default 1. */
  readonly sessionsPerDay: number
  /** Items asked for at once. Default 10. */
  readonly slateSize: number
  /** Exponent of position bias: position k (from 0) is examined with chance (1 + k)^-bias. Default 0.7. */
  readonly positionBias: number
  /** Chance that a person judges an item at random instead of by taste. Default 0.1. */
  readonly noise: number
  /** Weight of passing interests against lasting ones; 0 for people who never change. Default 1. */
  readonly drift: number
  /** Days over which one passing interest gives way to the next. Default 21. */
  readonly driftDays: number
  /** Whether events carry ids that are ordered by time (UUID version 8). Default true. */
  readonly hasEventIds: boolean
  /** Surface asked for clips. Default 'home'. */
  readonly clipSurface: string
  /** Surface asked for courses. Default 'courses'. */
  readonly courseSurface: string
  readonly names: AudienceNames
}

/** Fills in the defaults and refuses values without sense (SIM_OPTION_INVALID). */
export function resolveOptions(
  given: Partial<Omit<AudienceOptions, 'names'>> & { names?: Partial<AudienceNames> },
): AudienceOptions {
  const people = given.people ?? 500
  const clips = given.clips ?? 1_200
  const courses = given.courses ?? 80
  const options: AudienceOptions = {
    seed: 1,
    startMs: Date.UTC(2026, 0, 1),
    people,
    clips,
    courses,
    creators: 60,
    topics: TOPICS.length,
    newPeoplePerDay: people * 0.01,
    newClipsPerDay: clips * 0.02,
    newCoursesPerDay: courses * 0.005,
    sessionsPerDay: 1,
    slateSize: 10,
    positionBias: 0.7,
    noise: 0.1,
    drift: 1,
    driftDays: 21,
    hasEventIds: true,
    clipSurface: 'home',
    courseSurface: 'courses',
    ...given,
    names: { ...DEFAULT_NAMES, ...given.names },
  }
  check(options)
  return options
}

function check(options: AudienceOptions): void {
  const wholeFrom = (name: keyof AudienceOptions, least: number, most = 1e9): void => {
    const value = options[name]
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return
    refuse(name, `it must be a whole number from ${least} to ${most}`)
  }
  const atLeast = (name: keyof AudienceOptions, least: number, most = Infinity): void => {
    const value = options[name] as number
    if (!(value >= least && value <= most && value < Infinity)) {
      refuse(name, `it must be a number from ${least} to ${most}`)
    }
  }
  wholeFrom('people', 1)
  wholeFrom('clips', 1)
  wholeFrom('courses', 0)
  wholeFrom('creators', 1)
  wholeFrom('topics', 2, TOPICS.length)
  wholeFrom('slateSize', 1, 1_000)
  atLeast('startMs', 0)
  atLeast('newPeoplePerDay', 0)
  atLeast('newClipsPerDay', 0)
  atLeast('newCoursesPerDay', 0)
  atLeast('sessionsPerDay', Number.MIN_VALUE)
  atLeast('positionBias', 0)
  atLeast('noise', 0, 1)
  atLeast('drift', 0)
  atLeast('driftDays', Number.MIN_VALUE)
}

function refuse(option: string, reason: string): never {
  throw simErrors.create('SIM_OPTION_INVALID', { option, reason })
}
