/**
 * Rebuilds beside the live state: begins a build, follows it, compares it, switches to it, and back.
 *
 * Promise: at every moment one build of a fold is served, the one that the log names
 * (`events.ts`). The switch is durable before it is seen; a read sees the one or the other, at the
 * position of the switch both. What a build came to is kept: the same call goes on after a crash.
 * See docs/adr/0012-rebuild-and-switch.md.
 */
import { isError, type Clock, type Logger } from '@millrace/core'
import type { EventLog, Leases } from '@millrace/log'
import type { SnapshotStore } from '@millrace/store'
import { streamsErrors } from '../errors.ts'
import type { FoldRunner, FoldVersion, LaneRunner } from '../runner.ts'
import {
  decisionsDigest,
  foldsOf,
  type BuildJob,
  type Builder,
  type BuildTarget,
  type DifferencesSink,
  type OpenBuilder,
} from './builder.ts'
import { differencesOf } from './compare.ts'
import type { RebuildRequest, Rebuilds, RebuildStatus } from './contract.ts'
import {
  type BuildBook,
  cutNameOf,
  parseSnapshotName,
  type Build,
  type BuildEvent,
} from './events.ts'
import { LoadedBuild, type ExchangePorts } from './exchange.ts'
import { Fellows } from './fellows.ts'
import { jobOf, positionOf, type JobPorts } from './job.ts'

/** What rebuilds need of the runtime. */
export interface RebuildPorts extends Omit<ExchangePorts, 'log'>, JobPorts {
  readonly book: BuildBook
  readonly log: EventLog
  readonly snapshots: SnapshotStore
  readonly clock: Clock
  readonly logger: Logger
  /** Present where other processes may serve the same folds. */
  readonly leases: Leases | undefined
  readonly openBuilder: OpenBuilder
  readonly differences: DifferencesSink | undefined
  runner(name: string): FoldRunner
}

/** Nearer than this the build is loaded beside the live state, which folds the rest. */
const GAP_RECORDS = 20_000
const CHASES_MAX = 20
const LIVE_POLL_MS = 20

interface Work {
  state: RebuildStatus['state']
  readonly startedMs: number
  endedMs: number | undefined
  readonly consumed: Float64Array
  startedAt: number
  total: number
  builder: Builder | undefined
  error: unknown
  isDropped: boolean
  running: Promise<void>
}

type Compared = NonNullable<RebuildStatus['comparison']> & { readonly build: number }

/** Creates the rebuilds of a runtime. `isAtWork` tells whether this process rebuilds a fold or switches it. */
export function createRebuilds(
  ports: RebuildPorts,
): Rebuilds & { isAtWork(fold: string): boolean } {
  return new RuntimeRebuilds(ports)
}

class RuntimeRebuilds implements Rebuilds {
  readonly #ports: RebuildPorts
  readonly #book: BuildBook
  readonly #fellows: Fellows
  readonly #works = new Map<string, Work>()
  readonly #compared = new Map<string, Compared>()

  constructor(ports: RebuildPorts) {
    this.#ports = ports
    this.#book = ports.book
    this.#fellows = new Fellows(ports)
  }

  isAtWork(fold: string): boolean {
    const work = this.#works.get(fold)
    return work !== undefined && work.endedMs === undefined
  }

  async start({ fold, isDryRun = false, maxDifferences }: RebuildRequest): Promise<RebuildStatus> {
    const runner = await this.#free(fold)
    const { version } = runner.newest.definition
    if (!isDryRun) allowedOf(runner, maxDifferences)
    this.#begin(runner, 'building', async work => {
      const build = await this.#openBuild(runner, version)
      const job = jobOf(this.#ports, runner, build, runner.newest)
      await this.#withBuilder(work, job, async builder => {
        await this.#chase(runner, work, builder)
        work.state = 'comparing'
        const comparison = await this.#compare(runner, work, build, builder)
        if (isDryRun) return
        assertAllowed(runner, comparison.different, maxDifferences)
        work.state = 'switching'
        await this.#chase(runner, work, builder)
      })
      if (!isDryRun) await this.#exchange(runner, job, runner.newest)
    })
    return this.status(fold)
  }

  async switch({ fold, maxDifferences }: Omit<RebuildRequest, 'isDryRun'>): Promise<RebuildStatus> {
    const runner = await this.#free(fold)
    if (!this.#isReady(fold)) throw streamsErrors.create('REBUILD_NOT_READY', { fold })
    const open = this.#book.of(fold).open as Build
    const { different } = this.#compared.get(fold) as Compared
    assertAllowed(runner, different, maxDifferences)
    await this.#moveTo(runner, open, runner.newest)
    return this.status(fold)
  }

  async back(fold: string): Promise<RebuildStatus> {
    const runner = await this.#free(fold)
    const { before } = this.#book.of(fold)
    const refuse = (reason: string): never => {
      throw streamsErrors.create('REBUILD_NOTHING', { fold, reason })
    }
    if (before === undefined) return refuse('none was served before')
    const version = runner.versions.find(({ definition }) => definition.version === before.version)
    if (version === undefined) {
      return refuse(`the definition has no version ${before.version} of it`)
    }
    this.#compared.delete(fold)
    await this.#moveTo(runner, before, version)
    return this.status(fold)
  }

  async drop(fold: string): Promise<RebuildStatus> {
    const runner = this.#ports.runner(fold)
    await this.#book.follow()
    this.#fellows.assertOwn(fold)
    const work = this.#works.get(fold)
    const wasOpen = this.#book.of(fold).open !== undefined
    if (work !== undefined && work.state !== 'switching') {
      work.isDropped = true
      await work.builder?.close()
    }
    await work?.running
    const { open, before } = this.#book.of(fold)
    // The way back is not what was meant by one that was switched to meanwhile.
    const dropped = wasOpen ? open : (open ?? before)
    if (dropped === undefined) {
      const reason = wasOpen ? 'it was switched to meanwhile' : 'none is made, and none is kept'
      throw streamsErrors.create('REBUILD_NOTHING', { fold, reason })
    }
    this.#works.delete(fold)
    this.#compared.delete(fold)
    await this.#commit(fold, { kind: 'dropped', ...dropped })
    await this.#sweep(runner, { areWhole: false })
    return this.status(fold)
  }

  async settled(fold: string): Promise<RebuildStatus> {
    await this.#works.get(fold)?.running
    return this.status(fold)
  }

  status(fold: string): RebuildStatus {
    const runner = this.#ports.runner(fold)
    const { before, open } = this.#book.of(fold)
    const { build, definition } = runner
    const work = this.#works.get(fold)
    const comparison = this.#compared.get(fold)
    const where = this.#fellows.elsewhere(fold)
    const folded = work === undefined ? 0 : sum(work.consumed)
    const endMs = work?.endedMs ?? this.#ports.clock.monotonicMs()
    return {
      fold,
      live: { build, version: definition.version },
      ...(before === undefined ? {} : { before }),
      ...(open === undefined ? {} : { open }),
      state: work?.state ?? 'idle',
      ...(work?.error === undefined ? {} : { error: describe(runner, work.error) }),
      folded,
      total: Math.max(work?.total ?? 0, folded),
      elapsedMs: work === undefined ? 0 : Math.round(endMs - work.startedMs),
      foldedNow: work === undefined ? 0 : folded - work.startedAt,
      ...(comparison === undefined ? {} : { comparison }),
      ...(where === undefined ? {} : { where }),
    }
  }

  async close(): Promise<void> {
    for (const work of this.#works.values()) {
      work.isDropped = true
      await work.builder?.close()
      await work.running
    }
  }

  /** The runner of a fold of which nothing is under way, in any process. */
  async #free(fold: string): Promise<FoldRunner> {
    const runner = this.#ports.runner(fold)
    await this.#book.follow()
    const refuse = (reason: string): never => {
      throw streamsErrors.create('REBUILD_UNSUPPORTED', { fold, reason })
    }
    if (runner.definition.readKey === undefined) refuse('it is no declared view')
    const { source } = runner.definition
    const stats = this.#ports.log.stats().streams.find(({ stream }) => stream === source)
    if (stats?.partitions.some(({ start }) => start > 0)) {
      refuse(`the stream ${source} no longer has its first records`)
    }
    assertFolds(runner)
    if (this.isAtWork(fold)) throw streamsErrors.create('REBUILD_RUNNING', { fold })
    this.#fellows.assertOwn(fold)
    return runner
  }

  /** Another process may have taken the build over, or dropped it, while this one was held up. */
  #assertMine(fold: string, build: number): void {
    const { open, before } = this.#book.of(fold)
    const isMine = open?.build === build && open.process === this.#ports.leases?.member
    if (isMine || (open?.build !== build && before?.build === build)) return
    throw streamsErrors.create('REBUILD_ELSEWHERE', { fold, where: 'another process' })
  }

  /** Works in the background; what it throws is in the status. */
  #begin(
    runner: FoldRunner,
    state: Work['state'],
    run: (work: Work) => Promise<void>,
  ): { readonly work: Work; readonly done: Promise<void> } {
    const { clock, logger } = this.#ports
    const work: Work = {
      state,
      startedMs: clock.monotonicMs(),
      endedMs: undefined,
      consumed: new Float64Array(
        new SharedArrayBuffer(runner.lanes.length * Float64Array.BYTES_PER_ELEMENT),
      ),
      startedAt: 0,
      total: 0,
      builder: undefined,
      error: undefined,
      isDropped: false,
      running: Promise.resolve(),
    }
    this.#works.set(runner.name, work)
    const done = run(work)
    work.running = done
      .then(
        () => {
          work.state = this.#isReady(runner.name) ? 'ready' : 'idle'
        },
        (error: unknown) => {
          work.error = error
          work.state = this.#isReady(runner.name) ? 'ready' : 'failed'
          logger.warn('a rebuild ended', { fold: runner.name, reason: runner.stopText(error) })
        },
      )
      .finally(() => (work.endedMs = clock.monotonicMs()))
    return { work, done }
  }

  /** True when the open build was compared, by this process. */
  #isReady(fold: string): boolean {
    const { open } = this.#book.of(fold)
    return open !== undefined && this.#compared.get(fold)?.build === open.build
  }

  /** The build to go on with, or a new one. */
  async #openBuild(runner: FoldRunner, version: string): Promise<Build> {
    const fold = runner.name
    const { open, next } = this.#book.of(fold)
    this.#compared.delete(fold)
    const { leases } = this.#ports
    const process = leases?.member
    const maker = process === undefined ? {} : { process }
    if (open?.version === version) {
      // What another process began and did not end is taken over, so that it cannot switch late.
      const own = { build: open.build, version }
      if (open.process !== process) await this.#commit(fold, { kind: 'started', ...own, ...maker })
      return own
    }
    if (open !== undefined) {
      await this.#commit(fold, { kind: 'dropped', ...open })
      await this.#sweep(runner, { areWhole: false })
    }
    const build = { build: next, version }
    await this.#commit(fold, { kind: 'started', ...build, ...maker })
    return build
  }

  async #withBuilder(
    work: Work,
    job: BuildJob,
    use: (builder: Builder) => Promise<void>,
  ): Promise<void> {
    const builder = await this.#ports.openBuilder(job, work.consumed)
    work.builder = builder
    work.startedAt = sum(work.consumed)
    try {
      await use(builder)
    } finally {
      work.builder = undefined
      await builder.close()
    }
  }

  /** Folds until little is left. */
  async #chase(runner: FoldRunner, work: Work, builder: Builder): Promise<void> {
    for (let chase = 0; chase < CHASES_MAX; chase++) {
      await this.#awaitLive(runner, work)
      const target = this.#targetOf(runner)
      work.total = target.ends.reduce((all, end) => all + end, 0)
      await builder.foldTo(target)
      if (runner.consumed() - work.total <= GAP_RECORDS) return
    }
  }

  /** After a restart the live lanes may be behind the build that was kept: it cannot go back to them. */
  async #awaitLive(runner: FoldRunner, work: Work): Promise<void> {
    const isBehind = ({ lane }: LaneRunner): boolean =>
      lane.consumed < (work.consumed[lane.partition] as number)
    const assertGoesOn = (): void => {
      if (work.isDropped) throw streamsErrors.create('REBUILD_DROPPED', { fold: runner.name })
      assertFolds(runner)
    }
    for (assertGoesOn(); runner.lanes.some(isBehind); assertGoesOn()) {
      await new Promise<void>(resolve => this.#ports.clock.after(LIVE_POLL_MS, resolve))
    }
  }

  /** As far as the live lanes have come, which is durable, and what they have seen of their tables. */
  #targetOf(runner: FoldRunner): BuildTarget {
    return {
      ends: runner.lanes.map(({ lane }) => lane.consumed),
      tables: this.#ports.watch.seenBy(runner).tables,
    }
  }

  async #compare(
    runner: FoldRunner,
    { consumed }: Work,
    build: Build,
    builder: Builder,
  ): Promise<Compared> {
    const { snapshots, cuts, differences } = this.#ports
    const fold = runner.name
    const cut = cutNameOf(fold, build.build)
    try {
      await cuts.keepCut(runner, cut, { isExact: true })
      const file = await differences?.begin({ fold, build: build.build })
      const comparison = await builder.compare()
      const different = differencesOf(comparison)
      const compared = {
        ...comparison,
        different,
        build: build.build,
        ...(file === undefined ? {} : { file }),
      }
      const { keys } = comparison
      // The build stands where the cut was made.
      const position = positionOf(runner, ({ partition }) => consumed[partition] as number)
      await this.#commit(fold, { kind: 'compared', ...build, keys, different, position })
      this.#compared.set(fold, compared)
      return compared
    } finally {
      await snapshots.remove(cut)
    }
  }

  /** Folds a kept build to the end and switches to it. */
  async #moveTo(runner: FoldRunner, build: Build, version: FoldVersion): Promise<void> {
    const job = jobOf(this.#ports, runner, build, version)
    const { work, done } = this.#begin(runner, 'switching', async own => {
      await this.#withBuilder(own, job, builder => this.#chase(runner, own, builder))
      await this.#exchange(runner, job, version)
    })
    await work.running
    await done
  }

  async #exchange(runner: FoldRunner, job: BuildJob, version: FoldVersion): Promise<void> {
    const { build } = job
    const fold = runner.name
    const before = { build: runner.build, version: runner.definition.version }
    const different = this.#compared.get(fold)?.different
    const own = { build, version: version.definition.version }
    const loaded = await LoadedBuild.load(this.#ports, runner, { job, version })
    try {
      await this.#fellows.gather(fold, own)
      await loaded.chase()
      const left = await loaded.exchange({
        assertCurrent: () => {
          this.#assertMine(fold, build)
          this.#fellows.assertGathered(fold)
          if (decisionsDigest(this.#ports.amendments, foldsOf(job)) === job.decisions) return
          throw streamsErrors.create('REBUILD_OUTDATED', { fold })
        },
        commit: async () => {
          await this.#commit(fold, {
            kind: 'switched',
            ...own,
            before,
            position: positionOf(runner),
            ...(different === undefined ? {} : { different }),
          })
        },
      })
      await this.#sweep(runner, { areWhole: await this.#ports.cuts.keepBoth(runner, left) })
    } finally {
      loaded.release()
    }
  }

  /** Gives back what belongs to no build that is served, kept or open, and the parts of those that are `whole`. */
  async #sweep(
    { name, build: live }: FoldRunner,
    { areWhole }: { readonly areWhole: boolean },
  ): Promise<void> {
    const { snapshots } = this.#ports
    const { before, open } = this.#book.of(name)
    const needed = new Set([live, before?.build, open?.build])
    for (const snapshot of await snapshots.list()) {
      const found = parseSnapshotName(name, snapshot)
      if (found === undefined) continue
      const { build, isPart } = found
      const isNeeded = needed.has(build) && (!isPart || !areWhole || build === open?.build)
      if (!isNeeded) await snapshots.remove(snapshot)
    }
  }

  #commit(fold: string, event: BuildEvent): Promise<void> {
    return this.#book.decide(fold, this.#ports.clock.nowMs(), event)
  }
}

/** How many rows may differ; throws REBUILD_LIMIT_MISSING when it must be said. */
function allowedOf(runner: FoldRunner, maxDifferences: number | undefined): number {
  const { newest, definition, name: fold } = runner
  const [from, to] = [definition.version, newest.definition.version]
  if (maxDifferences !== undefined) return maxDifferences
  if (from === to) return 0
  throw streamsErrors.create('REBUILD_LIMIT_MISSING', { fold, from, to })
}

function assertAllowed(
  runner: FoldRunner,
  different: number,
  maxDifferences: number | undefined,
): void {
  const allowed = allowedOf(runner, maxDifferences)
  if (different <= allowed) return
  throw streamsErrors.create('REBUILD_REFUSED', { fold: runner.name, different, allowed })
}

function assertFolds(runner: FoldRunner): void {
  if (runner.error() === undefined) return
  const reason = 'it stopped; remove the cause and restart'
  throw streamsErrors.create('REBUILD_UNSUPPORTED', { fold: runner.name, reason })
}

function describe(runner: FoldRunner, error: unknown): NonNullable<RebuildStatus['error']> {
  if (!isError(error)) return { message: runner.stopText(error) }
  const { code, message, remedy } = error
  return { code, message, remedy }
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((all, number) => all + number, 0)
}
