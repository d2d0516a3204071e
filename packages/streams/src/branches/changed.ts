/** The world with the changes of a branch: which records and keys they touch, and the states of these. */
import { partitionName } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { eventIdOf } from '../amendments.ts'
import type { CorrectionChange } from '../corrections/book.ts'
import {
  layerCorrections,
  type Correction,
  type Corrections,
  type UpperCorrections,
} from '../corrections/contract.ts'
import { ChangedRecords } from '../corrections/changed-records.ts'
import { keysOf } from '../corrections/lane-changes.ts'
import { NOWHERE, type RecordChange } from '../corrections/originals.ts'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import { OUTSIDE } from '../generations.ts'
import { ORIGIN_HEADER, type Canonical } from '../identity/contract.ts'
import { countedRecords, graphOf } from '../identity/counted.ts'
import { streamsErrors } from '../errors.ts'
import type { Lane } from '../lane.ts'
import { upstreamOf } from '../reach.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { ADDED_FROM } from './added.ts'
import { effectOf, type Effect } from './effects.ts'
import type { Ground } from './ground.ts'
import type { ByPartition, RequestedPeople } from './people.ts'
import type { FoundCorrections } from './requested.ts'
import type { Otherwise } from './base.ts'
import { World, type ImageCache, type KeyImage, type Trunk } from './world.ts'
import type { Work } from './work.ts'

/** Folds that feed each other are followed so often. */
const ROUNDS_MAX = 64

/** What is otherwise, as far as it does not follow. */
export interface RequestedChanges extends Pick<
  FoundCorrections,
  'corrections' | 'originals' | 'release'
> {
  readonly events: readonly LogRecord[]
  readonly people: RequestedPeople
  readonly definitions: ReadonlyMap<string, FoldDefinition>
  /** The source of its corrections. */
  readonly source: string
}

/** What is otherwise for one lane. */
interface LanePlan {
  /** Of records that are in the log, by key. */
  readonly changes: ReadonlyMap<string, readonly RecordChange[]>
  /** Records that are not, in their order. */
  readonly added: readonly LogRecord[]
  /** The keys of both. */
  readonly keys: ReadonlySet<string>
}

/** See the head of the file. */
export class ChangedWorld extends World {
  readonly #trunk: Trunk
  readonly #requested: RequestedChanges
  readonly #effects = new Map<FoldRunner, Effect>()
  readonly #settled = new Set<FoldRunner>()
  /** What its corrections do to records of the log. */
  #changed: ChangedRecords | undefined
  /** What its merges and splits do to others. */
  #merged: ByPartition | undefined
  readonly #plans = new Map<string, LanePlan>()
  readonly #touched = new Map<FoldRunner, ReadonlySet<string>>()
  #corrections: Corrections

  constructor(ground: Ground, cache: ImageCache, trunk: Trunk, requested: RequestedChanges) {
    super(ground, cache, 'with')
    this.#trunk = trunk
    this.#requested = requested
    this.#corrections = this.#layered()
  }

  get corrections(): Corrections {
    return this.#corrections
  }

  /** Gives up what can be read again, where there is much of it: which keys differ stays known. */
  release(): void {
    if (!this.#requested.release()) return
    this.#changed = undefined
    this.#plans.clear()
  }

  definitionOf(runner: FoldRunner): FoldDefinition {
    return this.#requested.definitions.get(runner.name) ?? this.ground.definitionOf(runner)
  }

  isReplaced(runner: FoldRunner): boolean {
    return this.#requested.definitions.has(runner.name)
  }

  async addedTo(runner: FoldRunner, partition: number): Promise<readonly LogRecord[]> {
    return (await this.planOf(runner, partition)).added
  }

  liveRow(table: FoldRunner, id: string): FoldShard | undefined {
    // Its plan is there: it was asked for before the fold began.
    return this.#touched.get(table)?.has(id) === true ? undefined : this.#trunk.liveRow(table, id)
  }

  override async prepareTables(runner: FoldRunner): Promise<void> {
    await super.prepareTables(runner)
    for (const table of this.tablesOf(runner)) await this.touched(table)
  }

  /** Finds out what follows for a fold from the emissions of others. */
  async settle(runner: FoldRunner, work: Work): Promise<void> {
    const { runners } = this.ground.ports
    const all = upstreamOf([runner, ...this.tablesOf(runner)], runners)
    const emitters = all.filter(
      ({ definition }) => definition.isRekeying !== true && definition.causeOf === undefined,
    )
    const due = new Set(emitters.filter(emitter => !this.#settled.has(emitter)))
    for (let round = 0; due.size > 0 && round < ROUNDS_MAX; round++) {
      const emitter = emitters.find(each => due.has(each)) as FoldRunner
      due.delete(emitter)
      const before = this.#effects.get(emitter)
      const worlds = { without: this.#trunk, with: this, source: this.#requested.source }
      const after = await effectOf(worlds, emitter, await this.touched(emitter), work)
      this.#settled.add(emitter)
      if (before?.text === after.text || (before === undefined && after.isEmpty)) continue
      this.#effects.set(emitter, after)
      this.#changed = undefined
      this.#plans.clear()
      this.#touched.clear()
      this.#corrections = this.#layered()
      for (const other of emitters) {
        const isTaken =
          (await this.#takes(other, after)) ||
          (before !== undefined && (await this.#takes(other, before)))
        if (!isTaken) continue
        this.#settled.delete(other)
        due.add(other)
      }
    }
    if (due.size === 0) return
    const folds = [...due].map(({ name }) => name).join(', ')
    throw streamsErrors.create('BRANCH_INVALID', {
      reason: `what follows from it has no end in ${folds}: they feed each other`,
    })
  }

  /** The keys of a fold that the changes touch, known effects included. */
  async touched(runner: FoldRunner): Promise<ReadonlySet<string>> {
    const known = this.#touched.get(runner)
    if (known !== undefined) return known
    const keys = new Set<string>()
    for (const { lane } of runner.lanes) {
      for (const key of (await this.planOf(runner, lane.partition)).keys) keys.add(key)
    }
    for (const table of this.tablesOf(runner)) {
      for (const id of await this.touched(table)) {
        for (const key of this.#readersOf(runner, table, id)) keys.add(key)
      }
    }
    if (this.isReplaced(runner)) {
      for (const { lane } of runner.lanes) for (const key of lane.shard.keys()) keys.add(key)
    }
    this.#touched.set(runner, keys)
    return keys
  }

  /** How many records in the log count otherwise for a fold, and how many are added. */
  async countOf(runner: FoldRunner): Promise<number> {
    let count = 0
    for (const { lane } of runner.lanes) {
      const { changes, added } = await this.planOf(runner, lane.partition)
      count += added.length
      for (const own of changes.values()) count += own.length
    }
    return count
  }

  endOf(): number {
    return Infinity
  }

  /** True when the live state of a key can be brought on without its history, as a shard that is empty tells. */
  async isBroughtOn(runner: FoldRunner, key: string): Promise<boolean> {
    if (this.isReplaced(runner) || !this.#mayBringOn(runner)) return false
    const { partition } = runner.laneOf(key).lane
    const { changes, keys } = await this.planOf(runner, partition)
    if (!keys.has(key)) return false
    const lane = this.#trunk.createLane(runner, partition)
    try {
      return (changes.get(key) ?? []).every(change => {
        const { before } = change
        if (before !== undefined && lane.takes(before)) lane.foldOne(before)
        return bringOn(lane, change)
      })
    } catch {
      return false
    }
  }

  async state(runner: FoldRunner, key: string, work: Work): Promise<KeyImage> {
    const image = await this.atHand(runner, key)
    if (image !== undefined) return image
    if (this.isReplaced(runner) || (await this.touched(runner)).has(key)) {
      return await this.folded(runner, key, work, true)
    }
    // Which rows it had read there is not known any more.
    return (await this.#hasTouchedRows(runner))
      ? await this.folded(runner, key, work, false)
      : await this.#trunk.state(runner, key, work)
  }

  protected async atHand(runner: FoldRunner, key: string): Promise<KeyImage | undefined> {
    if (this.isReplaced(runner)) return this.kept(runner, key)
    const plan = await this.planOf(runner, runner.laneOf(key).lane.partition)
    const touched = await this.touched(runner)
    if (plan.keys.has(key)) {
      return (await this.#broughtOn(runner, key, plan)) ?? this.kept(runner, key)
    }
    return touched.has(key) ? this.kept(runner, key) : await this.live(runner, key)
  }

  protected async otherwise(
    runner: FoldRunner,
    partition: number,
    keys: ReadonlySet<string>,
  ): Promise<Otherwise> {
    const plan = await this.planOf(runner, partition)
    const rows = new Map<FoldRunner, ReadonlySet<string>>()
    for (const table of this.tablesOf(runner)) rows.set(table, await this.touched(table))
    return { changes: [...keys].flatMap(key => [...(plan.changes.get(key) ?? [])]), rows }
  }

  protected mayWait(runner: FoldRunner, key: string): boolean {
    return runner.laneOf(key).lane.parked.has(key) && !this.#isTouched(runner, key)
  }

  /** True for a key that something is otherwise for: it is tried again. */
  #isTouched(runner: FoldRunner, key: string): boolean {
    return this.isReplaced(runner) || this.#touched.get(runner)?.has(key) === true
  }

  async planOf(runner: FoldRunner, partition: number): Promise<LanePlan> {
    const name = `${runner.name}/${partition}`
    const known = this.#plans.get(name)
    if (known !== undefined) return known
    const { source } = runner.definition
    this.#changed ??= await this.#changedBy(this.#corrected())
    const merged = (this.#merged ??= await this.#changedPeople())
    const added = this.#additionsTo(source, [
      ...this.#requested.events,
      ...[...this.#effects.values()].flatMap(each => each.added),
    ])
    const own = [
      ...(await this.#changed.in(source, partition)),
      ...(merged.get(partitionName(source, partition)) ?? []),
      ...added.filter(({ after }) => after?.partition === partition),
    ]
    const plan = own.length === 0 ? NO_PLAN : await this.#createPlan(runner, partition, own)
    this.#plans.set(name, plan)
    return plan
  }

  async #createPlan(
    runner: FoldRunner,
    partition: number,
    found: readonly RecordChange[],
  ): Promise<LanePlan> {
    const isAdded = await this.#added(runner, partition, found)
    const { watermarkMs } = isAdded.size > 0 ? await this.ground.bound(runner, partition) : NO_TIME
    const changes = new Map<string, RecordChange[]>()
    const added: LogRecord[] = []
    const keys = new Set<string>()
    const lane = this.createLane(runner, partition)
    for (const change of found) {
      if (isAdded.has(change)) {
        const record = change.after as LogRecord
        if (!lane.takes(record)) continue
        const offset = ADDED_FROM + added.length
        const own = { ...record, offset, watermarkMs, memo: undefined }
        added.push(own)
        for (const key of lane.keysOf(own)) keys.add(key)
        continue
      }
      for (const key of keysOf(lane, [change])) {
        const own = changes.get(key)
        if (own === undefined) changes.set(key, [change])
        else own.push(change)
        keys.add(key)
      }
    }
    return { changes, added, keys }
  }

  async #changedBy(corrections: readonly CorrectionChange[]): Promise<ChangedRecords> {
    const { runners, clock, sliceMs } = this.ground.ports
    const originals = await this.#requested.originals()
    const createSlices = (): Slices => new Slices(clock, sliceMs)
    const spans = { before: this.ground.corrections, after: this.#corrections }
    const graph = graphOf(runners)
    return new ChangedRecords(corrections, { originals, graph, people: spans, createSlices })
  }

  /** What records that are in no log are in a stream: themselves, or re-keyed. */
  #additionsTo(source: string, records: readonly LogRecord[]): readonly RecordChange[] {
    const graph = graphOf(this.ground.ports.runners)
    const asTheyAre = { of: () => undefined, canonical: this.#corrections.canonical }
    const found = records
      .flatMap(record => countedRecords(graph, record, asTheyAre))
      .filter(({ stream }) => stream === source)
    // What stands in is made when the events are there.
    const standsIn = ({ headers }: LogRecord): boolean => headers[ORIGIN_HEADER] !== undefined
    return [...found.filter(each => !standsIn(each)), ...found.filter(standsIn)].map(addition)
  }

  #corrected(): readonly CorrectionChange[] {
    const effects = [...this.#effects.values()].flatMap(({ corrections }) => corrections)
    return [...this.#requested.corrections, ...effects]
  }

  /** Events that are corrected have the people of the branch already. */
  async #changedPeople(): Promise<ByPartition> {
    const { corrections, people } = this.#requested
    return await people.changes(
      this.#corrections,
      new Set(corrections.map(({ entry }) => entry.id)),
    )
  }

  /** The records that the log has not at the ground: those of events of the branch, and those that would stand in for others. */
  async #added(
    runner: FoldRunner,
    partition: number,
    changes: readonly RecordChange[],
  ): Promise<ReadonlySet<RecordChange>> {
    const added = new Set(changes.filter(({ origin }) => origin.offset >= ADDED_FROM))
    const standIns = changes.flatMap(change => {
      const { before, after } = change
      const isOne = before === undefined && after?.headers[ORIGIN_HEADER] !== undefined
      return isOne ? [{ change, id: after.id }] : []
    })
    if (standIns.length === 0) return added
    const found = await this.ground.ports.log.find(standIns.map(({ id }) => id))
    const { to } = await this.ground.bound(runner, partition)
    for (const { change, id } of standIns) {
      if ((found.get(id)?.offset ?? Infinity) >= to) added.add(change)
    }
    return added
  }

  #layered(): Corrections {
    const { upper } = this.#requested.people
    return layerCorrections(this.ground.corrections, new Layer(this.#corrected(), upper))
  }

  /** True when a fold takes something of what is emitted otherwise. */
  async #takes(runner: FoldRunner, { corrections, added }: Effect): Promise<boolean> {
    const { source } = runner.definition
    const changed = await this.#changedBy(corrections)
    const additions = this.#additionsTo(source, added)
    for (const { lane } of runner.lanes) {
      const own = [...(await changed.in(source, lane.partition)), ...additions]
      const isTaken = own.some(({ before, after }) =>
        [before, after].some(record => record !== undefined && lane.takes(record)),
      )
      if (isTaken) return true
    }
    return false
  }

  #readersOf(runner: FoldRunner, table: FoldRunner, id: string): Iterable<string> {
    return this.kindsOf(table).flatMap(kind =>
      runner.lanes.flatMap(({ lane }) => [
        ...(lane.shard.readersOf?.(kind, id, Number.NEGATIVE_INFINITY) ?? []),
      ]),
    )
  }

  async #hasTouchedRows(runner: FoldRunner): Promise<boolean> {
    for (const table of this.tablesOf(runner)) {
      if ((await this.touched(table)).size > 0) return true
    }
    return false
  }

  #mayBringOn(runner: FoldRunner): boolean {
    const { lanes } = runner
    return (
      this.tablesOf(runner).length === 0 &&
      lanes.every(({ lane }) => lane.options.amendments.size === 0)
    )
  }

  /** The live state with what is otherwise taken out and put in, where the shard can do that to the byte. */
  async #broughtOn(
    runner: FoldRunner,
    key: string,
    { changes, added }: LanePlan,
  ): Promise<KeyImage | undefined> {
    const { lane: live } = runner.laneOf(key)
    if (!this.#mayBringOn(runner)) return undefined
    const image = await this.live(runner, key)
    if (image === undefined || image.isParked) return undefined
    const lane = this.createLane(runner, live.partition)
    const { shard } = lane
    if (image.shared !== undefined) shard.decodeShared?.(image.shared)
    if (image.bytes !== undefined) shard.decodeKey(key, image.bytes)
    lane.watermarkMs = image.watermarkMs
    try {
      for (const change of changes.get(key) ?? []) {
        if (!bringOn(lane, change)) return undefined
      }
      for (const record of added) if (lane.keysOf(record).includes(key)) lane.foldOne(record)
    } catch {
      // Its history tells.
      return undefined
    }
    return { ...image, bytes: shard.encodeKey(key) }
  }
}

/** What is in force in place of what the log says, by place and by cause. */
class Layer implements UpperCorrections {
  readonly #byId = new Map<string, Correction | null>()
  readonly #byPlace = new Map<string, Map<number, Correction | null>>()

  readonly canonical: Canonical | undefined

  constructor(changes: readonly CorrectionChange[], canonical: Canonical | undefined) {
    this.canonical = canonical
    for (const { entry, after = null } of changes) {
      this.#byId.set(entry.id, after)
      if (entry.place === undefined) continue
      const name = partitionName(entry.stream, entry.place.partition)
      const places = this.#byPlace.get(name) ?? new Map<number, Correction | null>()
      this.#byPlace.set(name, places.set(entry.place.offset, after))
    }
  }

  of(record: LogRecord): Correction | null | undefined {
    if (this.#byId.size === 0) return undefined
    if (record.generation !== OUTSIDE) return this.#byId.get(eventIdOf(record))
    return this.#byPlace.get(partitionName(record.stream, record.partition))?.get(record.offset)
  }
}

/** Takes a record out and puts it in as it counts now; false when the shard cannot do that to the byte. */
function bringOn(lane: Lane, change: RecordChange): boolean {
  if (!isFolded(change)) return false
  const { shard } = lane
  const { before, after } = change
  if (before !== undefined && lane.takes(before) && shard.invert?.(before) !== true) return false
  return after === undefined || !lane.takes(after) || shard.insert?.(after) === true
}

function addition(record: LogRecord): RecordChange {
  return { before: undefined, after: record, origin: record }
}

/** True when the record of a change is certain to be in the log, and not to be one that stands in for another. */
function isFolded({ before, after, origin }: RecordChange): boolean {
  if (origin.offset === NOWHERE) return false
  const record = (before ?? after) as LogRecord
  return record.stream === origin.stream || record.isUnique
}

const NO_TIME = { watermarkMs: Number.NEGATIVE_INFINITY }
const NO_PLAN: LanePlan = { changes: new Map(), added: [], keys: new Set() }
