/**
 * Declared views that use everything, with an oracle that computes them from the records of the log
 * in the naive way. Shared by the tests with random restarts and the tests with killed processes.
 */
import assert from 'node:assert/strict'
import { countView, event, id, int, item, sliding, text, tumbling, view } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { withData } from '../amendments.ts'
import { CORRECTIONS_STREAM, type CorrectionData } from '../corrections/contract.ts'
import { IDENTIFIED_TYPE, type IdentityData, type PersonEvent } from '../identity/contract.ts'
import { personEvents } from '../identity/fields.ts'
import type { Streams } from '../streams.ts'
import { canonicalText } from '../views/canonical.ts'
import { compileViews } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'
import { readAll } from './folds.ts'
import { PARTITIONS } from './world.ts'

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
const ended = event(
  'ended',
  { person: id('person'), clip: id('clip'), count: int() },
  { key: 'person' },
)

const moved = event('moved', { clip: id('clip'), to: id('clip') }, { key: 'clip' })

/** Two hops lie before `endedPerClip`: sessions emit, and what they emit is re-keyed. */
export const views = {
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
    initial: () => ({ open: 0, closed: [] as number[], clip: '' }),
    fold(state, e, context) {
      state.open += 1
      state.clip = e.data.clip
      context.timer('end', Math.max(e.atMs, context.watermarkMs) + SESSION_MS)
    },
    onTimer(state, _name, context) {
      state.closed.push(state.open)
      context.emit(ended, { person: context.key, clip: state.clip, count: state.open })
      state.open = 0
    },
    read: ({ open, closed }) => ({ open, closed }),
  }),
  /** Emits under a key that depends on the events before. */
  chain: view({
    from: [watched],
    key: 'viewer',
    emits: [moved],
    initial: () => ({ last: '' }),
    fold(state, e, context) {
      if (state.last !== '') context.emit(moved, { clip: state.last, to: e.data.clip })
      state.last = e.data.clip
    },
  }),
  moves: view({
    from: [moved],
    key: 'clip',
    initial: () => ({ to: {} as Record<string, number> }),
    fold: (state, e) => void (state.to[e.data.to] = (state.to[e.data.to] ?? 0) + 1),
  }),
  endedPerClip: countView({ from: [ended], key: 'clip' }),
}

/** The events of it that name people. */
export const people: readonly PersonEvent[] = personEvents([watched, ended])

/** The views, compiled. */
export const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })

interface Watched {
  readonly viewer: string
  readonly clip: string
  readonly friend: string
  readonly ms: number
}

/** What every view should say, computed from the records of the log. */
export async function expected(log: EventLog): Promise<Map<string, unknown>> {
  const answers = new Map<string, unknown>()
  const corrections = await correctionsIn(log)
  const who = await peopleIn(log)
  const counted = async (stream: string): Promise<LogRecord[]> =>
    (await readAll(log, stream, PARTITIONS)).map(record =>
      asOnePerson(asCounted(record, corrections), who),
    )
  const people = await counted('person')
  const clips = await counted('clip.from-person')
  const puts = await counted('clip')
  const origins = new Map(people.map(record => [record.id, record]))
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
  for (const record of people.filter(({ type }) => type === 'ended')) {
    add(`endedPerClip ${(record.data as Watched).clip}`, 1)
  }
  for (const record of clips.filter(isWatched)) {
    const name = `byClip ${record.key}`
    answers.set(name, [...((answers.get(name) as string[]) ?? []), record.headers['cause']])
  }
  chainOf(answers, people.filter(isWatched))
  for (const key of new Set(people.map(record => record.key))) {
    slideOf(answers, key, people, watermarks(people))
    sessionOf(answers, key, people)
  }
  for (const key of new Set(clips.map(record => record.key))) {
    tumbleOf(answers, 'tumble', key, clips, origins, watermarks(clips))
    tumbleOf(answers, 'tumbleStrict', key, clips, origins, watermarks(clips))
  }
  return answers
}

interface InForce {
  readonly action: string
  readonly source: string
  readonly data: unknown
}

/** The last correction of each event. */
async function correctionsIn(log: EventLog): Promise<ReadonlyMap<string, InForce>> {
  const found = new Map<string, InForce>()
  for (const { id: source, type, data } of await readAll(log, CORRECTIONS_STREAM, 1)) {
    if (type === IDENTIFIED_TYPE) continue
    const { action, events } = data as CorrectionData
    for (const event of events) found.set(event.id, { action, source, data: event.data })
  }
  return found
}

/** A record with what holds in its place; one that does not count still passes time. */
function asCounted(record: LogRecord, corrections: ReadonlyMap<string, InForce>): LogRecord {
  const known = corrections.get(record.headers['cause'] ?? record.id)
  if (known?.action === 'retract' || known?.action === 'hold') return withType(record, 'void')
  const counted = known?.action === 'correct' ? withData(record, known.data) : record
  if (record.stream !== 'clip.from-person' || record.type !== 'watched') return counted
  return record.key === (counted.data as Watched).clip ? counted : withType(counted, 'void')
}

/** Who everybody is, by all merges and splits; one that would make somebody a part of themselves has no effect. */
async function peopleIn(log: EventLog): Promise<(id: string) => string> {
  const into = new Map<string, string>()
  const who = (id: string): string => {
    const next = into.get(id)
    return next === undefined ? id : who(next)
  }
  const isPartOf = (id: string, other: string): boolean => {
    const next = into.get(id)
    return id === other || (next !== undefined && isPartOf(next, other))
  }
  for (const { type, data } of await readAll(log, CORRECTIONS_STREAM, 1)) {
    if (type !== IDENTIFIED_TYPE) continue
    for (const link of (data as IdentityData).links) {
      if (link.into === null) into.delete(link.from)
      else if (!isPartOf(link.into, link.from)) into.set(link.from, link.into)
    }
  }
  return who
}

/** A record as it counts for whom its people are. */
function asOnePerson(record: LogRecord, who: (id: string) => string): LogRecord {
  if (record.type !== 'watched') return record
  const data = record.data as Watched
  const { stream, key, headers } = record
  const counted = withData(record, { ...data, viewer: who(data.viewer), friend: who(data.friend) })
  if (stream !== 'person') return counted
  return who(headers['alias'] ?? key) === key ? counted : withType(counted, 'void')
}

function withType(record: LogRecord, type: string): LogRecord {
  return { ...withData(record, record.data), type }
}

function topicAt(puts: readonly LogRecord[], clip: string, atMs: number): string {
  const versions = puts
    .filter(({ type }) => type.startsWith('clip.'))
    .filter(record => record.key === clip && record.eventTimeMs <= atMs)
    .sort((a, b) => a.eventTimeMs - b.eventTimeMs || a.offset - b.offset)
  const last = versions.at(-1)
  if (last === undefined || last.type === 'clip.removed') return 'unknown'
  return (last.data as { attributes: { topic: string } }).attributes.topic
}

function chainOf(answers: Map<string, unknown>, records: readonly LogRecord[]): void {
  const last = new Map<string, string>()
  const moves = new Map<string, Record<string, number>>()
  for (const { key, data } of records) {
    const { clip: to } = data as Watched
    const from = last.get(key)
    last.set(key, to)
    if (from === undefined) continue
    const counts = moves.get(from) ?? {}
    moves.set(from, { ...counts, [to]: (counts[to] ?? 0) + 1 })
  }
  for (const [key, clip] of last) answers.set(`chain ${key}`, { last: clip })
  for (const [key, to] of moves) answers.set(`moves ${key}`, { to })
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
    // What stands in for another is as late as that was.
    const watermarkMs = Number(record.headers['watermark'] ?? record.watermarkMs)
    const isLate = !record.isHistory && start + STEP_MS + ALLOWED_MS <= watermarkMs
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
  origins: ReadonlyMap<string, LogRecord>,
  watermarks: ReadonlyMap<number, number>,
): void {
  const windows = new Map<number, number>()
  for (const record of clips) {
    if (record.key !== key || record.type !== 'watched') continue
    const start = floor(record.eventTimeMs, 20)
    const origin = origins.get(record.headers['cause'] as string) as LogRecord
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
  // What stands in for an emission that was corrected comes later in the log.
  const emitted = people
    .filter(record => record.key === key && record.type === 'ended')
    .sort((a, b) => a.eventTimeMs - b.eventTimeMs)
  assert.deepEqual(emitted.map(record => (record.data as { count: number }).count), closed) // prettier-ignore
}

/** What the views say. */
export function actual(streams: Streams): Map<string, unknown> {
  const answers = new Map<string, unknown>()
  for (const name of Object.keys(views)) {
    const reader = createViewReader(streams, name)
    for (const { key, value } of reader.list({ limit: 1_000 }).entries) {
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

/** The views say what the oracle says, every event was re-keyed once and every session ended once. */
export async function assertExact(log: EventLog, streams: Streams): Promise<void> {
  const [wanted, found] = [await expected(log), actual(streams)]
  for (const name of new Set([...wanted.keys(), ...found.keys()])) {
    assert.equal(canonicalText(found.get(name)), canonicalText(wanted.get(name)), name)
  }
  const people = await readAll(log, 'person', PARTITIONS)
  const ids = people.map(record => record.id)
  assert.equal(new Set(ids).size, ids.length)
  for (const [stream, types] of [
    ['clip.from-person', ['watched', 'ended']],
    ['person.from-person', ['watched']],
  ] as const) {
    const all = await readAll(log, stream, PARTITIONS)
    const records = all.filter(({ headers }) => headers['origin'] === undefined)
    const causes = records.flatMap(record => record.headers['cause'] ?? [])
    const sources = people.filter(
      ({ type, headers }) =>
        (types as readonly string[]).includes(type) && headers['origin'] === undefined,
    )
    assert.deepEqual(causes.sort(), sources.map(record => record.id).sort(), stream)
  }
}

/** Every fold, built again, is the same to the byte. */
export async function assertRebuilds(streams: Streams): Promise<void> {
  for (const { name } of compiled.folds) {
    assert.deepEqual((await streams.rebuild({ fold: name })).different, [], name)
    const keys = ['p0', 'p1', 'p2', 'c0', 'c1', 'nobody']
    assert.deepEqual((await streams.rebuild({ fold: name, keys })).different, [], name)
  }
}
