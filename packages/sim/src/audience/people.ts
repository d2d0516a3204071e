/**
 * The people of a simulated audience, in flat arrays: what they like, how often they come, what
 * they remember. A person costs about 500 bytes.
 *
 * Interests: each person has two to four lasting main topics, and passing interests that give way
 * to others over `driftDays`, smoothly, as a function of time alone, so that the truth about any
 * moment can be asked without replaying the simulation.
 */
import { createSimRandom, type SimRandom } from '../random.ts'
import { FACTORS, popularTopic } from './catalogue.ts'
import type { AudienceOptions } from './options.ts'
import { personName } from './titles.ts'
import { COUNTRIES } from './words.ts'

/** How many items a person remembers having met. */
export const MEMORY = 32
/** Courses that a person can be enrolled in at once. */
export const COURSES_AT_ONCE = 3
const DAY_MS = 86_400_000
const PASSING_TOPICS = 2
const PASSING_GAIN = 2.2

/** A person, as plain data. Times are milliseconds since the epoch. */
export interface AudiencePerson {
  readonly id: string
  readonly data: {
    readonly name: string
    /** Absent for people who did not say. */
    readonly country?: string
    readonly joinedAt: number
  }
}

/** All people, those who join later included. */
export class Population {
  readonly shown: AudiencePerson[] = []
  readonly #options: AudienceOptions
  readonly #byId = new Map<string, number>()
  /** Per person: mean sessions per day, hours ahead of UTC, patience of a session, share of sessions given to courses. */
  sessionsPerDay = new Float64Array(0)
  hoursAhead = new Float32Array(0)
  patienceMs = new Float64Array(0)
  courseShare = new Float32Array(0)
  factors = new Float32Array(0)
  /** Interests by person and topic; read a row through `interestsAt`. */
  interests = new Float32Array(0)
  /** Skill by topic, 0 to 3: which level of a course fits. */
  skills = new Float32Array(0)
  #phaseDays = new Float32Array(0)
  #salt = new Int32Array(0)
  #lasting = new Float32Array(0)
  #nowDay = new Float64Array(0)
  #memory = new Int32Array(0)
  #memoryNext = new Uint8Array(0)
  readonly courses: { item: number; doneMs: number }[][] = []

  constructor(options: AudienceOptions) {
    this.#options = options
    const random = createSimRandom(`audience/${options.seed}/joined`)
    for (let count = 0; count < options.people; count++) {
      this.add(options.startMs - random.between(0, 365 * DAY_MS))
    }
  }

  get count(): number {
    return this.shown.length
  }

  find(id: string): number | undefined {
    return this.#byId.get(id)
  }

  /** Adds a person, who depends only on the seed and on being the n-th. */
  add(joinedMs: number, shownMs = joinedMs): number {
    const { seed, topics, sessionsPerDay, names } = this.#options
    const person = this.shown.length
    this.#grow(person + 1)
    const random = createSimRandom(`audience/${seed}/person/${person}`)
    this.sessionsPerDay[person] = sessionsPerDay * Math.exp(0.8 * random.normal())
    this.patienceMs[person] = 480_000 * Math.exp(0.6 * random.normal())
    this.courseShare[person] = 0.5 * random.next() ** 2
    this.#phaseDays[person] = random.next() * this.#options.driftDays
    this.#salt[person] = random.integer(2 ** 31)
    for (let at = 0; at < FACTORS; at++) {
      this.factors[person * FACTORS + at] = random.normal() / Math.sqrt(FACTORS)
    }
    this.#formTastes(person, topics, random)
    const country = drawCountry(random)
    this.hoursAhead[person] = country.hours + random.between(-1.5, 1.5)
    const data = { name: personName(random), joinedAt: Math.floor(shownMs) }
    const isOpen = random.chance(0.8)
    const id = `${names.person}${person + 1}`
    this.shown.push({ id, data: isOpen ? { ...data, country: country.code } : data })
    this.#byId.set(id, person)
    this.courses.push([])
    return person
  }

  /** Where in `interests` the person's row begins, brought to the day of `atMs`: by topic about -1 (none) to 4. Changes once a day. */
  interestsAt(person: number, atMs: number): number {
    const day = Math.floor(atMs / DAY_MS)
    if (this.#nowDay[person] !== day) this.#moveTo(person, day)
    return person * this.#options.topics
  }

  isRemembered(person: number, item: number): boolean {
    const from = person * MEMORY
    for (let at = from; at < from + MEMORY; at++) if (this.#memory[at] === item) return true
    return false
  }

  remember(person: number, item: number): void {
    const at = this.#memoryNext[person] as number
    this.#memory[person * MEMORY + at] = item
    this.#memoryNext[person] = (at + 1) % MEMORY
  }

  isEnrolled(person: number, item: number): boolean {
    return (this.courses[person] as { item: number }[]).some(course => course.item === item)
  }

  /** What finishing a course of a level adds to the skill in its topic. */
  learn(person: number, topic: number, level: number): void {
    const at = person * this.#options.topics + topic
    this.skills[at] = Math.max(this.skills[at] as number, Math.min(3, level + 1))
  }

  skill(person: number, topic: number): number {
    return this.skills[person * this.#options.topics + topic] as number
  }

  #formTastes(person: number, topics: number, random: SimRandom): void {
    const from = person * topics
    for (let topic = 0; topic < topics; topic++) {
      this.#lasting[from + topic] = -0.6 + 0.4 * random.normal()
      this.skills[from + topic] = random.next() ** 3
    }
    for (let main = 2 + random.integer(3); main > 0; main--) {
      const topic = from + popularTopic(topics, random)
      this.#lasting[topic] = 1.2 + random.next()
      this.skills[topic] = 2.5 * random.next()
    }
  }

  /** Computes the interests of a day: the lasting ones and two neighbouring sets of passing ones, blended. */
  #moveTo(person: number, day: number): void {
    const { topics, drift, driftDays } = this.#options
    const from = person * topics
    for (let at = from; at < from + topics; at++) this.interests[at] = this.#lasting[at] as number
    const turn = (day + (this.#phaseDays[person] as number)) / driftDays
    const epoch = Math.floor(turn)
    const blend = turn - epoch
    this.#addPassing(person, epoch, drift * PASSING_GAIN * (1 - blend))
    this.#addPassing(person, epoch + 1, drift * PASSING_GAIN * blend)
    this.#nowDay[person] = day
  }

  #addPassing(person: number, epoch: number, gain: number): void {
    const { topics } = this.#options
    for (let each = 0; each < PASSING_TOPICS; each++) {
      const topic = mix((this.#salt[person] as number) + each, epoch) % topics
      const at = person * topics + topic
      this.interests[at] = (this.interests[at] as number) + gain
    }
  }

  #grow(count: number): void {
    const room = this.sessionsPerDay.length
    if (count <= room) return
    const size = Math.max(count, this.#options.people, Math.ceil(room * 1.5))
    const { topics } = this.#options
    this.sessionsPerDay = copyInto(new Float64Array(size), this.sessionsPerDay)
    this.hoursAhead = copyInto(new Float32Array(size), this.hoursAhead)
    this.patienceMs = copyInto(new Float64Array(size), this.patienceMs)
    this.courseShare = copyInto(new Float32Array(size), this.courseShare)
    this.factors = copyInto(new Float32Array(size * FACTORS), this.factors)
    this.skills = copyInto(new Float32Array(size * topics), this.skills)
    this.#phaseDays = copyInto(new Float32Array(size), this.#phaseDays)
    this.#salt = copyInto(new Int32Array(size), this.#salt)
    this.#lasting = copyInto(new Float32Array(size * topics), this.#lasting)
    this.interests = copyInto(new Float32Array(size * topics), this.interests)
    this.#nowDay = copyInto(new Float64Array(size).fill(-1), this.#nowDay)
    this.#memory = copyInto(new Int32Array(size * MEMORY).fill(-1), this.#memory)
    this.#memoryNext = copyInto(new Uint8Array(size), this.#memoryNext)
  }
}

function copyInto<T extends Float32Array | Float64Array | Int32Array | Uint8Array>(
  target: T,
  source: T,
): T {
  target.set(source)
  return target
}

function drawCountry(random: SimRandom): { code: string; hours: number } {
  let rest = random.next()
  for (const country of COUNTRIES) {
    rest -= country.share
    if (rest < 0) return country
  }
  return COUNTRIES[0] as { code: string; hours: number }
}

/** Mixes two whole numbers into an unsigned one (finisher of MurmurHash3). */
function mix(a: number, b: number): number {
  let value = Math.imul(a, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca77)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
