/**
 * Folds as a whole in a world of a branch, for readers that look at many keys in one turn: a surface
 * ranks by the statistics of all items. The live shards speak for the keys that are there as they are
 * live; shards of the branch for those that its changes touch, and for those that the live world has
 * changed since. Memory is that of these keys (BRANCH_TOO_LARGE above the limit).
 */
import type { LogRecord } from '@millrace/log'
import { ChangedRecords } from '../corrections/changed-records.ts'
import { keysOf } from '../corrections/lane-changes.ts'
import { Originals } from '../corrections/originals.ts'
import { streamsErrors } from '../errors.ts'
import type { FoldShard } from '../fold.ts'
import { graphOf } from '../identity/counted.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import type { BranchFold } from './contract.ts'
import { isTimeless } from './ground.ts'
import type { Work } from './work.ts'
import type { World } from './world.ts'

/** A live world that changes so fast that a branch does not come up with it is given up after so many rounds. */
const ROUNDS_MAX = 100
const ROUND_MS = 1
const BATCH_RECORDS = 1_000

/** How far a lane was looked at: what it has folded and reflects behind that is not known. */
interface Looked {
  consumed: number
  corrected: number
}

interface WholeFold {
  readonly runner: FoldRunner
  readonly keys: Set<string>
  /** Keys that differ, and that no shard of the branch holds yet. */
  readonly due: Set<string>
  readonly own: FoldShard[]
  readonly looked: readonly Looked[]
}

/** See the head of the file. */
export class WholeFolds {
  readonly #world: World
  readonly #bytesMax: number
  readonly #folds = new Map<FoldRunner, WholeFold>()
  #bytes = 0

  constructor(world: World, bytesMax: number) {
    this.#world = world
    this.#bytesMax = bytesMax
  }

  /** Keys of its own, and their bytes. */
  get size(): { readonly keys: number; readonly bytes: number } {
    let count = 0
    for (const { keys } of this.#folds.values()) count += keys.size
    return { keys: count, bytes: this.#bytes }
  }

  /** Calls `take` in a turn in which all of these folds are what it is told. Throws BRANCH_INVALID, BRANCH_TOO_LARGE. */
  async read<T>(
    runners: readonly FoldRunner[],
    work: Work,
    take: (folds: ReadonlyMap<string, BranchFold>) => T,
  ): Promise<T> {
    const { clock } = this.#world.ground.ports
    const folds: WholeFold[] = []
    for (const runner of runners) folds.push(await this.#open(runner))
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const fold of folds) await this.#bring(fold, work)
      if (folds.every(fold => this.#isReady(fold))) {
        return take(new Map(folds.map(fold => [fold.runner.name, shown(fold)])))
      }
      await new Promise<void>(resolve => clock.after(ROUND_MS, resolve))
    }
    throw streamsErrors.create('BRANCH_TOO_LARGE', {
      cost: `what it stands on changes faster than it is found, in ${ROUNDS_MAX} rounds`,
      limit: `${ROUNDS_MAX} rounds`,
    })
  }

  async #open(runner: FoldRunner): Promise<WholeFold> {
    const known = this.#folds.get(runner)
    if (known !== undefined) return known
    const { ground } = this.#world
    const own = runner.lanes.map(({ lane: { partition } }) => this.#world.createLane(runner, partition).shard) // prettier-ignore
    if (this.#world.tablesOf(runner).length > 0 || own.some(shard => !isTimeless(shard))) {
      throw refusal(runner, 'it joins tables, or time alone changes it: read its keys one by one')
    }
    const looked: Looked[] = []
    for (const { lane } of runner.lanes) {
      const { known: consumed } = await ground.bound(runner, lane.partition)
      looked.push({ consumed, corrected: ground.corrected })
    }
    const fold = { runner, keys: new Set<string>(), due: new Set<string>(), own, looked }
    this.#folds.set(runner, fold)
    return fold
  }

  /** Folds the keys that differ by now. */
  async #bring(fold: WholeFold, work: Work): Promise<void> {
    const { runner, keys, due, own, looked } = fold
    const world = this.#world
    if (runner.definition !== world.ground.definitionOf(runner)) {
      throw refusal(runner, 'another version of it is served by now: open another branch')
    }
    await world.settle(runner, work)
    const isNew = keys.size === 0 && world.isReplaced(runner)
    if (isNew) await this.#replace(fold, work)
    for (const key of await world.touched(runner)) if (!keys.has(key)) due.add(key)
    for (const [partition, each] of looked.entries()) {
      const { lane } = runner.lanes[partition] as FoldRunner['lanes'][number]
      await this.#look(lane, each, work, key => void (keys.has(key) || due.add(key)))
    }
    for (const [key, { bytes }] of await world.states(runner, [...due], work)) {
      if (bytes !== undefined) {
        this.#note(key, bytes)
        own[runner.laneOf(key).lane.partition]?.decodeKey(key, bytes)
      }
      keys.add(key)
      due.delete(key)
    }
  }

  /** Other code speaks for all keys: those that it has, and those that it has no more. */
  async #replace({ runner, keys, own }: WholeFold, work: Work): Promise<void> {
    for (const [partition, { lane: live }] of runner.lanes.entries()) {
      const { shard } = await this.#world.wholeLane(runner, partition, work)
      for (const key of live.shard.keys()) keys.add(key)
      for (const key of shard.keys()) {
        this.#note(key, shard.encodeKey(key) as Uint8Array)
        keys.add(key)
      }
      own[partition] = shard
    }
  }

  /** Tells the keys that a lane has folded, or corrected, since it was looked at. */
  async #look(lane: Lane, looked: Looked, work: Work, tell: (key: string) => void): Promise<void> {
    const { log, book, runners, clock, sliceMs } = this.#world.ground.ports
    const { definition, partition, consumed } = lane
    const { source: stream } = definition
    const slices = new Slices(clock, sliceMs)
    const note = (record: LogRecord): void => {
      work.note()
      if (lane.takes(record)) for (const key of lane.keysOf(record)) tell(key)
    }
    while (looked.consumed < consumed) {
      const recordsMax = Math.min(BATCH_RECORDS, consumed - looked.consumed)
      const records = await log.read({ stream, partition, from: looked.consumed, recordsMax })
      for (const record of records) note(record)
      looked.consumed = (records.at(-1)?.offset ?? consumed - 1) + 1
      await slices.pause()
    }
    const { position } = lane.corrections
    if (position > looked.corrected) {
      const changes = book.changes(looked.corrected, position)
      const originals = new Originals(log)
      await originals.load(changes.map(({ entry }) => entry))
      const graph = graphOf(runners)
      const people = { before: book.at(looked.corrected), after: book.at(position) }
      const createSlices = (): Slices => new Slices(clock, sliceMs)
      const changed = new ChangedRecords(changes, { originals, graph, people, createSlices })
      for (const key of keysOf(lane, await changed.in(stream, partition))) tell(key)
      const merged = book.people.changed(looked.corrected, position)
      // Which keys the events of merged people have is not known here.
      const isAny = merged.length > 0 && definition.people !== undefined
      for (const key of isAny ? lane.shard.keys() : []) tell(key)
      looked.corrected = position
    }
  }

  #isReady({ runner, looked }: WholeFold): boolean {
    return runner.lanes.every((laneRunner, at) => {
      const { lane } = laneRunner
      const { consumed, corrected } = looked[at] as Looked
      const isSame = lane.consumed <= consumed && lane.corrections.position <= corrected
      return isSame && this.#world.ground.isServed(runner, laneRunner)
    })
  }

  #note(key: string, bytes: Uint8Array): void {
    this.#bytes += 2 * key.length + bytes.length
    if (this.#bytes <= this.#bytesMax) return
    throw streamsErrors.create('BRANCH_TOO_LARGE', {
      cost: `the states that differ take more than ${this.#bytes - bytes.length} bytes`,
      limit: `${this.#bytesMax} bytes`,
    })
  }
}

function shown({ runner, keys, own }: WholeFold): BranchFold {
  const live = runner.handle()
  return {
    live,
    keys,
    own,
    shardOf: key => (keys.has(key) ? (own[runner.laneOf(key).lane.partition] as FoldShard) : live.shardOf(key)), // prettier-ignore
  }
}

function refusal({ name }: FoldRunner, why: string): Error {
  return streamsErrors.create('BRANCH_INVALID', { reason: `${name} cannot be read whole: ${why}` })
}
