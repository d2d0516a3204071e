import type { SimRandom } from '../random.ts'
import { FIRST_NAMES, LAST_NAMES, type TopicWords } from './words.ts'

type Template = (words: {
  thing: string
  quality: string
  subject: string
  topic: string
}) => string

const CLIP_TEMPLATES: readonly Template[] = [
  w => `How to get ${a(w.thing)} right`,
  w => `The ${w.quality} ${w.thing} nobody talks about`,
  w => `${A(w.quality)} ${w.thing} in sixty seconds`,
  w => `I tried ${a(`${w.quality} ${w.thing}`)} for a week`,
  w => `Why this ${w.thing} works`,
  w => `Three mistakes with every ${w.thing}`,
  w => `${A(w.thing)}, explained`,
  w => `My ${w.quality} ${w.thing}, start to finish`,
  w => `Is ${a(`${w.quality} ${w.thing}`)} worth it?`,
  w => `${capital(w.quality)} or not? One ${w.thing}, two opinions`,
  w => `What ${a(w.thing)} taught me about ${w.subject}`,
  w => `Behind the scenes: the ${w.quality} ${w.thing}`,
  w => `${capital(w.subject)} tip: look at the ${w.thing}`,
  w => `From nothing to ${a(`${w.quality} ${w.thing}`)}`,
]

const COURSE_TEMPLATES: Readonly<Record<1 | 2 | 3, readonly Template[]>> = {
  1: [
    w => `${capital(w.subject)} from scratch`,
    w => `First steps in ${w.subject}`,
    w => `${capital(w.subject)}: your first ${w.thing}`,
    w => `A beginner's guide to ${w.subject}`,
  ],
  2: [
    w => `${capital(w.subject)} in practice`,
    w => `Better ${w.subject}: the ${w.quality} ${w.thing}`,
    w => `The ${w.subject} workshop`,
    w => `${capital(w.subject)} and the ${w.thing}: eight projects`,
  ],
  3: [
    w => `Mastering ${w.subject}`,
    w => `Advanced ${w.subject}: beyond the ${w.thing}`,
    w => `The ${w.subject} studio: ${w.quality} work, reviewed`,
    w => `${capital(w.subject)} for professionals`,
  ],
}

const CREATOR_TEMPLATES: readonly ((name: string, last: string, topic: string) => string)[] = [
  (name, last) => `${name} ${last}`,
  (name, _last, topic) => `${name} on ${topic}`,
  (_name, last, topic) => `${last} ${capital(topic)}`,
  (name, _last, topic) => `${capital(topic)} with ${name}`,
  (_name, last) => `Studio ${last}`,
]

/** A readable title of a clip on a topic. */
export function clipTitle(words: TopicWords, random: SimRandom): string {
  return fill(random.pick(CLIP_TEMPLATES), words, random)
}

/** A readable title of a course on a topic, which shows its level. */
export function courseTitle(words: TopicWords, level: 1 | 2 | 3, random: SimRandom): string {
  return fill(random.pick(COURSE_TEMPLATES[level]), words, random)
}

/** A person's name. */
export function personName(random: SimRandom): string {
  return `${random.pick(FIRST_NAMES)} ${random.pick(LAST_NAMES)}`
}

/** A creator's name, often after the topic. */
export function creatorName(topic: string, random: SimRandom): string {
  const name = random.pick(FIRST_NAMES)
  return random.pick(CREATOR_TEMPLATES)(name, random.pick(LAST_NAMES), topic)
}

function fill(template: Template, words: TopicWords, random: SimRandom): string {
  return template({
    thing: random.pick(words.things),
    quality: random.pick(words.qualities),
    subject: random.pick(words.subjects),
    topic: words.topic,
  })
}

/** The phrase with its article, chosen by sound for the words in our lists. */
function a(phrase: string): string {
  return /^(?:[aei]|hon|o(?!ne)|un)/i.test(phrase) ? `an ${phrase}` : `a ${phrase}`
}

/** The same at the start of a title. */
function A(phrase: string): string {
  return capital(a(phrase))
}

function capital(phrase: string): string {
  return phrase.charAt(0).toUpperCase() + phrase.slice(1)
}
