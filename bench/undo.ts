/**
 * A ring of bots in the demo's history, taken back: how long a branch without it takes to open, and the
 * dry run, the retraction and its undo until all views reflect them, and whether every fold then equals
 * a rebuild of the same log, to the byte. Prints one JSON object.
 *
 *   node bench/undo.ts [--events 1000000] [--bots 500] [--acts 80] [--directory <where>]
 *     [--history <where>] [--fill-seconds <seconds>] [--no-branches] [--no-undo]
 *     [--no-rebuilds | --touched] [--rebuilds <fold,...>]
 *
 * With `--history` the events are made there once and kept, in parts of `--fill-seconds` if that is
 * given; views that the definition has had since are folded there once. Each run works on a copy. Rebuilds of ten million events take minutes: `--rebuilds`
 * names the folds that are compared, and each is told on standard error as soon as it is; `--touched`
 * rebuilds the keys that are not what they were, at most `REBUILT_MAX` of each fold, and some others, from
 * their first records, and compares the hash of every key before it all with that after the undo.
 *
 * The bots watch `POISONED` clips over and over, spread over the last fifth of the history. Seconds
 * are by the clock, with the processor time of the process beside them; the longest stall is of a
 * timer that others would have had meanwhile.
 */
import {
  cpSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hash } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { createSeededRandom, isError, silentLogger } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { createAudience, type AudienceBatch } from '@millrace/sim/audience'
import type { CorrectionAction, CorrectionSet } from '@millrace/streams'
import { defineApp, openMillrace, type Millrace } from 'millrace'
import { product } from '../apps/demo/src/app.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    bots: { type: 'string', default: '500' },
    acts: { type: 'string', default: '80' },
    directory: { type: 'string', default: tmpdir() },
    history: { type: 'string' },
    'fill-seconds': { type: 'string', default: 'Infinity' },
    'no-branches': { type: 'boolean', default: false },
    'no-undo': { type: 'boolean', default: false },
    rebuilds: { type: 'string' },
    'no-rebuilds': { type: 'boolean', default: false },
    touched: { type: 'boolean', default: false },
  },
})
const EVENTS = Number(values.events)
const BOTS = Number(values.bots)
const ACTS = Number(values.acts)
const POISONED = 20
const PEOPLE = 20_000
const CLIPS = 5_000
const WAIT_MS = 3_600_000
const ROWS_AT_ONCE = 5_000
/** Keys of a fold that did not change and are rebuilt as well. */
const OTHERS_REBUILT = 20
const REBUILT_MAX = 100
const random = createSeededRandom(3)
const names = Array.from({ length: BOTS }, (_, bot) => `bot-${bot}`)
/** How many of the ring's events come with a batch of the last fifth. */
const SHARE = (BOTS * ACTS) / (EVENTS / 5)

let left = BOTS * ACTS

function ringWith(batch: AudienceBatch, done: number): unknown[] {
  if (done < EVENTS * 0.8) return []
  const count = Math.min(left, Math.ceil(batch.events.length * SHARE))
  left -= count
  return Array.from({ length: count }, (_, place) => ({
    type: 'watched',
    at: batch.events[place % batch.events.length]?.atMs,
    data: {
      viewer: names[Math.floor(random.next() * BOTS)],
      clip: `clip-${1 + Math.floor(random.next() * POISONED)}`,
      watchedMs: 60_000,
    },
  }))
}

/** How far a history was made. */
interface Filled {
  batches: number
  events: number
  seconds: number
  isWhole: boolean
  /** Whose states are kept with it. */
  folds?: readonly string[]
}

/** Goes on with a history for some seconds, from where it was left. */
async function fill(millrace: Millrace, from: Filled): Promise<Filled> {
  const audience = createAudience({ seed: 11, people: PEOPLE, clips: CLIPS })
  const startMs = performance.now()
  const secondsMax = Number(values['fill-seconds'])
  const filled = { ...from, events: 0, batches: 0, isWhole: true }
  for await (const batch of audience.history({ eventsMax: EVENTS })) {
    const put = (kind: string, id: string, at: number, attributes: object): object => ({
      type: `${kind}.put`,
      at,
      data: { id, attributes },
    })
    const rows = [
      ...batch.items.map(({ kind, id, data }) => put(kind, id, data.publishedAt, data)),
      ...batch.people.map(({ id, data }) => put('person', id, data.joinedAt, data)),
      ...batch.events.map(({ type, id, atMs, data }) => ({ type, id, at: atMs, data })),
      ...ringWith(batch, filled.events),
    ]
    filled.events += batch.events.length
    filled.batches += 1
    if (filled.batches <= from.batches) continue
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      const part = rows.slice(at, at + ROWS_AT_ONCE).map(row => JSON.stringify(row))
      const sent = await millrace.trackLines(Buffer.from(part.join('\n')), { isHistory: true })
      if (sent.counts.appended !== part.length) throw new Error('events were refused')
    }
    if ((performance.now() - startMs) / 1000 > secondsMax) {
      filled.isWhole = false
      break
    }
  }
  await settle(millrace)
  filled.seconds += (performance.now() - startMs) / 1000
  return filled
}

const open = (data: string): Promise<Millrace> =>
  openMillrace({ app: defineApp(product), data, logger: silentLogger })

/** Split files are never written again, only removed: a second name for them is a copy. */
function copied(from: string, to: string): boolean {
  if (!from.endsWith('.split')) return true
  linkSync(from, to)
  return false
}

/** The folds of the definition, each with its version. */
async function foldsOfDefinition(): Promise<readonly string[]> {
  const millrace = await open('memory')
  const folds = millrace.streams.status().map(({ name, version }) => `${name} ${version}`)
  await millrace.close()
  return folds
}

/** Folds the views that the definition has and the history has not, for some seconds. True: all are there. */
async function buildViews(data: string): Promise<boolean> {
  const millrace = await open(data)
  const timeoutMs = Math.min(WAIT_MS, 1000 * Number(values['fill-seconds']))
  try {
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs })
    return true
  } catch (error) {
    if (!isError(error, 'POSITION_NOT_REACHED')) throw error
    return false
  } finally {
    await millrace.close()
  }
}

/** Opens a copy of the history, made as far as it is missing. Undefined: there is more to be made. */
async function openFilled(
  directory: string,
): Promise<{ millrace: Millrace; filled: Filled } | undefined> {
  const data = values.history ?? directory
  const note = `${data}.json`
  let filled: Filled = { batches: 0, events: 0, seconds: 0, isWhole: false }
  if (existsSync(note)) filled = JSON.parse(readFileSync(note, 'utf8')) as Filled
  if (!filled.isWhole) {
    const millrace = await open(data)
    filled = await fill(millrace, filled)
    if (values.history === undefined) return { millrace, filled }
    await millrace.close()
    writeFileSync(note, JSON.stringify(filled))
    if (!filled.isWhole) return undefined
  }
  const folds = await foldsOfDefinition()
  if (filled.folds?.join() !== folds.join()) {
    if (!(await buildViews(data))) return undefined
    writeFileSync(note, JSON.stringify({ ...filled, folds }))
  }
  cpSync(data, directory, { recursive: true, filter: copied })
  return { millrace: await open(directory), filled }
}

async function settle(millrace: Millrace): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = now
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: WAIT_MS })
    now = [...millrace.log.ends().values()].reduce((sum, end) => sum + end, 0)
  }
}

async function ringOf(millrace: Millrace): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  for await (const record of millrace.log.history({ stream: 'person', keys: names })) {
    if (record.type === 'watched') found.push(record)
  }
  return found
}

interface Took {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly longestStallMs: number
}

async function timed<Value>(work: () => Promise<Value>): Promise<Took & { value: Value }> {
  const stalls = monitorEventLoopDelay({ resolution: 1 })
  stalls.enable()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  const value = await work()
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  stalls.disable()
  const short = (number: number): number => Number(number.toPrecision(3))
  return {
    value,
    seconds: short(seconds),
    cpuSeconds: short((user + system) / 1e6),
    longestStallMs: short(stalls.max / 1e6),
  }
}

const comparedFolds = (streams: Millrace['streams']): readonly string[] =>
  values.rebuilds?.split(',') ?? streams.status().map(({ name }) => name)

type Hashes = ReadonlyMap<string, ReadonlyMap<string, string>>

/** The hash of the state of every key, by fold. */
async function hashesOf({ streams }: Millrace): Promise<Hashes> {
  const folds = new Map<string, ReadonlyMap<string, string>>()
  for (const name of comparedFolds(streams)) {
    const keys = new Map<string, string>()
    for (const shard of streams.fold(name).shards()) {
      for (const key of shard.keys()) {
        const bytes = shard.encodeKey(key)
        if (bytes !== undefined) keys.set(key, hash('sha256', bytes, 'base64'))
      }
    }
    folds.set(name, keys)
    await new Promise(resolve => setImmediate(resolve))
  }
  return folds
}

const differing = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] =>
  [...new Set([...a.keys(), ...b.keys()])].filter(key => a.get(key) !== b.get(key))

/** Some of many, from everywhere among them. */
function spread(keys: readonly string[], count: number): readonly string[] {
  const step = Math.max(1, keys.length / count)
  return keys.filter((_, at) => Math.floor(at / step) !== Math.floor((at - 1) / step))
}

/** What of the keys that changed, and of some others, is not what a rebuild from their first records gives. */
async function unlikeTouched(
  { streams }: Millrace,
  before: Hashes,
  after: Hashes,
): Promise<{ rebuilt: Record<string, number>; unlike: Record<string, number> }> {
  const rebuilt: Record<string, number> = {}
  const unlike: Record<string, number> = {}
  for (const [fold, own] of after) {
    if (own.size === 0) continue
    const changed = differing(before.get(fold) ?? new Map(), own)
    const some = [...spread(changed, REBUILT_MAX), ...spread([...own.keys()], OTHERS_REBUILT)]
    const keys = [...new Set(some)]
    const startMs = performance.now()
    const { different } = await streams.rebuild({ fold, keys })
    const seconds = Math.round((performance.now() - startMs) / 1000)
    process.stderr.write(
      `${fold}: ${changed.length} of ${own.size} keys changed; of ${keys.length} ${different.length} differ from their rebuild, ${seconds} s\n`,
    )
    rebuilt[fold] = keys.length
    if (different.length > 0) unlike[fold] = different.length
  }
  return { rebuilt, unlike }
}

/** The folds whose state is not what a rebuild gives, with how many keys differ. */
async function unlikeRebuilds(millrace: Millrace): Promise<Record<string, number>> {
  const unlike: Record<string, number> = {}
  if (values['no-rebuilds'] || values.touched) return unlike
  for (const name of comparedFolds(millrace.streams)) {
    const startMs = performance.now()
    const { keys, different } = await millrace.streams.rebuild({ fold: name })
    const seconds = Math.round((performance.now() - startMs) / 1000)
    process.stderr.write(`${name}: ${different.length} of ${keys} keys differ, ${seconds} s\n`)
    if (different.length > 0) unlike[name] = different.length
  }
  return unlike
}

const directory = mkdtempSync(join(values.directory, 'millrace-bench-'))
const opened = await openFilled(directory)
if (opened === undefined) {
  rmSync(directory, { recursive: true, force: true })
  process.exit(0)
}
const { millrace, filled } = opened
await settle(millrace)
const selected = await timed(() => ringOf(millrace))
const ring = selected.value
const setOf = (action: CorrectionAction): CorrectionSet => ({
  corrections: ring.map(({ id, stream, partition, offset }) => ({
    id,
    action,
    place: { stream, partition, offset },
  })),
  reason: 'a ring of bots',
  by: 'bench',
})
const { corrections } = millrace.streams
const apply = (action: CorrectionAction): Promise<Took & { value: number }> =>
  timed(async () => {
    const { results } = await corrections.apply(setOf(action), { timeoutMs: WAIT_MS })
    return results.filter(({ status }) => status === 'corrected').length
  })
const without = ({ seconds, cpuSeconds, longestStallMs }: Took): Took => ({
  seconds,
  cpuSeconds,
  longestStallMs,
})

/** A branch without the ring, by ids alone, and what two views would say in it. */
async function branched(count: number): Promise<{ open: Took; compare: Took }> {
  const ids = ring.slice(0, count).map(({ id }) => ({ id, action: 'retract' as const }))
  const { branches } = millrace.streams
  const open = await timed(() => branches.open({ changes: { corrections: ids } }))
  const folds = ['view.plays', 'view.watchTime']
  const compare = await timed(() => open.value.compare({ folds }))
  open.value.close()
  return { open: without(open), compare: without(compare) }
}

const hasBranches = !values['no-branches']
const branchOfTen = hasBranches ? await branched(10) : undefined
const branch = hasBranches ? await branched(ring.length) : undefined
const hashes = values.touched ? await hashesOf(millrace) : undefined
const dryRun = await timed(() => corrections.affected(setOf('retract')))
const applied = await apply('retract')
process.stderr.write(`${JSON.stringify({ dryRun: without(dryRun), apply: without(applied) })}\n`)
const unlikeAfterApply = await unlikeRebuilds(millrace)
const touched = hashes && (await unlikeTouched(millrace, hashes, await hashesOf(millrace)))
const undone = values['no-undo'] ? undefined : await apply('restore')
const unlikeAfterUndo = undone && (await unlikeRebuilds(millrace))
/** Keys whose state is not byte for byte what it was before the ring was retracted. */
const notRestored: Record<string, number> = {}
if (hashes !== undefined && undone !== undefined) {
  for (const [fold, own] of await hashesOf(millrace)) {
    notRestored[fold] = differing(hashes.get(fold) ?? new Map(), own).length
  }
}
process.stdout.write(
  `${JSON.stringify({
    bench: 'undo',
    events: filled.events + ring.length,
    retracted: applied.value,
    restored: undone?.value,
    fillSeconds: Math.round(filled.seconds),
    select: without(selected),
    branchOfTen,
    branch,
    dryRun: without(dryRun),
    affected: dryRun.value.folds.map(({ fold, keys, records }) => ({ fold, keys, records })),
    apply: without(applied),
    undo: undone && without(undone),
    unlikeRebuilds: { afterApply: unlikeAfterApply, afterUndo: unlikeAfterUndo },
    touched: touched && { ...touched, notRestored: undone && notRestored },
    residentMiB: Math.round(process.memoryUsage().rss / 2 ** 20),
  })}\n`,
)
// Nothing of the copy is kept: its last snapshots need not be written.
rmSync(directory, { recursive: true })
process.exit(0)
