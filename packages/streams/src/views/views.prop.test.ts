/**
 * Declared views against brute force: random events (late, history, ticks), table versions that
 * arrive late, and restarts at random moments. The oracle reads the log and computes each view the
 * naive way.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import {
  countView,
  deriveId,
  event,
  id,
  int,
  item,
  silentLogger,
  sliding,
  systemClock,
  text,
  tumbling,
  view,
} from '@millrace/core'
import { TICK_TYPE, type LogRecord, type NewEvent } from '@millrace/log'
import { createMemoryStore, openMemoryLog } from '@millrace/log/memory'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import { openStreams } from '../runtime.ts'
import { readAll } from '../testing/folds.ts'
import type { Streams } from '../streams.ts'
import { compileViews } from './compile.ts'
import { canonicalText } from './canonical.ts'
import { createViewReader } from './reader.ts'

const PARTITIONS = 4
const STEP_MS = 10
const SIZE_MS = 50
const KEEP_MS = 60
const SESSION_MS = 25
const ALLOWED_MS = 5

const Clip = item('clip', { topic: text() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), friend: id('person'), ms: int() },
  { key: 'viewer' },
)
const ended = event('ended', { person: id('person'), count: int() }, { key: 'person' })

const views = {
  count: countView({ from: [watched], key: 'viewer' }),
  byClip: view({
    from: [watched],
    key: 'clip',
    initial: () => ({ ids: [] as string[] }),
    fold: (state, e) => void state.ids.push(e.id),
  }),
  friends: countView({ from: [watched], key: 'friend' }),
  slide: view({
    from: [watched],
    key: 'viewer',
    window: sliding(SIZE_MS, { step: STEP_MS, allowedLateness: ALLOWED_MS }),
    initial: () => ({ sum: 0, count: 0 }),
    fold(state, e) {
      state.sum += e.data.ms
      state.count += 1
    },
    merge: (a, b) => ({ sum: a.sum + b.sum, count: a.count + b.count }),
  }),
  tumble: countView({
    from: [watched],
    key: 'clip',
    window: tumbling(20, { keep: KEEP_MS, late: 'include' }),
  }),
  tumbleStrict: countView({
    from: [watched],
    key: 'clip',
    window: tumbling(20, { keep: KEEP_MS }),
  }),
  topics: view({
    from: [watched],
    key: 'viewer',
    join: { clip: Clip },
    initial: () => ({ topics: {} as Record<string, number> }),
    fold(state, e, context) {
      const topic = context.tables.clip(e.data.clip)?.topic ?? 'unknown'
      state.topics[topic] = (state.topics[topic] ?? 0) + 1
    },
  }),
  sessions: view({
    from: [watched],
    key: 'viewer',
    emits: [ended],
    initial: () => ({ open: 0, closed: [] as number[] }),
    fold(state, e, context) {
      state.open += 1
      context.timer('end', Math.max(e.atMs, context.watermarkMs) + SESSION_MS)
    },
    onTimer(state, _name, context) {
      state.closed.push(state.open)
      context.emit(ended, { person: context.key, count: state.open })
      state.open = 0
    },
  }),
}

type Command =
  | {
      readonly kind: 'watch'
      readonly viewer: number
      readonly clip: number
      readonly friend: number
      readonly behind: number
      readonly isHistory: boolean
    }
  | {
      readonly kind: 'put'
      readonly clip: number
      readonly topic: number
      readonly behind: number
      readonly isRemoval: boolean
    }
  | {
      readonly kind: 'tick'
      readonly stream: number
      readonly partition: number
      readonly ahead: number
    }
  | { readonly kind: 'wait' }
  | { readonly kind: 'restart'; readonly how: 'kill' | 'close' | 'noSnapshots' }

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('watch' as const),
      viewer: fc.nat(5),
      clip: fc.nat(4),
      friend: fc.nat(5),
      behind: fc.oneof(fc.constant(0), fc.nat(100)),
      isHistory: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      clip: fc.nat(4),
      topic: fc.nat(3),
      behind: fc.oneof(fc.constant(0), fc.nat(100)),
      isRemoval: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('tick' as const),
      stream: fc.nat(1),
      partition: fc.nat(PARTITIONS - 1),
      ahead: fc.nat(40),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: 'wait' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('restart' as const),
      how: fc.constantFrom('kill' as const, 'close' as const, 'noSnapshots' as const),
    }),
  },
)

const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })

class World {
  readonly store = createMemoryStore()
  snapshots = createMemorySnapshotStore()
  log = openMemoryLog({ clock: systemClock, store: this.store })
  streams!: Streams
  nowMs = 1_000_000
  count = 0

  async open(): Promise<void> {
    this.log = openMemoryLog({ clock: systemClock, store: this.store })
    await this.log.declare([
      { name: 'person', partitions: PARTITIONS },
      { name: 'clip', partitions: PARTITIONS },
      ...compiled.streams,
    ])
    this.streams = await openStreams({
      log: this.log,
      snapshots: this.snapshots,
      clock: systemClock,
      logger: silentLogger,
      folds: compiled.folds,
      tables: compiled.tables,
      options: { batchRecords: 5, snapshotEveryRecords: 7 },
    })
  }

  async run(step: Command): Promise<void> {
    if (step.kind === 'watch' || step.kind === 'put' || step.kind === 'tick') {
      await this.log.commit({ events: [this.#event(step)] })
    } else if (step.kind === 'wait') {
      await this.settle()
    } else {
      if (step.how === 'close') await this.streams.close()
      if (step.how === 'noSnapshots') this.snapshots = createMemorySnapshotStore()
      await this.open()
    }
  }

  async settle(): Promise<void> {
    // Timers emit: what comes out of them has to be folded, too.
    for (let before = -1, now = 0; before !== now;) {
      before = now
      await this.streams.reached({ position: new Map(this.log.ends()), timeoutMs: 5_000 })
      now = [...this.log.ends().values()].reduce((sum, end) => sum + end, 0)
    }
  }

  #event(step: Exclude<Command, { kind: 'wait' | 'restart' }>): NewEvent {
    this.nowMs += 3
    this.count += 1
    const make = (atMs: number): { id: string; eventTimeMs: number } => ({
      id: deriveId(atMs, `${this.count}`),
      eventTimeMs: atMs,
    })
    if (step.kind === 'watch') {
      const { viewer, clip, friend, isHistory } = step
      const data = { viewer: `p${viewer}`, clip: `c${clip}`, friend: `p${friend}`, ms: clip + 1 }
      const at = make(this.nowMs - step.behind)
      return { stream: 'person', type: 'watched', key: data.viewer, data, isHistory, ...at }
    }
    if (step.kind === 'put') {
      const key = `c${step.clip}`
      const type = step.isRemoval ? 'clip.removed' : 'clip.put'
      const data = step.isRemoval
        ? { id: key }
        : { id: key, attributes: { topic: `t${step.topic}` } }
      return { stream: 'clip', type, key, data, ...make(this.nowMs - step.behind) }
    }
    const stream = ['person', 'clip.from-person'][step.stream] as string
    const at = make(this.nowMs + step.ahead)
    return { stream, type: TICK_TYPE, key: TICK_TYPE, data: null, partition: step.partition, ...at }
  }
}

interface Watched {
  readonly viewer: string
  readonly clip: string
  readonly friend: string
  readonly ms: number
}

/** What every view should say, computed from the records of the log. */
async function expected(world: World): Promise<Map<string, unknown>> {
  const answers = new Map<string, unknown>()
  const people = await readAll(world.log, 'person', PARTITIONS)
  const clips = await readAll(world.log, 'clip.from-person', PARTITIONS)
  const puts = await readAll(world.log, 'clip', PARTITIONS)
  const isWatched = (record: LogRecord): boolean => record.type === 'watched'
  const dataOf = (record: LogRecord): Watched => record.data as Watched
  const watermarks = (records: readonly LogRecord[]): ReadonlyMap<number, number> =>
    new Map(records.map(record => [record.partition, record.watermarkMs]))
  const add = (name: string, number: number): void => {
    answers.set(name, ((answers.get(name) as number | undefined) ?? 0) + number)
  }
  for (const record of people.filter(isWatched)) {
    add(`count ${record.key}`, 1)
    add(`friends ${dataOf(record).friend}`, 1)
    const topics = (answers.get(`topics ${record.key}`) ?? {}) as Record<string, number>
    const topic = topicAt(puts, dataOf(record).clip, record.eventTimeMs)
    answers.set(`topics ${record.key}`, { ...topics, [topic]: (topics[topic] ?? 0) + 1 })
  }
  for (const record of clips.filter(isWatched)) {
    const name = `byClip ${record.key}`
    answers.set(name, [...((answers.get(name) as string[]) ?? []), record.headers['cause']])
  }
  for (const key of ['p0', 'p1', 'p2', 'p3', 'p4', 'p5']) {
    slideOf(answers, key, people, watermarks(people))
    sessionOf(answers, key, people)
  }
  for (const key of ['c0', 'c1', 'c2', 'c3', 'c4']) {
    tumbleOf(answers, 'tumble', key, clips, people, watermarks(clips))
    tumbleOf(answers, 'tumbleStrict', key, clips, people, watermarks(clips))
  }
  return answers
}

function topicAt(puts: readonly LogRecord[], clip: string, atMs: number): string {
  const versions = puts
    .filter(record => record.key === clip && record.eventTimeMs <= atMs)
    .sort((a, b) => a.eventTimeMs - b.eventTimeMs || a.offset - b.offset)
  const last = versions.at(-1)
  if (last === undefined || last.type === 'clip.removed') return 'unknown'
  return (last.data as { attributes: { topic: string } }).attributes.topic
}

const floor = (time: number, step: number): number => Math.floor(time / step) * step

function slideOf(
  answers: Map<string, unknown>,
  key: string,
  people: readonly LogRecord[],
  watermarks: ReadonlyMap<number, number>,
): void {
  let found = false
  const total = { sum: 0, count: 0 }
  for (const record of people) {
    if (record.key !== key || record.type !== 'watched') continue
    const start = floor(record.eventTimeMs, STEP_MS)
    const isLate = !record.isHistory && start + STEP_MS + ALLOWED_MS <= record.watermarkMs
    const current = floor(watermarks.get(record.partition) as number, STEP_MS)
    if (isLate || start <= current - SIZE_MS) continue
    found = true
    total.sum += (record.data as Watched).ms
    total.count += 1
  }
  if (found) answers.set(`slide ${key}`, total)
}

function tumbleOf(
  answers: Map<string, unknown>,
  name: 'tumble' | 'tumbleStrict',
  key: string,
  clips: readonly LogRecord[],
  people: readonly LogRecord[],
  watermarks: ReadonlyMap<number, number>,
): void {
  const windows = new Map<number, number>()
  for (const record of clips) {
    if (record.key !== key || record.type !== 'watched') continue
    const start = floor(record.eventTimeMs, 20)
    const origin = people.find(other => other.id === record.headers['cause']) as LogRecord
    const isLate = !record.isHistory && start + 20 <= origin.watermarkMs
    const current = floor(watermarks.get(record.partition) as number, 20)
    if (start <= current - KEEP_MS || (name === 'tumbleStrict' && isLate)) continue
    windows.set(start, (windows.get(start) ?? 0) + 1)
  }
  if (windows.size === 0) return
  const list = [...windows].sort((a, b) => b[0] - a[0])
  answers.set(`${name} ${key}`, list.map(([startMs, value]) => ({ startMs, endMs: startMs + 20, value }))) // prettier-ignore
}

function sessionOf(answers: Map<string, unknown>, key: string, people: readonly LogRecord[]): void {
  const own = people.find(record => record.key === key)
  if (own === undefined) return
  const closed: number[] = []
  let open = 0
  let endMs = Infinity
  let found = false
  for (const record of people.filter(({ partition }) => partition === own.partition)) {
    if (record.watermarkMs >= endMs) {
      closed.push(open)
      open = 0
      endMs = Infinity
    }
    if (record.key !== key || record.type !== 'watched') continue
    found = true
    open += 1
    endMs = Math.max(record.eventTimeMs, record.watermarkMs) + SESSION_MS
  }
  if (found) answers.set(`sessions ${key}`, { open, closed })
  const emitted = people.filter(record => record.key === key && record.type === 'ended')
  assert.deepEqual(emitted.map(record => (record.data as { count: number }).count), closed) // prettier-ignore
}

function actual(world: World): Map<string, unknown> {
  const answers = new Map<string, unknown>()
  for (const name of Object.keys(views)) {
    const reader = createViewReader<unknown>(world.streams, name)
    for (const { key, value } of reader.list({ limit: 100 }).entries) {
      const plain =
        name === 'topics'
          ? (value as { topics: unknown }).topics
          : name === 'byClip'
            ? (value as { ids: unknown }).ids
            : value
      answers.set(`${name} ${key}`, plain)
    }
  }
  return answers
}

it('gives what brute force gives, over restarts, late records and late table versions', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 60 }), async commands => {
      const world = new World()
      await world.open()
      for (const step of commands) await world.run(step)
      await world.settle()
      const [wanted, found] = [await expected(world), actual(world)]
      for (const name of new Set([...wanted.keys(), ...found.keys()])) {
        assert.equal(canonicalText(found.get(name)), canonicalText(wanted.get(name)), name)
      }
      await assertOnce(world)
      for (const { name } of compiled.folds) {
        const { different } = await world.streams.rebuild({ fold: name })
        assert.deepEqual(different, [], name)
        const keys = ['p0', 'p1', 'p2', 'c0', 'c1', 'nobody']
        assert.deepEqual((await world.streams.rebuild({ fold: name, keys })).different, [], name)
      }
      await world.streams.close()
    }),
    { seed: 20_261_121, numRuns: Number(process.env['MILLRACE_PROP_RUNS'] ?? 150) },
  )
})

/** Every event was re-keyed once, every session ended once. */
async function assertOnce(world: World): Promise<void> {
  const people = await readAll(world.log, 'person', PARTITIONS)
  const sources = people.filter(record => record.type === 'watched').map(record => record.id)
  for (const stream of ['clip.from-person', 'person.from-person']) {
    const records = await readAll(world.log, stream, PARTITIONS)
    const causes = records.filter(record => record.type === 'watched').map(record => record.headers['cause']) // prettier-ignore
    assert.deepEqual(causes.sort(), [...sources].sort(), stream)
  }
  const ids = people.map(record => record.id)
  assert.equal(new Set(ids).size, ids.length)
}
