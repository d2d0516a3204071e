/**
 * `openStreams`: folds over one log.
 *
 * Promise: each record has its effect on each fold exactly once, whatever is killed: state is the
 * newest snapshot folded forward, emissions are committed with the range that caused them
 * (docs/adr/0003-streams-runtime.md). Reads never wait for the loop; they see whole records.
 */
import { partitionName, type Position } from '@millrace/core'
import type { EventLog, LogRecord } from '@millrace/log'
import { Amendments, type Amendment } from './amendments.ts'
import { Bases } from './bases.ts'
import { OpenBranches } from './branches/branches.ts'
import { CorrectionBook } from './corrections/book.ts'
import { Corrector } from './corrections/corrector.ts'
import { CorrectionRequests, type CorrectionControl } from './corrections/control.ts'
import { assemble, type Assembled, type Decided } from './assemble.ts'
import { amend, waitingRecords } from './dead-letters.ts'
import { Decisions, isReplaying } from './decisions.ts'
import { streamsErrors } from './errors.ts'
import type { FoldDefinition, FoldShard } from './fold.ts'
import { createIdentities, type Identities } from './identity/control.ts'
import type { Lane } from './lane.ts'
import { loadFold } from './load.ts'
import { ViewLoop } from './loop.ts'
import { SETTINGS_DEFAULT, type StreamsOptions, type StreamsSettings } from './options.ts'
import { createPast, type Past } from './past/past.ts'
import { carryBack, carryForward, hasConsumed, upstreamOf } from './reach.ts'
import { rebuildKeys, rebuildLane, refoldKeys, type Rebuilt } from './rebuild.ts'
import { openBuilder, type OpenBuilder } from './rebuilds/builder.ts'
import type { Rebuilds } from './rebuilds/contract.ts'
import type { BuildBook } from './rebuilds/events.ts'
import { BuildFollower } from './rebuilds/follower.ts'
import { createRebuilds, type RebuildPorts } from './rebuilds/rebuilds.ts'
import { replayRange, type Replayed, type ReplayRequest } from './rebuilds/replay.ts'
import { retryParked, type RefoldPorts } from './refold.ts'
import { Retries } from './retries.ts'
import { Roles } from './roles.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'
import { SnapshotWriter } from './snapshot-writer.ts'
import type { LoopStatus } from './stalls.ts'
import type { FoldHandle, FoldStatus, Streams } from './streams.ts'
import { TableWatch } from './table-watch.ts'
import { Waiters } from './waiters.ts'

/**
 * Opens the runtime: restores every fold and starts to fold. The streams that the folds name are
 * declared before. Refuses FOLD_INVALID.
 */
export async function openStreams(options: StreamsOptions): Promise<Streams> {
  const settings = { ...SETTINGS_DEFAULT, ...options.options }
  const runtime: { current?: Runtime } = {}
  const amendments = await Amendments.open(options.log)
  const onSettled = (): void => runtime.current?.wake()
  const corrections = await CorrectionBook.open(options.log)
  const decided = { amendments, corrections }
  const assembled = await assemble(options, settings, { ...decided, onSettled })
  runtime.current = new Runtime(options, settings, { ...assembled, ...decided })
  await runtime.current.load()
  return runtime.current
}

class Runtime implements Streams {
  readonly #options: StreamsOptions
  readonly #settings: StreamsSettings
  readonly #runners: ReadonlyMap<string, FoldRunner>
  readonly #all: readonly FoldRunner[]
  readonly #watch: TableWatch
  readonly #loop: ViewLoop
  readonly #decisions: Decisions
  readonly #corrector: Corrector
  /** Absent where one process runs the folds. */
  readonly #roles: Roles | undefined
  readonly #follower: BuildFollower | undefined
  readonly #ports: RefoldPorts & { readonly log: EventLog }
  readonly #waiters: Waiters
  readonly #upstream = new Map<FoldRunner, readonly FoldRunner[]>()
  readonly #background = new Set<Promise<unknown>>()
  readonly #snapshots: SnapshotWriter
  readonly #retries: Retries
  readonly past: Past
  readonly rebuilds: Rebuilds
  readonly corrections: CorrectionControl
  readonly identities: Identities
  readonly branches: OpenBranches
  #stopListening: () => void = () => undefined
  #snapshotTimer: { cancel(): void } | undefined
  #isClosed = false

  constructor(
    options: StreamsOptions,
    settings: StreamsSettings,
    { runners, book, amendments, corrections }: Assembled & Decided,
  ) {
    this.#options = options
    this.#settings = settings
    this.#runners = runners
    this.#all = [...runners.values()]
    const { log, clock, random, logger, leases } = options
    this.#ports = { log, clock, sliceMs: settings.sliceMs }
    this.#waiters = new Waiters(clock)
    const wake = (): void => this.wake()
    const track = (work: Promise<unknown>): void => this.#track(work)
    this.#watch = new TableWatch(runners, options.tables ?? {}, (runner, laneRunner) =>
      this.#refoldStale(runner, laneRunner),
    )
    const { snapshots } = options
    const everyRecords = settings.baseEveryRecords
    const bases = new Bases({ snapshots, amendments, watch: this.#watch, logger, everyRecords })
    const written = { snapshots, bases, clock, random, logger, settings, watch: this.#watch }
    this.#snapshots = new SnapshotWriter({ ...written, amendments, track, wake })
    const settle = (runner: FoldRunner, laneRunner: LaneRunner): Promise<void> =>
      this.#snapshots.settle(runner, laneRunner)
    this.#retries = new Retries({ clock, random, logger })
    const shared = { ...this.#ports, random, logger, settle, wake, retries: this.#retries }
    const reached = (at: { position: Position; timeoutMs: number }): Promise<void> =>
      this.reached(at)
    const own = { book: corrections, watch: this.#watch, bases, check: options.checkCorrection }
    this.#corrector = new Corrector({ ...shared, ...own, track, people: options.people }, this.#all)
    const asked = { ...shared, ...own, corrector: this.#corrector, runners: this.#all, reached }
    this.identities = createIdentities(asked)
    const requests = new CorrectionRequests(asked)
    this.corrections = requests
    const runnerOf = (name: string): FoldRunner => this.#runner(name)
    this.branches = new OpenBranches({ ...asked, requests, runnerOf })
    if (leases !== undefined) {
      this.#roles = new Roles({ ...shared, leases, amendments, book: corrections }, this.#all)
    }
    this.#loop = this.#createLoop()
    this.#decisions = new Decisions({ log, logger, retry: at => this.#retry(at) }, this.#all)
    for (const runner of this.#all) this.#upstream.set(runner, upstreamOf([runner], this.#all))
    this.past = createPast(asked, runnerOf)
    const ports = this.#rebuildPorts(book, { amendments, corrections })
    const rebuilds = createRebuilds(ports)
    this.rebuilds = rebuilds
    if (leases !== undefined) {
      const isAtWork = (fold: string): boolean => rebuilds.isAtWork(fold)
      this.#follower = new BuildFollower({ ...ports, leases, isAtWork }, this.#all)
    }
  }

  #createLoop(): ViewLoop {
    const { log, clock, random, logger } = this.#options
    return new ViewLoop({
      log,
      clock,
      random,
      logger,
      settings: this.#settings,
      runners: this.#all,
      watch: this.#watch,
      retries: this.#retries,
      onBegin: () => {
        this.#roles?.begin()
        this.#follower?.begin()
        this.#corrector.begin()
      },
      onTurn: () => this.#afterTurn(),
    })
  }

  async load(): Promise<void> {
    const { log, snapshots, logger, leases } = this.#options
    const ports = { ...this.#ports, snapshots, logger, leases }
    const tables = this.#all.filter(runner => this.#watch.isTable(runner))
    const others = this.#all.filter(runner => !this.#watch.isTable(runner))
    for (const runner of [...tables, ...others]) {
      const seen = await loadFold(ports, runner)
      runner.noteShards()
      await this.#watch.catchUp({ log, rows: this.#corrector.rows }, runner, seen)
      runner.foldedAtSnapshot = runner.consumed()
    }
    this.#stopListening = log.onAdvance(() => this.#loop.wake())
    await this.#roles?.stand()
    this.#loop.start()
    this.#scheduleSnapshots()
  }

  wake(): void {
    this.#loop.wake()
  }

  fold<Shard extends FoldShard = FoldShard>(name: string): FoldHandle<Shard> {
    return this.#runner(name).handle<Shard>()
  }

  status(): readonly FoldStatus[] {
    const ends = this.#options.log.ends()
    return this.#all.map(runner => runner.status(ends))
  }

  loop(): LoopStatus {
    return this.#loop.status()
  }

  async reached(request: {
    position: Position
    folds?: readonly string[]
    timeoutMs: number
  }): Promise<void> {
    const { position, timeoutMs } = request
    const folds = this.#named(request.folds)
    const isReached = (): boolean => folds.every(runner => this.#hasReached(runner, position))
    if (isReached()) return
    this.#assertOpen()
    await this.#waiters.within(timeoutMs, isReached, () => {
      const late = folds.filter(runner => !this.#hasReached(runner, position))
      return {
        folds: late.map(runner => runner.name).join(', '),
        progress: late.map(runner => ({ fold: runner.name, at: [...runner.position()] })),
      }
    })
  }

  reflected(folds?: readonly string[]): Position {
    let reflected: Map<string, number> | undefined
    for (const runner of this.#named(folds)) {
      const own = carryBack(runner, this.#all, this.#watch.tablesOf(runner))
      if (reflected === undefined) {
        reflected = own
        continue
      }
      for (const [name, offset] of own) {
        const other = reflected.get(name)
        reflected.set(name, other === undefined ? offset : Math.min(other, offset))
      }
    }
    return reflected ?? new Map()
  }

  async rebuild(request: {
    fold: string
    keys?: readonly string[]
    replace?: boolean
  }): Promise<{ readonly keys: number; readonly different: readonly string[] }> {
    const { keys, replace = false } = request
    const runner = this.#runner(request.fold)
    this.#assertOpen()
    const parts: Rebuilt[] = []
    for (const laneRunner of runner.lanes) {
      if (keys === undefined) {
        parts.push(await rebuildLane(this.#ports, laneRunner, replace))
        continue
      }
      const own = keys.filter(key => runner.laneOf(key) === laneRunner)
      if (own.length > 0) parts.push(await rebuildKeys(this.#ports, laneRunner, own, replace))
    }
    this.#loop.wake()
    return {
      keys: parts.reduce((sum, part) => sum + part.keys, 0),
      different: parts.flatMap(part => part.different),
    }
  }

  replay(request: ReplayRequest): Promise<Replayed> {
    return replayRange(this.#ports, this.#runner(request.fold), request)
  }

  retry(request: { fold: string; key: string }): Promise<boolean> {
    return this.#retry(request)
  }

  waiting(request: {
    fold: string
    key: string
    from?: number
    recordsMax: number
  }): Promise<readonly LogRecord[]> {
    const { lane } = this.#runner(request.fold).laneOf(request.key)
    return waitingRecords(this.#options.log, lane, request)
  }

  amend(request: {
    fold: string
    key: string
    offset?: number
    amendment: Amendment
  }): Promise<boolean> {
    return this.#retry(request, lane => amend(this.#ports, lane, request))
  }

  async #retry(
    { fold, key }: { fold: string; key: string },
    prepare?: (lane: Lane) => Promise<void>,
  ): Promise<boolean> {
    const runner = this.#runner(fold)
    this.#assertOpen()
    const laneRunner = runner.laneOf(key)
    this.#roles?.assertLeads(runner, laneRunner)
    await this.#waiters.until(() => this.#isClosed || !isReplaying(laneRunner))
    const isReleased = await laneRunner.exclusively(async () => {
      const { lane } = laneRunner
      this.#roles?.assertLeads(runner, laneRunner)
      await prepare?.(lane)
      const group = [...(lane.parked.get(key)?.group ?? [])]
      const done = await retryParked(this.#ports, lane, key, false)
      this.#watch.noteRetried(runner, group)
      // Who is told that a key was released may rely on it.
      await this.#snapshots.settle(runner, laneRunner)
      this.#roles?.assertLeads(runner, laneRunner)
      return done
    })
    this.#loop.wake()
    return isReleased
  }

  onChange(fold: string, listener: () => void): () => void {
    const { listeners } = this.#runner(fold)
    const entry = (): void => listener()
    listeners.add(entry)
    return () => void listeners.delete(entry)
  }

  async snapshot(): Promise<void> {
    this.#assertOpen()
    for (const runner of this.#all) await this.#snapshots.write(runner)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.branches.close()
    await this.rebuilds.close()
    await this.#follower?.close()
    await this.#catchUp()
    this.#isClosed = true
    this.#retries.close()
    this.#corrector.close()
    this.#snapshotTimer?.cancel()
    this.#stopListening()
    await this.#loop.stop()
    const writesSnapshots = this.#writesSnapshots()
    // The others go on while this process writes what it leaves behind.
    await this.#roles?.leave()
    await Promise.allSettled(this.#background)
    this.#waiters.close()
    if (!writesSnapshots) return
    for (const runner of this.#all) {
      if (runner.consumed() !== runner.foldedAtSnapshot) await this.#snapshots.write(runner)
    }
  }

  /** Folds what was durable when it was called, as far as the folds can. */
  async #catchUp(): Promise<void> {
    const ends = new Map(this.#options.log.ends())
    const placeOf = ({ definition }: FoldRunner, { lane }: LaneRunner): string =>
      partitionName(definition.source, lane.partition)
    const isStuck = (runner: FoldRunner, laneRunner: LaneRunner): boolean =>
      laneRunner.error !== undefined ||
      laneRunner.writer?.error !== undefined ||
      this.#loop.isUnread(placeOf(runner, laneRunner))
    const isDone = (): boolean =>
      this.#loop.isStopped ||
      this.#all.every(runner => {
        // A fold that joins goes no further than its tables.
        const tables = this.#watch.tablesOf(runner)
        if (tables.some(table => table.lanes.some(lane => isStuck(table, lane)))) return true
        return runner.lanes.every(laneRunner => {
          const { lane, writer } = laneRunner
          // What another process commits is not waited for.
          if (isStuck(runner, laneRunner) || writer?.leads === false) return true
          const end = ends.get(placeOf(runner, laneRunner)) ?? 0
          return lane.consumed >= end && writer?.isDrained() !== false
        })
      })
    this.#loop.wake()
    await this.#waiters.until(isDone)
  }

  #hasReached(runner: FoldRunner, position: Position): boolean {
    // A fold that joins has seen a table version when the keys that read too early are folded again.
    if (runner.lanes.some(({ stale, isRefolding }) => isRefolding || stale.size > 0)) return false
    const tables = this.#watch.tablesOf(runner)
    if (tables.some(table => !this.#hasReached(table, position))) return false
    const upstream = this.#upstream.get(runner) ?? []
    if (!this.#corrector.hasReached(runner, position, upstream)) return false
    const needed = upstream.length === 0 ? position : carryForward(position, upstream)
    return needed !== undefined && hasConsumed(runner, needed)
  }

  #afterTurn(): void {
    this.#waiters.check()
    for (const runner of this.#all) runner.notify(this.#options.logger)
    for (const due of this.#decisions.due()) this.#track(due)
    if (this.#isClosed || !this.#writesSnapshots() || this.#corrector.holdsSnapshots) return
    this.#snapshots.startDue(this.#all)
  }

  #refoldStale(runner: FoldRunner, laneRunner: LaneRunner): void {
    const { stale } = laneRunner
    laneRunner.isRefolding = true
    const refold = this.#retries.persist(runner, laneRunner, async () => {
      // Table versions that arrive meanwhile add to the set; it is emptied before the lane goes on.
      while (stale.size > 0) {
        const keys = [...stale]
        stale.clear()
        try {
          await refoldKeys(this.#ports, laneRunner, keys)
        } catch (error) {
          for (const key of keys) stale.add(key)
          throw error
        }
      }
      laneRunner.isRefolding = false
    })
    this.#track(
      refold.catch((error: unknown) => {
        laneRunner.error = error
        const reason = laneRunner.lane.stopText(error)
        this.#options.logger.error('a fold stopped', { fold: runner.name, reason })
      }),
    )
  }

  #track(work: Promise<unknown>): void {
    this.#background.add(work)
    void work.finally(() => {
      this.#background.delete(work)
      this.#loop.wake()
    })
  }

  #scheduleSnapshots(): void {
    this.#snapshotTimer = this.#options.clock.after(this.#settings.snapshotEveryMs, () => {
      this.#loop.wake()
      if (!this.#isClosed) this.#scheduleSnapshots()
    })
  }

  /** Of several processes with the same state one writes it down: that which has the first partitions. */
  #writesSnapshots(): boolean {
    const { leases } = this.#options
    return leases === undefined || leases.tokenOf(0) !== undefined
  }

  #rebuildPorts(book: BuildBook, { amendments, corrections }: Decided): RebuildPorts {
    const { log, snapshots, clock, logger, leases } = this.#options
    const { openBuilder: openElsewhere, differences } = this.#options
    const { sliceMs, tenant } = this.#settings
    const definitionOf = (name: string, version: string): FoldDefinition =>
      this.#runner(name).versions.find(({ definition }) => definition.version === version)
        ?.definition as FoldDefinition
    const sink = differences === undefined ? {} : { differences }
    const here: OpenBuilder = (job, consumed) =>
      openBuilder(
        {
          log,
          snapshots,
          clock,
          sliceMs,
          definitionOf,
          amendments,
          corrections: corrections.head(),
          ...sink,
        },
        job,
        consumed,
      )
    return {
      book,
      log,
      snapshots,
      clock,
      logger,
      tenant,
      sliceMs,
      leases,
      watch: this.#watch,
      refold: this.#ports,
      amendments,
      corrections,
      openBuilder: openElsewhere ?? here,
      differences,
      runner: name => this.#runner(name),
      cuts: this.#snapshots,
      refoldStale: (runner, laneRunner) => this.#refoldStale(runner, laneRunner),
      corrector: this.#corrector,
      wake: () => this.#loop.wake(),
    }
  }

  #named(names: readonly string[] | undefined): readonly FoldRunner[] {
    return names === undefined ? this.#all : names.map(name => this.#runner(name))
  }

  #runner(name: string): FoldRunner {
    const runner = this.#runners.get(name)
    if (runner === undefined) throw streamsErrors.create('FOLD_UNKNOWN', { fold: name })
    return runner
  }

  #assertOpen(): void {
    if (this.#isClosed) throw streamsErrors.create('STREAMS_CLOSED')
  }
}
