/**
 * What the people of an audience do, one moment after the other in virtual time.
 *
 * A person comes in sessions (more in the evening of their own time zone), asks for a slate, goes
 * through it from the top, starts some of it, watches for a while, reacts now and then, asks for
 * more until tired: the chance to go on falls with the time spent, faster when nothing was worth a
 * start. Some sessions go to courses: continuing one, or looking for a new one. In between people
 * join and items are published, as Poisson processes.
 * Cost: about three microseconds an event without the recommender.
 */
import { createSimRandom, type SimRandom } from '../random.ts'
import { Catalogue, type AudienceItem, type Item } from './catalogue.ts'
import type { EventKind } from './events.ts'
import type { AudienceOptions } from './options.ts'
import { COURSES_AT_ONCE, Population, type AudiencePerson } from './people.ts'
import { Agenda } from './agenda.ts'
import { enrolChance, finishChance, leaveFraction, startChance, Taste } from './taste.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
/** Sessions by hour of the day, relative to the mean: a low in the night, a top in the evening. */
const HOURS: readonly number[] = [
  0.5, 0.3, 0.2, 0.15, 0.15, 0.25, 0.5, 0.8, 0.9, 0.9, 0.95, 1, 1.2, 1.1, 1, 1, 1.1, 1.3, 1.6, 1.9,
  2, 1.9, 1.4, 0.9,
]
const HOURS_MAX = 2
const LOOK_MS = 1_200
const CALENDAR = { person: -1, clip: -2, course: -3 } as const

/** What a person asks of the product. */
export interface RecommendRequest {
  readonly person: string
  readonly surface: string
  readonly n: number
  /** Milliseconds since the epoch, on the clock that also stamps the events. */
  readonly atMs: number
}

export type Slate = readonly { readonly id: string }[]
export type Recommend = (request: RecommendRequest) => Promise<Slate> | Slate

/** What the world needs while it runs. */
export interface Host {
  readonly recommend: Recommend
  readonly emit: (kind: EventKind, person: number, item: Item, amount: number) => void
  readonly publish: (item: AudienceItem) => void
  readonly register: (person: AudiencePerson) => void
  /** The time that leaves the world, for a moment of virtual time. */
  readonly stampMs: (atMs: number) => number
}

interface Session {
  readonly startedMs: number
  readonly isForCourses: boolean
  slate: readonly Item[]
  slateMs: number
  next: number
  started: number
  watching: Item | undefined
  fraction: number
  appeal: number
  studyMinutes: number
}

/** Sums over all that happened. */
export interface Tally {
  /** Slates of clips, and the sum over them of fractions watched. */
  clipSlates: number
  clipReward: number
  /** Slates of courses, and enrolments that followed. */
  courseSlates: number
  courseReward: number
  sessions: number
  /** Items of slates that are not in the catalogue, or of the other kind; nobody can start them. */
  unknownItems: number
}

/** The state of an audience. */
export class World {
  readonly options: AudienceOptions
  readonly catalogue: Catalogue
  readonly people: Population
  readonly taste: Taste
  readonly tally: Tally = {
    clipSlates: 0,
    clipReward: 0,
    courseSlates: 0,
    courseReward: 0,
    sessions: 0,
    unknownItems: 0,
  }
  nowMs: number
  readonly #random: SimRandom
  readonly #agenda = new Agenda()
  readonly #sessions = new Map<number, Session>()
  #onTaken: ((item: Item, fraction: number, atMs: number) => void) | undefined

  constructor(options: AudienceOptions) {
    this.options = options
    this.catalogue = new Catalogue(options)
    this.people = new Population(options)
    this.taste = new Taste(options, this.people)
    this.nowMs = options.startMs
    this.#random = createSimRandom(`audience/${options.seed}/behaviour`)
    for (let person = 0; person < this.people.count; person++) this.#comeBack(person)
    for (const who of Object.values(CALENDAR)) this.#planArrival(who)
  }

  get nextMs(): number {
    return this.#agenda.nextMs
  }

  /** Calls `listener` for each clip watched, with the fraction, and each course enrolled in, with 1. */
  onTaken(listener: (item: Item, fraction: number, atMs: number) => void): void {
    this.#onTaken = listener
  }

  /** Lets the next moment happen; a promise when the product answers with one. */
  step(host: Host): Promise<void> | void {
    this.nowMs = this.#agenda.nextMs
    const who = this.#agenda.take()
    if (who < 0) return this.#arrive(who, host)
    const session = this.#sessions.get(who)
    if (session === undefined) return this.#begin(who, host)
    if (session.studyMinutes > 0) return this.#concludeStudy(who, session, host)
    if (session.watching !== undefined) {
      this.#concludeWatch(who, session, session.watching, host)
      return this.#browse(who, session)
    }
    return this.#ask(who, session, host)
  }

  #arrive(who: number, host: Host): void {
    const stampMs = host.stampMs(this.nowMs)
    if (who === CALENDAR.person) {
      const person = this.people.add(this.nowMs, stampMs)
      host.register(this.people.shown[person] as AudiencePerson)
      this.#agenda.add(this.nowMs + this.#random.exponential(60_000), person)
    } else {
      const { catalogue } = this
      const isClip = who === CALENDAR.clip
      const item = isClip
        ? catalogue.addClip(this.nowMs, stampMs)
        : catalogue.addCourse(this.nowMs, stampMs)
      host.publish(item.shown)
    }
    this.#planArrival(who)
  }

  #planArrival(who: number): void {
    const { newPeoplePerDay, newClipsPerDay, newCoursesPerDay } = this.options
    const perDay =
      who === CALENDAR.person
        ? newPeoplePerDay
        : who === CALENDAR.clip
          ? newClipsPerDay
          : newCoursesPerDay
    if (perDay > 0) this.#agenda.add(this.nowMs + this.#random.exponential(DAY_MS / perDay), who)
  }

  /** Plans the next session: a Poisson process whose rate follows the hours of the day (thinning, Lewis and Shedler 1979). */
  #comeBack(person: number): void {
    const random = this.#random
    const perDay = (this.people.sessionsPerDay[person] as number) * HOURS_MAX
    const aheadMs = (this.people.hoursAhead[person] as number) * HOUR_MS
    let atMs = this.nowMs
    do atMs += random.exponential(DAY_MS / perDay)
    while (!random.chance(weightOf(atMs + aheadMs) / HOURS_MAX))
    this.#agenda.add(atMs, person)
  }

  #begin(person: number, host: Host): Promise<void> | void {
    const random = this.#random
    const hasCourses = this.catalogue.courses.length > 0
    const isForCourses = hasCourses && random.chance(this.people.courseShare[person] as number)
    const session: Session = {
      startedMs: this.nowMs,
      isForCourses,
      slate: [],
      slateMs: this.nowMs,
      next: 0,
      started: 0,
      watching: undefined,
      fraction: 0,
      appeal: 0,
      studyMinutes: 0,
    }
    this.#sessions.set(person, session)
    this.tally.sessions += 1
    const enrolled = this.people.courses[person] as readonly unknown[]
    if (isForCourses && enrolled.length > 0 && random.chance(0.7))
      return this.#study(person, session)
    return this.#ask(person, session, host)
  }

  #end(person: number): void {
    this.#sessions.delete(person)
    this.#comeBack(person)
  }

  #ask(person: number, session: Session, host: Host): Promise<void> | void {
    const { options } = this
    const answer = host.recommend({
      person: (this.people.shown[person] as AudiencePerson).id,
      surface: session.isForCourses ? options.courseSurface : options.clipSurface,
      n: options.slateSize,
      atMs: Math.floor(host.stampMs(this.nowMs)),
    })
    if (isPromise(answer)) return answer.then(slate => this.#receive(person, session, slate, host))
    this.#receive(person, session, answer, host)
  }

  #receive(person: number, session: Session, slate: Slate, host: Host): void {
    const items: Item[] = []
    for (const shown of slate) {
      const item = this.catalogue.resolve(shown)
      if (item === undefined || item.isClip === session.isForCourses) this.tally.unknownItems += 1
      else if (!items.includes(item)) items.push(item)
    }
    session.slate = items
    session.slateMs = this.nowMs
    session.next = 0
    session.started = 0
    if (session.isForCourses) return this.#browseCourses(person, session, host)
    this.tally.clipSlates += 1
    this.#browse(person, session)
  }

  /** Goes down the slate to the next clip that is started, or to the end. */
  #browse(person: number, session: Session): void {
    const random = this.#random
    const { slate } = session
    let lookedMs = 0
    while (session.next < slate.length) {
      const position = session.next++
      if (!random.chance(this.taste.examineChance(position))) continue
      lookedMs += LOOK_MS
      const item = slate[position] as Item
      const appeal = this.#judge(person, item, session.slateMs)
      if (!random.chance(startChance(appeal))) continue
      const isFinished = random.chance(finishChance(appeal))
      session.fraction = isFinished ? 1 : random.next() * 2 * leaveFraction(appeal)
      session.watching = item
      session.appeal = appeal
      session.started += 1
      const watchedMs = session.fraction * item.durationMs
      this.#agenda.add(this.nowMs + lookedMs + watchedMs, person)
      return
    }
    const spentMs = this.nowMs - session.startedMs
    const patience = Math.exp(-spentMs / (this.people.patienceMs[person] as number))
    const isGoingOn =
      slate.length > 0 && random.chance(patience * (session.started > 0 ? 0.92 : 0.5))
    if (isGoingOn) this.#agenda.add(this.nowMs + lookedMs + LOOK_MS, person)
    else this.#end(person)
  }

  #concludeWatch(person: number, session: Session, item: Item, host: Host): void {
    const random = this.#random
    const { fraction, appeal } = session
    session.watching = undefined
    this.people.remember(person, item.index)
    this.tally.clipReward += fraction
    this.#onTaken?.(item, fraction, this.nowMs)
    host.emit('watched', person, item, Math.max(1, Math.round(fraction * item.durationMs)))
    if (fraction > 0.8) {
      if (random.chance(0.25 * appeal * appeal)) host.emit('liked', person, item, 0)
      if (random.chance(0.05 * appeal * appeal)) host.emit('shared', person, item, 0)
    } else if (fraction < 0.15 && random.chance(0.2 * (1 - appeal) ** 2)) {
      host.emit('hid', person, item, 0)
    }
  }

  #browseCourses(person: number, session: Session, host: Host): void {
    const random = this.#random
    this.tally.courseSlates += 1
    const enrolled: Item[] = []
    for (const [position, item] of session.slate.entries()) {
      if (!random.chance(this.taste.examineChance(position))) continue
      const appeal = this.#judge(person, item, session.slateMs)
      if (random.chance(enrolChance(appeal))) enrolled.push(item)
    }
    const courses = this.people.courses[person] as { item: number; doneMs: number }[]
    for (const item of enrolled) {
      this.tally.courseReward += 1
      this.#onTaken?.(item, 1, this.nowMs)
      host.emit('enrolled', person, item, 0)
      if (courses.length === COURSES_AT_ONCE) courses.shift()
      courses.push({ item: item.index, doneMs: 0 })
    }
    if (enrolled.length > 0) this.#study(person, session)
    else this.#end(person)
  }

  #study(person: number, session: Session): void {
    session.studyMinutes = 10 + this.#random.integer(31)
    this.#agenda.add(this.nowMs + session.studyMinutes * 60_000, person)
  }

  /** Who finishes a course has learnt; who finds little in it may give it up. */
  #concludeStudy(person: number, session: Session, host: Host): void {
    const courses = this.people.courses[person] as { item: number; doneMs: number }[]
    const current = courses.at(-1) as { item: number; doneMs: number }
    const item = this.catalogue.items[current.item] as Item
    host.emit('studied', person, item, session.studyMinutes)
    current.doneMs += session.studyMinutes * 60_000
    const affinity = this.taste.affinity(person, item, this.nowMs)
    const isFinished = current.doneMs >= item.durationMs
    if (isFinished) this.people.learn(person, item.topics[0] as number, item.level)
    if (isFinished || this.#random.chance(0.2 * (1 - affinity))) {
      courses.pop()
      this.people.remember(person, item.index)
    }
    this.#end(person)
  }

  /** What the person makes of an item now: its appeal, or by chance anything. */
  #judge(person: number, item: Item, atMs: number): number {
    if (this.#random.chance(this.options.noise)) return this.#random.next()
    return this.taste.appeal(person, item, atMs)
  }
}

function weightOf(atMs: number): number {
  return HOURS[Math.floor((atMs % DAY_MS) / HOUR_MS)] ?? 1
}

function isPromise(answer: Promise<Slate> | Slate): answer is Promise<Slate> {
  return typeof (answer as Promise<Slate>).then === 'function'
}
