/**
 * What it costs to merge two people and to split them again: one has 10, 1,000 or 100,000 events of
 * history, the other ten, in the demo's product beside the history of others. From the call until every
 * view reflects it; then whether every key that they touched equals its rebuild, to the byte. Prints one
 * JSON object.
 *
 *   node bench/merge.ts [--others 100000] [--histories 10,1000,100000] [--rounds 3]
 *
 * Seconds are by the clock, with the processor time of the process beside them; of several rounds, each
 * with people of its own, the middle one. `records` is how many came to the log, those that stand in
 * for the events of the one under the other's id.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createSeededRandom, silentLogger } from '@millrace/core'
import { createAudience } from '@millrace/sim/audience'
import { defineApp, openMillrace } from 'millrace'
import { product } from '../apps/demo/src/app.ts'
import { short } from './http/processes.ts'

const { values } = parseArgs({
  options: {
    others: { type: 'string', default: '100000' },
    histories: { type: 'string', default: '10,1000,100000' },
    rounds: { type: 'string', default: '3' },
  },
})
const OTHERS = Number(values.others)
const ROUNDS = Number(values.rounds)
const PEOPLE = 2_000
const CLIPS = 1_000
const OWN_EVENTS = 10
const ROWS_AT_ONCE = 5_000
const WAIT_MS = 3_600_000
const random = createSeededRandom(5)
const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const millrace = await openMillrace({
  app: defineApp(product),
  data: directory,
  logger: silentLogger,
})
const { identities } = millrace.streams

async function send(rows: readonly object[]): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const part = rows.slice(at, at + ROWS_AT_ONCE).map(row => JSON.stringify(row))
    const { counts } = await millrace.trackLines(Buffer.from(part.join('\n')), { isHistory: true })
    if (counts.appended !== part.length) throw new Error('events were refused')
  }
}

const endSum = (): number => [...millrace.log.ends().values()].reduce((sum, end) => sum + end, 0)

async function settle(): Promise<void> {
  for (let before = -1; before !== endSum();) {
    before = endSum()
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: WAIT_MS })
  }
}

/** What the others do, and when it begins and ends. */
async function sendOthers(): Promise<readonly [number, number]> {
  const span: [number, number] = [Infinity, 0]
  const audience = createAudience({ seed: 12, people: PEOPLE, clips: CLIPS })
  for await (const { items, people, events } of audience.history({ eventsMax: OTHERS })) {
    const put = (kind: string, id: string, at: number, attributes: object): object => ({
      type: `${kind}.put`,
      at,
      data: { id, attributes },
    })
    for (const { atMs } of events) {
      span[0] = Math.min(span[0], atMs)
      span[1] = Math.max(span[1], atMs)
    }
    await send([
      ...items.map(({ kind, id, data }) => put(kind, id, data.publishedAt, data)),
      ...people.map(({ id, data }) => put('person', id, data.joinedAt, data)),
      ...events.map(({ type, id, atMs, data }) => ({ type, id, at: atMs, data })),
    ])
  }
  return span
}

const [fromMs, toMs] = await sendOthers()
const watchedBy = (viewer: string, events: number): object[] =>
  Array.from({ length: events }, (_, place) => ({
    type: 'watched',
    at: Math.floor(fromMs + ((toMs - fromMs) * place) / events),
    data: { viewer, clip: `clip-${1 + Math.floor(random.next() * CLIPS)}`, watchedMs: 20_000 },
  }))

interface Took {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly records: number
}

async function link(from: string, into: string | null): Promise<Took> {
  const [cpu, startMs, before] = [process.cpuUsage(), performance.now(), endSum()]
  const set = { links: [{ from, into }], reason: 'the same', by: 'bench' }
  const { results } = await identities.apply(set, { timeoutMs: WAIT_MS })
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  if (results[0]?.status !== 'changed') throw new Error(`it is ${results[0]?.status}`)
  // The record that says it is one of them.
  const records = endSum() - before - 1
  return { seconds: short(seconds), cpuSeconds: short((user + system) / 1e6), records }
}

/** How many keys of the two, in all folds of people, are not what a rebuild gives. */
async function unlikeRebuilds(keys: readonly string[]): Promise<number> {
  let unlike = 0
  for (const fold of ['profile', 'view.watchTime', 'feature.taste']) {
    unlike += (await millrace.streams.rebuild({ fold, keys })).different.length
  }
  return unlike
}

const middle = (rounds: readonly Took[]): Took =>
  [...rounds].sort((a, b) => a.seconds - b.seconds)[Math.floor(rounds.length / 2)] as Took

const costs: object[] = []
for (const events of values.histories.split(',').map(Number)) {
  const rounds: { merge: Took; split: Took }[] = []
  let unlike = 0
  for (let round = 0; round < ROUNDS; round++) {
    const [visitor, person] = [`visitor-${events}-${round}`, `known-${events}-${round}`]
    await send([...watchedBy(visitor, events), ...watchedBy(person, OWN_EVENTS)])
    await settle()
    const merge = await link(visitor, person)
    unlike += await unlikeRebuilds([visitor, person])
    const split = await link(visitor, null)
    unlike += await unlikeRebuilds([visitor, person])
    rounds.push({ merge, split })
    process.stderr.write(`${events} events: ${JSON.stringify({ merge, split, unlike })}\n`)
  }
  const merge = middle(rounds.map(each => each.merge))
  const split = middle(rounds.map(each => each.split))
  costs.push({ events, merge, split, unlikeRebuilds: unlike })
}
// All of everything, once.
const unlike: Record<string, number> = {}
for (const { name } of millrace.streams.status()) {
  const { different } = await millrace.streams.rebuild({ fold: name })
  if (different.length > 0) unlike[name] = different.length
}
await millrace.close()
rmSync(directory, { recursive: true })
process.stdout.write(
  `${JSON.stringify({
    bench: 'merge',
    others: OTHERS,
    rounds: ROUNDS,
    costs,
    unlikeRebuilds: unlike,
    residentMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
    loadAverage: loadavg().map(short),
  })}\n`,
)
