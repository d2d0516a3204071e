/**
 * The process is killed before and after each thing that a rebuild, a switch and the way back do to
 * the outside, one after the other. What opens next serves the build that the log names, whole; the
 * same calls go on and come to the end; nothing is emitted twice.
 */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { AnyView } from '@millrace/core'
import type { EventLog, NewEvent } from '@millrace/log'
import type { SnapshotStore } from '@millrace/store'
import { readAll } from '../testing/folds.ts'
import { doubled, notes, plays } from '../testing/plays.ts'
import { PARTITIONS, TestWorld, turn } from '../testing/world.ts'
import { compileViews } from '../views/compile.ts'
import { createViewReader } from '../views/reader.ts'
import { BuildBook, REBUILDS_STREAM } from './events.ts'

const PEOPLE = 9
const EVENTS = 90

function watch(number: number): NewEvent {
  const viewer = `p${number % PEOPLE}`
  const data = { viewer, ms: number }
  return { stream: 'person', type: 'watched', key: viewer, id: `w${number}`, eventTimeMs: 1_000 + number, data } // prettier-ignore
}

/** What a process does to the outside in a rebuild, in order; it is dead from one of these on. */
class Outside {
  readonly calls: string[] = []
  readonly #killedAt: number
  readonly #isDone: boolean
  #isDead = false
  #died: () => void = () => undefined
  readonly death = new Promise<void>(resolve => (this.#died = resolve))

  /** Dies at call number `killedAt`, after it was done or before. */
  constructor(killedAt: number, isDone: boolean) {
    this.#killedAt = killedAt
    this.#isDone = isDone
  }

  log(log: EventLog): EventLog {
    const commit: EventLog['commit'] = request => {
      const [first] = request.events ?? []
      const isOurs = first?.stream === REBUILDS_STREAM
      return this.#call(isOurs ? `commit ${first.type}` : undefined, () => log.commit(request))
    }
    return {
      capabilities: log.capabilities,
      declare: streams => log.declare(streams),
      commit,
      read: request => log.read(request),
      history: request => log.history(request),
      find: log.find,
      version: request => log.version(request),
      seek: request => log.seek(request),
      ends: () => log.ends(),
      steps: request => log.steps(request),
      onAdvance: listener => log.onAdvance(listener),
      stats: () => log.stats(),
      close: () => log.close(),
    }
  }

  snapshots(store: SnapshotStore): SnapshotStore {
    return {
      save: (name, meta, chunks) =>
        this.#call(`save ${kindOf(name)}`, () => store.save(name, meta, chunks)),
      load: name => this.#call(undefined, () => store.load(name)),
      list: () => store.list(),
      remove: name => this.#call(`remove ${kindOf(name)}`, () => store.remove(name)),
      close: () => store.close(),
    }
  }

  async #call<T>(name: string | undefined, call: () => Promise<T>): Promise<T> {
    const never = (): Promise<never> => new Promise(() => undefined)
    if (this.#isDead) return never()
    const isLast = name !== undefined && this.calls.push(name) === this.#killedAt
    if (!isLast) return call()
    this.#isDead = true
    if (this.#isDone) await call()
    this.#died()
    return never()
  }
}

function kindOf(name: string): string {
  if (name.endsWith('.live')) return 'cut'
  return /~\d+\.\d+$/.test(name) ? 'part' : 'state'
}

class KilledWorld extends TestWorld {
  readonly name: string
  readonly next: AnyView

  constructor(name: string, first: AnyView, next: AnyView) {
    super([])
    this.name = name
    this.next = next
    this.define(first)
  }

  define(own: AnyView): void {
    const views = { [this.name]: own }
    const compiled = compileViews({ views, partitions: PARTITIONS, latenessMs: 0 })
    this.folds = compiled.folds
    this.tables = compiled.tables
    this.extraStreams = compiled.streams
  }

  get fold(): string {
    return `view.${this.name}`
  }

  get build(): number | undefined {
    return this.streams.status().find(({ name }) => name === this.fold)?.build
  }

  /** One of the two versions, the same for everybody. */
  versionOf(each: number): 'first' | 'next' {
    const reader = createViewReader(this.streams, this.name)
    const values = Array.from({ length: PEOPLE }, (_, at) => reader.get(`p${at}`).value)
    const version = values[0] === each ? 'first' : 'next'
    const expected = version === 'first' ? each : 2 * each
    assert.deepEqual(
      values,
      Array.from({ length: PEOPLE }, () => expected),
    )
    return version
  }

  async rebuild(): Promise<void> {
    const { rebuilds } = this.streams
    await rebuilds.start({ fold: this.fold, maxDifferences: PEOPLE })
    const { error } = await rebuilds.settled(this.fold)
    assert.equal(error, undefined, error?.message)
  }
}

/** Kills at call number `at`; false when there are fewer. */
async function killAt(
  at: number,
  isDone: boolean,
  { name, first, next }: { name: string; first: AnyView; next: AnyView },
  seen: Set<string>,
): Promise<boolean> {
  const world = new KilledWorld(name, first, next)
  await world.open()
  await world.commit(...Array.from({ length: EVENTS }, (_, number) => watch(number)))
  await world.settle()
  await world.streams.close()
  world.define(next)
  const outside = new Outside(at, isDone)
  const [open, kept] = [world.openLog, world.snapshots]
  world.openLog = options => outside.log(open(options))
  world.snapshots = outside.snapshots(kept)
  await world.open()
  await world.settle()
  const script = (async () => {
    await world.rebuild()
    await world.commit(...Array.from({ length: PEOPLE }, (_, number) => watch(EVENTS + number)))
    await world.settle()
    await world.streams.rebuilds.back(world.fold)
    await world.streams.rebuilds.drop(world.fold)
    return 'over'
  })()
  const end = await Promise.race([script, outside.death])
  await turn()
  for (const call of outside.calls.slice(0, at)) seen.add(call)
  world.openLog = open
  world.snapshots = kept
  await world.open()
  await world.settle()
  const context = `killed ${isDone ? 'after' : 'before'} ${outside.calls[at - 1]}`
  const more = (await readAll(world.log, 'person', PARTITIONS)).filter(({ type }) => type === 'watched') // prettier-ignore
  const { live } = (await BuildBook.open(world.log)).of(world.fold)
  assert.equal(world.build, live?.build ?? 0, context)
  if (first !== next) {
    const isNext = live?.version === world.folds[0]?.version
    assert.equal(world.versionOf(more.length / PEOPLE), isNext ? 'next' : 'first', context)
  }
  assert.deepEqual(await world.differences(), {}, context)
  await world.rebuild()
  await world.streams.rebuilds.back(world.fold)
  await world.streams.rebuilds.back(world.fold)
  await world.streams.rebuilds.drop(world.fold)
  if (first !== next) assert.equal(world.versionOf(more.length / PEOPLE), 'next', context)
  assert.deepEqual(await world.differences(), {}, context)
  await world.settle()
  if (first === next) {
    const emitted = (await readAll(world.log, 'person', PARTITIONS)).filter(({ type }) => type === 'noted') // prettier-ignore
    assert.equal(emitted.length, more.length, context)
    assert.equal(new Set(emitted.map(record => record.id)).size, more.length, context)
  }
  const names = (await kept.list()).filter(one => one.startsWith(world.fold))
  assert.equal(names.length, 1, `${context}: ${names.join()}`)
  await world.streams.close()
  return end !== 'over'
}

for (const [title, views] of [
  ['a changed version', { name: 'plays', first: plays, next: doubled }],
  ['a view that emits', { name: 'notes', first: notes, next: notes }],
] as const) {
  it(`a kill at any step of rebuild, switch and back of ${title} leaves one build, whole`, async () => {
    const seen = new Set<string>()
    for (const isDone of [false, true]) {
      for (let at = 1; await killAt(at, isDone, views, seen); at++);
    }
    assert.deepEqual([...seen].sort(), [
      'commit rebuild.compared',
      'commit rebuild.dropped',
      'commit rebuild.started',
      'commit rebuild.switched',
      'remove cut',
      'remove part',
      'remove state',
      'save cut',
      'save part',
      'save state',
    ]) // prettier-ignore
  })
}
