/**
 * Writes the snapshots of the folds, one after the other, in small slices: requests and folds go
 * before them. What needs that none is written takes its turn here, too.
 */
import { Backoff, type Clock, type Logger, type Random } from '@millrace/core'
import type { SnapshotMeta, SnapshotStore } from '@millrace/store'
import type { Amendments } from './amendments.ts'
import type { Bases } from './bases.ts'
import { streamsErrors } from './errors.ts'
import type { StreamsSettings } from './options.ts'
import { decisionsDigest } from './rebuilds/builder.ts'
import { snapshotNameOf } from './rebuilds/events.ts'
import type { LeftBuild } from './rebuilds/exchange.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'
import { Slices } from './slices.ts'
import { LaneCapture } from './snapshot-codec.ts'
import type { TableWatch } from './table-watch.ts'

/** A snapshot takes a fourth of the loop's slice at a time: requests and folds go before it. */
const SLICE_SHARE = 1 / 4
/** A fold whose snapshot took long waits so many times as long before it begins the next. */
const REST = 4

/** What the writer stands on. */
export interface SnapshotPorts {
  readonly snapshots: SnapshotStore
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
  readonly settings: StreamsSettings
  readonly watch: TableWatch
  readonly amendments: Amendments
  readonly bases: Bases
  /** Work in the background; the runtime waits for it when it closes. */
  track(work: Promise<unknown>): void
  wake(): void
}

/** See the head of the file. */
export class SnapshotWriter {
  readonly #ports: SnapshotPorts
  readonly #backoffs = new Map<FoldRunner, Backoff>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(ports: SnapshotPorts) {
    this.#ports = ports
  }

  /** Begins the snapshots that are due. */
  startDue(runners: readonly FoldRunner[]): void {
    const { clock, settings, track } = this.#ports
    const { snapshotEveryRecords, snapshotEveryMs } = settings
    for (const runner of runners) {
      const folded = runner.consumed() - runner.foldedAtSnapshot
      // A fold that stopped writes no snapshot; to try again each turn would keep the loop awake.
      if (folded === 0 || runner.isSnapshotting || runner.error() !== undefined) continue
      const ageMs = clock.monotonicMs() - runner.snapshotAtMs
      if (folded < snapshotEveryRecords && ageMs < snapshotEveryMs) continue
      if (ageMs < runner.snapshotTookMs * REST) continue
      if (this.#backoffs.get(runner)?.isPausing === true) continue
      track(this.write(runner))
    }
  }

  /** Writes a snapshot when those asked for before are written, so that together they take one share of the time. */
  async write(runner: FoldRunner): Promise<void> {
    if (runner.isSnapshotting) return
    runner.isSnapshotting = true
    await this.inTurn(() => this.#write(runner))
  }

  /** Runs `work` while no snapshot is written. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return await turn
  }

  /**
   * Keeps a cut of a fold under a name. One that is `exact` says what the fold says at its offsets, to
   * the byte: a lane that looks at time stands still while it is written. Otherwise it folds on, and
   * what has become too old to be read meanwhile may be missing.
   */
  async keepCut(
    runner: FoldRunner,
    name: string,
    { isExact = false }: { readonly isExact?: boolean } = {},
  ): Promise<void> {
    await this.inTurn(() => this.#saveCut(runner, name, isExact))
  }

  /** Keeps a build that is no longer served, and the one that is; false when that failed. */
  async keepBoth(runner: FoldRunner, left: LeftBuild): Promise<boolean> {
    const { clock, snapshots, settings, logger } = this.#ports
    const slices = new Slices(clock, settings.sliceMs * SLICE_SHARE)
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (const lane of left.lanes) yield* new LaneCapture(lane, left.seen).chunks(slices)
    }
    const name = snapshotNameOf(runner.name, left.build)
    try {
      await this.inTurn(() => snapshots.save(name, this.#metaOf(runner, left.identity), chunks()))
      await this.keepCut(runner, runner.snapshotName)
      return true
    } catch (error) {
      logger.warn('a build could not be kept', {
        fold: runner.name,
        reason: runner.stopText(error),
      })
      return false
    }
  }

  /** Commits what a standing lane did, and waits until it is durable. */
  async settle(runner: FoldRunner, { lane, writer }: LaneRunner): Promise<void> {
    while (writer !== undefined && lane.consumed >= lane.mutedBefore && !writer.isDrained()) {
      if (writer.error !== undefined) {
        const reason = lane.stopText(writer.error)
        throw streamsErrors.create('FOLD_FAILED', { fold: runner.name, reason }, writer.error)
      }
      writer.flush()
      await writer.settled()
    }
  }

  /** A failure is logged, since the log can always give the state again. */
  async #write(runner: FoldRunner): Promise<void> {
    const { clock, logger } = this.#ports
    const startedMs = clock.monotonicMs()
    const folded = runner.consumed()
    try {
      if (runner.error() !== undefined) return
      await this.#saveCut(runner, runner.snapshotName, false)
      runner.foldedAtSnapshot = folded
      this.#backoffs.delete(runner)
      await this.#ports.bases.keep(runner)
    } catch (error) {
      this.#later(runner)
      logger.warn('a snapshot could not be written', {
        fold: runner.name,
        reason: runner.stopText(error),
      })
    } finally {
      runner.isSnapshotting = false
      runner.snapshotAtMs = clock.monotonicMs()
      runner.snapshotTookMs = runner.snapshotAtMs - startedMs
    }
  }

  /** Its next snapshot is tried after a pause: whoever ends an attempt wakes the loop, which looks what is due. */
  #later(runner: FoldRunner): void {
    const { clock, random, wake } = this.#ports
    const backoff = this.#backoffs.get(runner) ?? new Backoff({ clock, random, wake })
    this.#backoffs.set(runner, backoff)
    backoff.fail()
  }

  async #saveCut(runner: FoldRunner, name: string, isExact: boolean): Promise<void> {
    const meta = this.#metaOf(runner, runner.identity)
    await this.#ports.snapshots.save(name, meta, this.#encode(runner, isExact))
  }

  #metaOf(runner: FoldRunner, version: string): SnapshotMeta {
    const { watch, amendments } = this.#ports
    const folds = [runner.name, ...watch.tablesOf(runner).map(({ name }) => name)]
    return { version, info: { format: 1, decisions: decisionsDigest(amendments, folds) } }
  }

  async *#encode(runner: FoldRunner, isExact: boolean): AsyncGenerator<Uint8Array> {
    const { clock, settings, watch, wake } = this.#ports
    const slices = new Slices(clock, settings.sliceMs * SLICE_SHARE)
    for (const laneRunner of runner.lanes) {
      const free = await this.#holdSettled(runner, laneRunner)
      const { lane } = laneRunner
      const capture = new LaneCapture(lane, watch.seenBy(runner))
      const goOn = (): void => {
        free()
        wake()
      }
      const isSteady = lane.shard.isSteadyInTime === true && !isExact
      if (lane.shard.advance === undefined || isSteady) goOn()
      try {
        yield* capture.chunks(slices)
      } finally {
        capture.end()
        goOn()
      }
    }
  }

  /** Stops a lane where its steps are durable and its state has seen all that its tables hold. */
  async #holdSettled(runner: FoldRunner, laneRunner: LaneRunner): Promise<() => void> {
    for (;;) {
      const free = await laneRunner.hold()
      try {
        await this.settle(runner, laneRunner)
        // Keys that wait for a lane that stopped would be waited for without end.
        const { error, lane } = laneRunner
        if (error !== undefined) {
          const reason = lane.stopText(error)
          throw streamsErrors.create('FOLD_FAILED', { fold: runner.name, reason }, error)
        }
      } catch (error) {
        free()
        throw error
      }
      if (laneRunner.stale.size === 0) return free
      free()
    }
  }
}
