/** A fold as it runs: its lanes with what the runtime keeps about them. */
import { invariant, partitionName, type Logger, type Position } from '@millrace/core'
import { leastCorrected } from './corrections/lane-changes.ts'
import type { FoldDefinition, FoldShard, ParkedInfo } from './fold.ts'
import type { Beside, Lane } from './lane.ts'
import type { Lineage } from './generations.ts'
import { snapshotNameOf } from './rebuilds/events.ts'
import type { StepWriter } from './step-writer.ts'
import type { FoldHandle, FoldStatus } from './streams.ts'

/** One lane, and who may touch it. */
export class LaneRunner {
  /** The lane that is read and fed; another one after a switch. */
  lane: Lane
  /** Present for folds with targets. */
  readonly writer: StepWriter | undefined
  /** Why it stopped: for good, or until the database is back (`Retries`). */
  error: unknown
  /** Keys that read a table of which a version came late. */
  readonly stale = new Set<string>()
  /** True while such keys are folded again. */
  isRefolding = false
  readonly besides = new Set<Beside>()
  /** True while what it emitted does not reflect the corrections that its state reflects: it emits nothing more until then. */
  owesEmissions: (() => boolean) | undefined
  /** How many records of corrections its state reflected before it went over to those of its lane, for as long as that takes. */
  correctingFrom: number | undefined
  /** How many corrections its emissions reflect. */
  emittedTo: (() => number) | undefined
  #holders = 0
  #tail: Promise<unknown> = Promise.resolve()

  constructor(lane: Lane, writer: StepWriter | undefined) {
    this.lane = lane
    this.writer = writer
  }

  /** True when the loop may fold. */
  isFree(): boolean {
    return (
      this.#holders === 0 &&
      this.error === undefined &&
      this.lane.failure === undefined &&
      this.writer?.isFull() !== true
    )
  }

  /** The offset that it may not fold: another process commits its steps. */
  get limit(): number {
    const limit = this.writer?.limit ?? Infinity
    return this.owesEmissions?.() === true ? Math.min(limit, this.lane.mutedBefore) : limit
  }

  /** Runs `work` while the lane stands still; one after the other. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#holders += 1
    const turn = this.#tail.then(work)
    this.#tail = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      this.#holders -= 1
    }
  }

  /** Exchanges the lane, which stands still, for one that stands at the same offset. */
  install(lane: Lane): void {
    const before = this.lane
    invariant(lane.consumed === before.consumed, 'lanes are exchanged at one offset')
    lane.revision = Math.max(lane.revision, before.revision) + 1
    lane.mutedBefore = before.mutedBefore
    lane.takeParkedFrom(before)
    this.lane = lane
    this.writer?.use(lane)
  }

  /** Makes the lane stand still until the returned function is called. */
  async hold(): Promise<() => void> {
    return await new Promise(resolve => {
      void this.exclusively(() => new Promise<void>(free => resolve(free)))
    })
  }
}

/** A version of a fold that this process has the code of. */
export interface FoldVersion {
  readonly definition: FoldDefinition
  /** What a snapshot of it must match. */
  readonly identity: string
}

/** See the head of the file. */
export class FoldRunner {
  readonly lineage: Lineage
  /** The version of the definition, then the one that it replaces. */
  readonly versions: readonly FoldVersion[]
  readonly lanes: readonly LaneRunner[]
  readonly listeners = new Set<() => void>()
  /** True once it has reached the end of its source. */
  isLive = false
  foldedAtSnapshot = 0
  snapshotAtMs: number
  isSnapshotting = false
  /** How long the last snapshot took. */
  snapshotTookMs = 0
  #partitionOf: (key: string) => number
  #live: FoldVersion & { readonly build: number }
  #notifiedRevision = 0
  #shards: readonly FoldShard[] = []

  constructor(options: {
    live: FoldVersion & { readonly build: number }
    versions: readonly FoldVersion[]
    lineage: Lineage
    lanes: readonly LaneRunner[]
    partitionOf: (key: string) => number
    nowMs: number
  }) {
    this.#live = options.live
    this.versions = options.versions
    this.lineage = options.lineage
    this.lanes = options.lanes
    this.#partitionOf = options.partitionOf
    this.snapshotAtMs = options.nowMs
    this.noteShards()
  }

  /** The version that is served. */
  get definition(): FoldDefinition {
    return this.#live.definition
  }

  /** The version of the definition. */
  get newest(): FoldVersion {
    return this.versions[0] as FoldVersion
  }

  /** What a snapshot of the served version must match. */
  get identity(): string {
    return this.#live.identity
  }

  /** The build that is served. */
  get build(): number {
    return this.#live.build
  }

  get name(): string {
    return this.definition.name
  }

  /** The name of its snapshots. */
  get snapshotName(): string {
    return snapshotNameOf(this.name, this.build)
  }

  /** Serves another build from now on: one lane for each partition, at the same offsets. */
  install(live: FoldVersion & { readonly build: number }, lanes: readonly Lane[]): void {
    this.#live = live
    this.lanes.forEach((laneRunner, at) => laneRunner.install(lanes[at] as Lane))
    this.noteShards()
  }

  /** Reads go to the shards that the lanes have now. */
  noteShards(): void {
    this.#shards = this.lanes.map(({ lane }) => lane.shard)
  }

  position(): Position {
    const position = new Map<string, number>()
    for (const { lane } of this.lanes) {
      position.set(partitionName(this.definition.source, lane.partition), lane.consumed)
    }
    return position
  }

  revision(): number {
    let sum = 0
    for (const { lane } of this.lanes) sum += lane.revision
    return sum
  }

  /** Records consumed, of all partitions. */
  consumed(): number {
    let sum = 0
    for (const { lane } of this.lanes) sum += lane.consumed
    return sum
  }

  laneOf(key: string): LaneRunner {
    return this.lanes[this.#partitionOf(key)] as LaneRunner
  }

  parked(): readonly ParkedInfo[] {
    return this.lanes.flatMap(({ lane }) =>
      [...lane.parked.values()].map(({ key, offset, error, attempts, waiting, sinceMs }) => ({
        fold: this.name,
        partition: lane.partition,
        key,
        offset,
        error,
        attempts,
        waiting,
        sinceMs,
      })),
    )
  }

  /** What may be told of an error that its code may have thrown. */
  /** Calls the listeners when something changed since it last did; one that throws keeps no other from hearing of it. */
  notify(logger: Logger): void {
    if (this.listeners.size === 0) return
    const revision = this.revision()
    if (revision === this.#notifiedRevision) return
    this.#notifiedRevision = revision
    for (const listener of this.listeners) {
      try {
        listener()
      } catch (error) {
        logger.error('a listener failed', { fold: this.name, reason: this.stopText(error) })
      }
    }
  }

  stopText(error: unknown): string {
    return (this.lanes[0] as LaneRunner).lane.stopText(error)
  }

  /** Why it stopped for good, in a line. */
  error(): string | undefined {
    for (const { lane, error, writer } of this.lanes) {
      const found = error ?? writer?.error
      if (found !== undefined) return lane.stopText(found)
    }
    return undefined
  }

  lag(ends: Position): number {
    let sum = 0
    for (const { lane } of this.lanes) {
      const end = ends.get(partitionName(this.definition.source, lane.partition)) ?? 0
      sum += Math.max(end - lane.consumed, 0)
    }
    return sum
  }

  status(ends: Position): FoldStatus {
    const counters: Record<string, number> = {}
    let keys = 0
    let parkedKeys = 0
    for (const { lane } of this.lanes) {
      for (const [name, count] of Object.entries(lane.counters)) {
        counters[name] = (counters[name] ?? 0) + count
      }
      keys += lane.shard.keyCount?.() ?? countOf(lane.shard.keys())
      parkedKeys += lane.parked.size
    }
    const error = this.error()
    const parkedSinceMs = oldestOf(this.lanes)
    return {
      name: this.name,
      version: this.definition.version,
      build: this.build,
      generation: this.lineage.generation,
      state: error !== undefined ? 'failed' : this.isLive ? 'live' : 'catching-up',
      ...(error === undefined ? {} : { error }),
      position: this.position(),
      lag: this.lag(ends),
      keys,
      parkedKeys,
      ...(parkedSinceMs === undefined ? {} : { parkedSinceMs }),
      counters,
    }
  }

  handle<Shard extends FoldShard>(): FoldHandle<Shard> {
    const live = (): FoldDefinition => this.definition
    return {
      get definition() {
        return live() as unknown as FoldDefinition<Shard>
      },
      shards: () => this.#shards as readonly Shard[],
      shardOf: key => this.#shards[this.#partitionOf(key)] as Shard,
      position: () => this.position(),
      consumed: partition => (this.lanes[partition] as LaneRunner).lane.consumed,
      corrected: () => leastCorrected(this.lanes),
      isSettled: () => isSettled(this.lanes),
      revision: () => this.revision(),
      parked: () => this.parked(),
      isParked: key => this.laneOf(key).lane.parked.has(key),
      watermarkOf: key => this.laneOf(key).lane.watermarkMs,
    }
  }
}

function isSettled(lanes: readonly LaneRunner[]): boolean {
  const corrected = leastCorrected(lanes)
  return lanes.every(({ lane, stale }) => stale.size === 0 && lane.corrections.position === corrected) // prettier-ignore
}

function oldestOf(lanes: readonly LaneRunner[]): number | undefined {
  let oldest: number | undefined
  for (const { lane } of lanes) {
    for (const { sinceMs } of lane.parked.values()) {
      if (oldest === undefined || sinceMs < oldest) oldest = sinceMs
    }
  }
  return oldest
}

function countOf(keys: Iterable<string>): number {
  let count = 0
  for (const _ of keys) count += 1
  return count
}
