/**
 * The promise of the product in a minute and a half: a ring of bots poisons the trending list; its
 * events are selected, looked at, taken back by a changeset; the server is killed half-way and started
 * again; afterwards every fold holds, hash for hash, what the same log without those events gives. Then
 * a rule of the home surface is changed and the week's requests are answered again by it: the predicted
 * gain stands beside the true one, which the simulator knows.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger, systemClock } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import {
  EXPOSURES,
  partsOfKey,
  type Exposure,
  type BacktestReport,
  type ChangesetView,
  type DryRun,
} from '@millrace/product'
import { openMillrace, type Millrace } from 'millrace'
import { gainOf, type Difference } from '../../apps/demo/src/truth.ts'
import { makeHistory, type History, type HistoryOptions, type Ring } from './history.ts'
import { runBacktest, startServer, until, type Server } from './processes.ts'
import { app, EXPLORE_AFTER, EXPLORE_BEFORE } from './product.ts'
import { statesWithout, type FoldState } from './states.ts'

const CHANGESET = '/v1/changesets/ring'
const TRENDING_SHOWN = 10
const HOUR_MS = 3_600_000
/** The list that everybody shares is kept for a moment; it is asked for so often before it is believed. */
const LIST_TRIES = 250
const SAMPLES = 3

/** What is told. */
export interface RewindReport {
  readonly events: number
  readonly answers: number
  readonly ring: { readonly accounts: number; readonly events: number; readonly clips: number }
  /** Clips of the ring among the ten that trend. */
  readonly trending: { readonly poisoned: number; readonly afterwards: number }
  /** Who is behind the first of them, of the newest events that an explanation names. */
  readonly behind: { readonly events: number; readonly ofTheRing: number }
  readonly dryRun: Pick<DryRun, 'effects' | 'consequences'>
  readonly killed: { readonly corrections: number; readonly hadEnded: boolean }
  readonly folds: readonly (FoldState & { readonly rebuilt: string })[]
  readonly areEqual: boolean
  /** What people did because they were shown a clip of the ring. */
  readonly stays: { readonly answers: number; readonly people: number; readonly events: number }
  readonly backtest: {
    readonly answers: number
    /** Answers that the unchanged definition gives otherwise. */
    readonly differentUnchanged: number
    readonly different: number
    readonly predicted: { readonly value: number; readonly low: number; readonly high: number }
    readonly truth: number
  }
  /** Seconds by the clock, by step. */
  readonly seconds: Readonly<Record<string, number>>
}

/** Tells the story on a data directory that is empty. */
export async function rewind(
  data: string,
  options: HistoryOptions,
  say: (line: string) => void,
): Promise<RewindReport> {
  const seconds: Record<string, number> = {}
  const timed = async <Value>(step: string, work: () => Promise<Value>): Promise<Value> => {
    const startMs = systemClock.monotonicMs()
    const value = await work()
    seconds[step] = Math.round((systemClock.monotonicMs() - startMs) / 100) / 10
    return value
  }
  const history = await timed('history', () => makeHistory(app, data, options))
  const { ring } = history
  say(`A week of a product: ${told(history.events)} events, ${told(history.answers)} answers to ${told(options.people)} people.`) // prettier-ignore
  say(`In its last day ${told(ring.bots.length)} accounts play ${ring.clips.length} clips ${told(ring.events)} times.`) // prettier-ignore
  const shiftMs = Math.round(history.endMs - systemClock.nowMs())
  const first = await startServer(data, shiftMs)
  const before = await trendingClips(first, ring, poisoned => poisoned > 0)
  const { poisoned } = before
  say(`Of the ${TRENDING_SHOWN} clips that trend, ${poisoned} are theirs:`)
  for (const { attributes } of before.items.slice(0, SAMPLES)) say(`  ${attributes?.title}`)
  const behind = await timed('explain', () => whoIsBehind(first, ring))
  say(`Why is that? Of the newest ${behind.events} events behind the first, ${behind.ofTheRing} are by accounts of the ring.`) // prettier-ignore

  const dryRun = await timed('dryRun', () => plan(first, ring))
  say('')
  say(`The changeset would retract ${told(dryRun.effects)} events:`)
  for (const { what, count, samples = [] } of dryRun.consequences) {
    say(`  ${told(count).padStart(7)}  ${what}, such as ${samples.slice(0, SAMPLES).join(', ')}`)
  }
  const killed = await timed('apply', () => applyAndKill(first))
  say('')
  say(`It is applied. With ${told(killed.corrections)} records of corrections on the disk and the views on their way, the process is killed with SIGKILL.`) // prettier-ignore
  const { states, afterwards } = await timed('resume', () => resume({ data, shiftMs }, ring))
  say(`Started again, it went on by itself, and is done: ${told(dryRun.effects)} events are retracted.`) // prettier-ignore
  const { folds, stays } = await timed('rebuild', () => compare(data, ring, states))
  const areEqual = folds.every(({ hash, rebuilt }) => hash === rebuilt)
  say('')
  say('Every fold, and the same log folded without those events, by SHA-256:')
  for (const { fold, keys, hash, rebuilt } of folds) {
    const verdict = hash === rebuilt ? 'equal' : `NOT EQUAL ${rebuilt.slice(0, 16)}`
    say(`  ${fold.padEnd(28)} ${told(keys).padStart(7)} keys  ${hash.slice(0, 16)}  ${verdict}`)
  }
  say(`Of the ${TRENDING_SHOWN} clips that trend, ${afterwards} are theirs now.`)
  say(`What stays: ${told(stays.answers)} answers had shown their clips to ${told(stays.people)} people, who watched them ${told(stays.events.length)} times:`) // prettier-ignore
  for (const line of stays.events.slice(0, SAMPLES)) say(`  ${line}`)

  const backtest = await timed('backtest', () => predict(data, history))
  const { predicted, truth } = backtest
  say('')
  say(`Then a rule of the home surface is changed: ${percent(EXPLORE_AFTER)} of the slots explore, not ${percent(EXPLORE_BEFORE)}.`) // prettier-ignore
  say(`The definition that answered gives ${told(backtest.answers)} answers of the week again, ${backtest.differentUnchanged} of them otherwise; the changed one ${told(backtest.different)}.`) // prettier-ignore
  say(`Predicted gain: ${points(predicted.value)} of the slots watched, 95 % between ${points(predicted.low)} and ${points(predicted.high)}.`) // prettier-ignore
  say(`True gain, which the simulator knows: ${points(truth)}.`)
  return {
    events: history.events,
    answers: history.answers,
    ring: { accounts: ring.bots.length, events: ring.events, clips: ring.clips.length },
    trending: { poisoned, afterwards },
    behind,
    dryRun: { effects: dryRun.effects, consequences: dryRun.consequences },
    killed,
    folds,
    areEqual,
    stays: { ...stays, events: stays.events.length },
    backtest,
    seconds,
  }
}

interface Trending {
  readonly items: readonly {
    readonly id: string
    readonly attributes?: { readonly title: string }
  }[]
}

const told = (count: number): string => count.toLocaleString('en')
const percent = (share: number): string => `${Math.round(share * 100)} %`
const points = (share: number): string => `${share < 0 ? '' : '+'}${(share * 100).toFixed(2)} points` // prettier-ignore

/** The list that everybody shares, and how many clips of it are the ring's: when it is as expected. */
async function trendingClips(
  server: Server,
  { clips }: Ring,
  isExpected: (poisoned: number) => boolean,
): Promise<Trending & { readonly poisoned: number }> {
  const ask = async (): Promise<Trending & { readonly poisoned: number }> => {
    const { items } = await server.ask<Trending>(
      'GET',
      `/v1/trending?kind=clip&n=${TRENDING_SHOWN}`,
    )
    return { items, poisoned: items.filter(({ id }) => clips.includes(id)).length }
  }
  return until(ask, ({ poisoned }) => isExpected(poisoned), LIST_TRIES)
}

/** Asks of an answer that shows a clip of the ring which events made it trend. */
async function whoIsBehind(server: Server, { bots, clips }: Ring): Promise<RewindReport['behind']> {
  const { answerId, items } = await server.ask<{ answerId: string; items: readonly { id: string }[] }>('GET', '/v1/surfaces/home/recommendations?person=newcomer') // prettier-ignore
  const shown = items.find(({ id }) => clips.includes(id))?.id ?? clips[0]
  const { events } = await server.ask<{ events: readonly { person?: string }[] }>('GET', `/v1/answers/${answerId}/events?item=clip/${shown}&stage=trending&limit=100`) // prettier-ignore
  const ring = new Set(bots)
  return {
    events: events.length,
    ofTheRing: events.filter(({ person }) => ring.has(person ?? '')).length,
  }
}

async function plan(server: Server, { bots }: Ring): Promise<DryRun> {
  const request = { do: 'retract', query: { stream: 'person', types: ['watched'], keys: bots } }
  await server.ask('POST', '/v1/changesets', { id: 'ring', kind: 'corrections', title: 'a ring of bots', request }) // prettier-ignore
  return server.ask<DryRun>('GET', `${CHANGESET}/dry-run`)
}

/** Applies, and kills the server when the corrections are on the disk and the views are not there yet. */
async function applyAndKill(server: Server): Promise<RewindReport['killed']> {
  await server.ask('POST', `${CHANGESET}/apply`, {})
  const list = (): Promise<{ corrections: readonly unknown[] }> => server.ask('GET', '/v1/corrections?limit=500') // prettier-ignore
  const { corrections } = await until(list, found => found.corrections.length > 0)
  const { run } = await server.ask<ChangesetView>('GET', CHANGESET)
  await server.stop('SIGKILL')
  return { corrections: corrections.length, hadEnded: run?.hasEnded !== false }
}

async function resume(
  { data, shiftMs }: { readonly data: string; readonly shiftMs: number },
  ring: Ring,
): Promise<{ states: readonly FoldState[]; afterwards: number }> {
  const server = await startServer(data, shiftMs)
  try {
    await until(() => server.ask<ChangesetView>('GET', CHANGESET), ({ run }) => run?.hasEnded === true) // prettier-ignore
    const { states } = await server.ask<{ states: readonly FoldState[] }>(
      'GET',
      '/v1/rewind/states',
    )
    const { poisoned: afterwards } = await trendingClips(server, ring, poisoned => poisoned === 0)
    return { states, afterwards }
  } finally {
    await server.stop('SIGTERM')
  }
}

interface Stays {
  readonly answers: number
  readonly people: number
  readonly events: readonly string[]
}

/** Compares the states with those that the log gives without the ring, and lists what people did because of it. */
async function compare(
  data: string,
  ring: Ring,
  states: readonly FoldState[],
): Promise<{ folds: RewindReport['folds']; stays: Stays }> {
  const millrace = (await openMillrace({ app, data, logger: silentLogger })) as unknown as Millrace
  try {
    const events: LogRecord[] = []
    for await (const record of millrace.log.history({ stream: 'person', keys: ring.bots })) {
      void record.data
      events.push(record)
    }
    const rebuilt = new Map(
      (await statesWithout(millrace, states, events)).map(one => [one.fold, one.hash]),
    )
    const folds = states.map(state => ({ ...state, rebuilt: rebuilt.get(state.fold) ?? '' }))
    return { folds, stays: await whatStays(millrace, ring) }
  } finally {
    await millrace.close()
  }
}

/** Answers that showed people a clip of the ring, and what they watched because of them, within the hour. */
async function whatStays({ log }: Millrace, { clips, fromMs }: Ring): Promise<Stays> {
  const shown = new Map<string, { readonly clip: string; readonly atMs: number }[]>()
  const theirs = new Set(clips)
  let answers = 0
  for (const { data, eventTimeMs: atMs } of await all(log, EXPOSURES)) {
    const { p: person, i: slots } = data as Exposure
    const own = slots.map(([key]) => partsOfKey(key).id).filter(id => theirs.has(id))
    if (person === undefined || atMs < fromMs || own.length === 0) continue
    answers += 1
    const list = shown.get(person) ?? []
    shown.set(person, [...list, ...own.map(clip => ({ clip, atMs }))])
  }
  const events: string[] = []
  for await (const { type, key, data, eventTimeMs } of shown.size === 0
    ? []
    : log.history({ stream: 'person', keys: [...shown.keys()] })) {
    // prettier-ignore
    const { clip } = data as { readonly clip: string }
    const cause = shown.get(key)?.find(one => one.clip === clip && eventTimeMs >= one.atMs && eventTimeMs - one.atMs < HOUR_MS) // prettier-ignore
    if (type === 'watched' && cause !== undefined) events.push(`${key} watched ${clip} at ${new Date(eventTimeMs).toISOString()}`) // prettier-ignore
  }
  return { answers, people: shown.size, events }
}

async function all(log: Millrace['log'], stream: string): Promise<readonly LogRecord[]> {
  const found: LogRecord[] = []
  const partitions = log.stats().streams.find(one => one.stream === stream)?.partitions ?? []
  for (const [partition, { start, end }] of partitions.entries()) {
    for (let from = start; from < end;) {
      const records = await log.read({ stream, partition, from })
      for (const record of records) if (record.type !== '$tick') found.push(record)
      from += records.length
    }
  }
  return found
}

/** What the week would have brought under the changed rule: as the log lets estimate it, and as it is. */
async function predict(
  data: string,
  { audience, endMs: toMs }: History,
): Promise<RewindReport['backtest']> {
  const out = join(data, 'differences.jsonl')
  const unchanged = await runBacktest(data, './product.ts', { toMs })
  const changed = await runBacktest(data, './changed.ts', { toMs, out })
  const lines = readFileSync(out, 'utf8')
    .split('\n')
    .filter(line => line !== '')
  const differences = lines.map(line => JSON.parse(line) as Difference)
  const { value, low, high } = (changed.earnings as NonNullable<BacktestReport['earnings']>).selfNormalised.change // prettier-ignore
  const millrace = await openMillrace({ app, data, logger: silentLogger })
  try {
    const { log } = millrace
    const gain = await gainOf({ audience, log, momentOf: atMs => atMs }, differences)
    return {
      answers: changed.requests.answered,
      differentUnchanged: unchanged.requests.different,
      different: changed.requests.different,
      predicted: { value, low, high },
      truth: gain / changed.slots.shown,
    }
  } finally {
    await millrace.close()
  }
}
