/**
 * The switch: loads a build into lanes beside the live ones, brings both to one offset while the live
 * lanes stand still, commits the event, and exchanges the lanes between two turns of the process.
 */
import type { Clock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { SnapshotStore } from '@millrace/store'
import type { Corrector } from '../corrections/corrector.ts'
import { foldLane } from '../fold-lane.ts'
import { Lane, type Beside } from '../lane.ts'
import { applyState, forceParked } from '../rebuild.ts'
import { foldKey, retryParked, type RefoldPorts } from '../refold.ts'
import type { FoldRunner, FoldVersion, LaneRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { readLanes, restoring, type LaneImage, type SeenTables } from '../snapshot-codec.ts'
import type { SnapshotWriter } from '../snapshot-writer.ts'
import type { TableWatch } from '../table-watch.ts'
import type { BuildJob } from './builder.ts'
import { partNameOf, snapshotNameOf } from './events.ts'

/** What an exchange needs of the runtime. */
export interface ExchangePorts {
  readonly log: EventLog
  readonly snapshots: SnapshotStore
  readonly clock: Clock
  readonly sliceMs: number
  readonly refold: RefoldPorts
  readonly watch: TableWatch
  readonly cuts: SnapshotWriter
  /** Keys of a lane wait to be folded again. */
  refoldStale(runner: FoldRunner, laneRunner: LaneRunner): void
  readonly corrector: Pick<Corrector, 'correctBeside' | 'rows'>
  wake(): void
}

/** A build that is no longer served. */
export interface LeftBuild extends FoldVersion {
  readonly build: number
  readonly lanes: readonly Lane[]
  /** What its state has seen of its tables. */
  readonly seen: SeenTables
}

/** What is loaded. */
interface What {
  readonly job: BuildJob
  readonly version: FoldVersion
}

/** What makes an exchange count. */
export interface Decision {
  /** Throws when the build may not be switched to any more: REBUILD_OUTDATED, REBUILD_SHARED. */
  assertCurrent(): void
  /** Makes the switch durable. */
  commit(): Promise<void>
}

const NOTHING_SEEN: SeenTables = { tables: {} }

/** How near the build follows before the live lanes have to stand still. */
const NEAR_RECORDS = 500
const CHASES_MAX = 50

/** A build that a builder has kept, loaded beside the live lanes of a fold. To be released. */
export class LoadedBuild {
  readonly #ports: ExchangePorts
  readonly #runner: FoldRunner
  readonly #what: What
  readonly #besides = new Map<LaneRunner, Beside>()

  private constructor(ports: ExchangePorts, runner: FoldRunner, what: What) {
    this.#ports = ports
    this.#runner = runner
    this.#what = what
  }

  static async load(ports: ExchangePorts, runner: FoldRunner, what: What): Promise<LoadedBuild> {
    const loaded = new LoadedBuild(ports, runner, what)
    try {
      for (const [laneRunner, image] of await imagesOf(ports, runner, what.job)) {
        const beside = await createBeside(ports, runner, laneRunner, what, image)
        loaded.#besides.set(laneRunner, beside)
      }
      return loaded
    } catch (error) {
      loaded.release()
      throw error
    }
  }

  /** True where a live lane has not come as far as what was kept: it cannot go back to it. */
  isAhead(): boolean {
    return [...this.#besides].some(([{ lane: live }, { lane }]) => lane.consumed > live.consumed)
  }

  /** Folds until it is near the live lanes. */
  async chase(): Promise<void> {
    for (const [laneRunner, { lane }] of this.#besides) {
      for (let chase = 0; chase < CHASES_MAX; chase++) {
        if (laneRunner.lane.consumed - lane.consumed <= NEAR_RECORDS) break
        await foldLane(this.#ports.refold, lane, laneRunner.lane.consumed)
      }
    }
  }

  /**
   * Takes the place of the live lanes, which have come as far. Resolves to the build that was left.
   * What it throws is thrown before anything has changed.
   */
  async exchange(decision: Decision): Promise<LeftBuild> {
    // A snapshot that is being written is of one build.
    return await this.#ports.cuts.inTurn(() =>
      exchangeStanding(this.#ports, this.#runner, this.#besides, { ...this.#what, ...decision }),
    )
  }

  release(): void {
    for (const [laneRunner, beside] of this.#besides) laneRunner.besides.delete(beside)
  }
}

/** What builders kept, by lane; nothing for a partition without records. */
async function imagesOf(
  ports: ExchangePorts,
  runner: FoldRunner,
  { build, built }: BuildJob,
): Promise<ReadonlyMap<LaneRunner, LaneImage | undefined>> {
  const kept = new Map<number, LaneImage>()
  const parts = runner.lanes.map(({ lane }) => partNameOf(built.fold, build, lane.partition))
  for (const name of [snapshotNameOf(built.fold, build), ...parts]) {
    const snapshot = await ports.snapshots.load(name)
    if (snapshot === undefined || snapshot.meta.version !== built.identity) continue
    for await (const image of readLanes(built.fold, snapshot.chunks)) {
      const { partition, consumed } = image.header
      if (consumed >= (kept.get(partition)?.header.consumed ?? 0)) kept.set(partition, image)
    }
  }
  return new Map(runner.lanes.map(laneRunner => [laneRunner, kept.get(laneRunner.lane.partition)]))
}

async function createBeside(
  ports: ExchangePorts,
  runner: FoldRunner,
  laneRunner: LaneRunner,
  { version, job }: What,
  image: LaneImage | undefined,
): Promise<Beside> {
  const lane = new Lane({
    ...laneRunner.lane.options,
    definition: version.definition,
    corrections: laneRunner.lane.corrections,
  })
  lane.mutedBefore = Infinity
  const slices = new Slices(ports.clock, ports.sliceMs)
  if (image !== undefined) {
    for (const _ of restoring(lane, image)) await slices.pause()
  }
  forceParked(lane, job.parked[lane.partition] ?? [])
  const beside: Beside = { lane, stale: new Set() }
  // From now on it hears of late versions; those that came before are looked up.
  laneRunner.besides.add(beside)
  const looked = { log: ports.log, rows: ports.corrector.rows }
  await ports.watch.catchUpBeside(looked, runner, beside, image?.header ?? NOTHING_SEEN)
  await ports.corrector.correctBeside(laneRunner, beside)
  return beside
}

async function exchangeStanding(
  ports: ExchangePorts,
  runner: FoldRunner,
  besides: ReadonlyMap<LaneRunner, Beside>,
  what: What & Decision,
): Promise<LeftBuild> {
  const holds = await holdAll(ports, runner)
  try {
    const isSameVersion = what.job.built.version === what.job.live.version
    for (const [laneRunner, beside] of besides) {
      await catchUp(ports, laneRunner, beside, isSameVersion)
    }
    what.assertCurrent()
    await what.commit()
    // Nothing is awaited from here on: who reads sees all of the one build or all of the other.
    const { build, definition, identity } = runner
    const left = {
      build,
      definition,
      identity,
      lanes: runner.lanes.map(({ lane }) => lane),
      seen: ports.watch.seenBy(runner),
    }
    const lanes = runner.lanes.map(laneRunner => (besides.get(laneRunner) as Beside).lane)
    runner.install({ ...what.version, build: what.job.build }, lanes)
    for (const [laneRunner, { stale }] of besides) {
      for (const key of stale) laneRunner.stale.add(key)
      if (laneRunner.stale.size > 0 && !laneRunner.isRefolding) {
        ports.refoldStale(runner, laneRunner)
      }
    }
    return left
  } finally {
    for (const free of holds) free()
    ports.wake()
  }
}

/** Makes all lanes of a fold stand still where their steps are durable and their state has seen its tables. */
async function holdAll(ports: ExchangePorts, runner: FoldRunner): Promise<readonly (() => void)[]> {
  for (;;) {
    const holds: (() => void)[] = []
    try {
      for (const laneRunner of runner.lanes) {
        holds.push(await laneRunner.hold())
        await ports.cuts.settle(runner, laneRunner)
      }
      if (runner.lanes.every(({ stale }) => stale.size === 0)) return holds
    } catch (error) {
      for (const free of holds) free()
      throw error
    }
    // Keys are to be folded again first; whoever does it waits for the lane.
    for (const free of holds) free()
    await new Promise<void>(resolve => ports.clock.soon(resolve))
  }
}

/** Brings a build to where its live lane stands. */
async function catchUp(
  { refold }: ExchangePorts,
  { lane: live }: LaneRunner,
  { lane, stale }: Beside,
  isSameVersion: boolean,
): Promise<void> {
  await foldLane(refold, lane, live.consumed)
  for (const key of [...stale]) {
    stale.delete(key)
    const to = lane.parked.get(key)?.offset ?? lane.consumed
    applyState(lane, key, await foldKey(refold, lane, key, to))
  }
  if (isSameVersion) {
    for (const key of [...lane.parked.keys()]) {
      if (!live.parked.has(key)) await retryParked(refold, lane, key, true)
    }
  }
}
