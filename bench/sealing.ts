/**
 * What sealing costs: the same events committed to a log in memory and read back twice, once with a
 * marked text and once with the same text unmarked, the two in turns. Processor time of the process in
 * microseconds for each event; the second read is that of another fold over the same records. Prints
 * one JSON object.
 *
 *   node bench/sealing.ts [--events 100000] [--people 5000] [--rounds 3]
 */
import { parseArgs } from 'node:util'
import {
  defineApp,
  event,
  id,
  int,
  personalEvents,
  systemClock,
  systemRandom,
  text,
} from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { openMemoryKeys, sealingLog } from '@millrace/log/sealing'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '100000' },
    people: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '3' },
  },
})
const EVENTS = Number(values.events)
const PEOPLE = Number(values.people)
const COMMIT_EVENTS = 500
const TEXT = 'a question of some length, as people ask them'

const fields = { person: id('person'), course: id('course'), seconds: int() }
const marked = event('asked', { ...fields, question: text().personal() }, { key: 'person' })
const plain = event('asked', { ...fields, question: text() }, { key: 'person' })

function openLog(definition: typeof marked): EventLog {
  const app = defineApp({ name: 'bench', events: [definition] })
  const stored = openMemoryLog({ clock: systemClock, queueBytesMax: 2 ** 30 })
  const keys = openMemoryKeys(systemRandom)
  return sealingLog(stored, { keys, random: systemRandom, personal: personalEvents(app), nested: new Map() }) // prettier-ignore
}

async function commitAll(log: EventLog): Promise<void> {
  await log.declare([{ name: 'person', partitions: 1 }])
  for (let from = 0; from < EVENTS; from += COMMIT_EVENTS) {
    const events = Array.from({ length: COMMIT_EVENTS }, (_, index) => {
      const number = from + index
      const person = `p${number % PEOPLE}`
      const data = { person, course: `c${number % 100}`, seconds: number, question: TEXT }
      return { stream: 'person', type: 'asked', key: person, id: `e${number}`, eventTimeMs: 1_700_000_000_000 + number, data } // prettier-ignore
    })
    await log.commit({ events })
  }
}

async function readAll(log: EventLog): Promise<void> {
  let length = 0
  for (let from = 0; from < EVENTS;) {
    const records = await log.read({ stream: 'person', partition: 0, from })
    for (const { data } of records) length += (data as { question: string }).question.length
    from += records.length
  }
  if (length !== EVENTS * TEXT.length) throw new Error('what was read is not what was sent')
}

/** Processor time of some work, microseconds for each event. */
async function costOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / EVENTS
}

type Costs = Record<'commit' | 'read' | 'readAgain', number[]>
const costs: Record<'sealed' | 'plain', Costs> = {
  sealed: { commit: [], read: [], readAgain: [] },
  plain: { commit: [], read: [], readAgain: [] },
}
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, definition] of [
    ['plain', plain],
    ['sealed', marked],
  ] as const) {
    const log = openLog(definition)
    costs[name].commit.push(await costOf(() => commitAll(log)))
    costs[name].read.push(await costOf(() => readAll(log)))
    costs[name].readAgain.push(await costOf(() => readAll(log)))
    await log.close()
  }
}
const median = (all: readonly number[]): number =>
  Number((all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] as number).toFixed(2))
const figures = ({ commit, read, readAgain }: Costs): Record<string, number> => ({
  commitMicros: median(commit),
  readMicros: median(read),
  readAgainMicros: median(readAgain),
})
console.log(JSON.stringify({ events: EVENTS, people: PEOPLE, plain: figures(costs.plain), sealed: figures(costs.sealed) })) // prettier-ignore
