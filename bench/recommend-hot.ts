/**
 * What one answer costs in process. Prints one JSON object.
 *
 *   node bench/recommend-hot.ts [--items 3500] [--people 2000] [--answers 20000] [--explore 0.05]
 *
 * People have at least 20 interactions each, drawn with popularity falling as 1/rank within tastes;
 * 20 items are asked for. `answer`: the answer with its exposure queued; `answerWithToken`: the
 * signed token read as well; `answerBytes`: what HTTP sends, token included; `afterEvent`: an event of the person before each answer, its fold
 * included. Medians of five rounds, microseconds of processor time (garbage collection included), so
 * that what else runs on the machine counts little; `wall` is the elapsed time of `answer`.
 */
import { parseArgs } from 'node:util'
import { createSeededRandom } from '@millrace/core'
import { measuredApp, openDirect } from './recommend/direct.ts'

const { values } = parseArgs({
  options: {
    items: { type: 'string', default: '3500' },
    people: { type: 'string', default: '2000' },
    answers: { type: 'string', default: '20000' },
    explore: { type: 'string', default: '0.05' },
  },
})
const items = Number(values.items)
const people = Number(values.people)
const answers = Number(values.answers)
const ROUNDS = 5
const HISTORY = 60

const random = createSeededRandom(1)
const product = await openDirect(measuredApp(Number(values.explore)), random)
for (let item = 0; item < items; item++) {
  product.put(`f${item}`, { title: `Film ${item}`, genres: [`g${item % 20}`, `h${item % 7}`] })
}

/** An item of a person's taste: one of eight parts of the catalogue, popular ones far more often. */
function draw(person: number): string {
  const part = random.next() < 0.8 ? person % 8 : Math.floor(random.next() * 8)
  const rank = Math.floor(Math.exp(random.next() * Math.log(items / 8)))
  return `f${(rank * 8 + part) % items}`
}

let timeMs = 1_700_000_000_000
const eventsStartMs = performance.now()
for (let round = 0; round < HISTORY; round++) {
  for (let person = 0; person < people; person++) {
    product.act(`p${person}`, draw(person), (timeMs += 100))
  }
}
const eventMicroseconds = ((performance.now() - eventsStartMs) * 1_000) / (HISTORY * people)

const { recommendations } = product

const wallMicroseconds: number[] = []

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return Number((sorted[sorted.length >> 1] as number).toFixed(1))
}

/** Microseconds for each answer, the median of the rounds; lets exposures be written between slices. */
async function measure(ask: (person: string, number: number) => number): Promise<number> {
  const processor: number[] = []
  const wall: number[] = []
  let sink = 0
  for (let round = 0; round <= ROUNDS; round++) {
    let spent = 0
    let spentMs = 0
    for (let done = 0; done < answers;) {
      const before = process.cpuUsage()
      const startMs = performance.now()
      for (let slice = 0; slice < 100 && done < answers; slice++, done++) {
        sink += ask(`p${done % people}`, done)
      }
      spentMs += performance.now() - startMs
      const used = process.cpuUsage(before)
      spent += used.user + used.system
      await recommendations.flush()
    }
    // The first round warms up.
    if (round === 0) continue
    processor.push(spent / answers)
    wall.push((spentMs * 1_000) / answers)
  }
  if (sink === 0) throw new Error('nothing was recommended')
  wallMicroseconds.push(median(wall))
  return median(processor)
}

const answer = await measure(person => recommendations.recommend('home', { person }).items.length)
const forYouOnly = await measure(
  person => recommendations.recommend('forYou', { person }).items.length,
)
const cold = await measure(
  (_, number) => recommendations.recommend('home', { person: `new${number}` }).items.length,
)
const answerWithToken = await measure(
  person => recommendations.recommend('home', { person }).token.length,
)
const answerBytes = await measure(person => product.answerBytes('home', { person }).length)
const explained = await measure(
  person => recommendations.recommend('home', { person, explain: true }).items.length,
)
const afterEvent = await measure((person, number) => {
  product.act(person, draw(number), (timeMs += 100))
  return recommendations.recommend('home', { person }).items.length
})
console.log(
  JSON.stringify(
    {
      bench: 'recommend-hot',
      items,
      people,
      interactionsPerPerson: HISTORY,
      n: 20,
      explore: Number(values.explore),
      eventMicroseconds: Number(eventMicroseconds.toFixed(1)),
      wall: wallMicroseconds[0],
      microseconds: {
        answer,
        forYouOnly,
        cold,
        answerWithToken,
        answerBytes,
        explained,
        afterEvent,
      },
      residentMegabytes: Math.round(process.memoryUsage().rss / 2 ** 20),
    },
    null,
    2,
  ),
)
