/**
 * Follows the switches of other processes over the same log. A build that another process announces is
 * loaded beside the live lanes and folds with them; when it is switched to, it takes their place here
 * as well, as soon as the decision is heard of. A switch that this process missed is followed once its
 * build is loaded; a build of a version that its definition lacks is not, and it says so.
 */
import { Backoff, type Logger } from '@millrace/core'
import type { Leases } from '@millrace/log'
import { errorText } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import type { Build, BuildBook } from './events.ts'
import { LoadedBuild, type ExchangePorts } from './exchange.ts'
import { jobOf, type JobPorts } from './job.ts'

/** What a follower needs of the runtime. */
export interface FollowerPorts extends ExchangePorts, JobPorts {
  readonly book: BuildBook
  readonly leases: Leases
  readonly logger: Logger
  /** True while this process itself rebuilds or switches a fold. */
  isAtWork(fold: string): boolean
}

const POLL_MS = 20
/** How long a follower waits after something failed. */
const RETRY_MS = 500
/** How long a build is held that was announced and is not switched to. */
const HELD_MS = 120_000

/** See the head of the file. */
export class BuildFollower {
  readonly #ports: FollowerPorts
  readonly #runners: readonly FoldRunner[]
  /** The build that the log names and this process serves, or cannot serve, by fold. */
  readonly #settled = new Map<string, number | undefined>()
  /** A build that this process has not the code of, by fold. */
  readonly #declined = new Map<string, number>()
  readonly #tasks = new Map<FoldRunner, Promise<void>>()
  readonly #reading: Backoff
  #isReading = false
  #isClosed = false

  constructor(ports: FollowerPorts, runners: readonly FoldRunner[]) {
    this.#ports = ports
    this.#runners = runners
    this.#reading = new Backoff(ports)
    for (const { name } of runners) this.#settled.set(name, ports.book.of(name).live?.build)
  }

  /** Looks what others decided. Called before each turn of the loop. */
  begin(): void {
    const { book, isAtWork } = this.#ports
    if (this.#isClosed) return
    if (book.hasNews() && !this.#isReading && !this.#reading.isPausing) void this.#read()
    for (const runner of this.#runners) {
      if (this.#tasks.has(runner) || isAtWork(runner.name)) continue
      const build = this.#next(runner)
      if (build !== undefined) this.#start(runner, build)
    }
  }

  async #read(): Promise<void> {
    const { book, logger, wake } = this.#ports
    this.#isReading = true
    try {
      await book.follow()
      this.#reading.succeed()
      wake()
    } catch (error) {
      this.#reading.fail()
      logger.warn('decisions on builds cannot be read', { reason: errorText(error) })
    } finally {
      this.#isReading = false
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#reading.stop()
    await Promise.all(this.#tasks.values())
  }

  /** The build that a fold is to be switched to, or to be ready for. */
  #next(runner: FoldRunner): Build | undefined {
    const { book, leases } = this.#ports
    const { name, build } = runner
    const { live, announced } = book.of(name)
    if (live?.build === build) this.#settled.set(name, build)
    if (live !== undefined && live.build !== this.#settled.get(name)) return live
    if (announced === undefined || announced.build === build) return undefined
    const { process, joined } = announced
    const isDone = process === leases.member || joined.includes(leases.member)
    return isDone || announced.build === this.#declined.get(name) ? undefined : announced
  }

  #start(runner: FoldRunner, build: Build): void {
    const { clock, logger, wake } = this.#ports
    const task = async (): Promise<void> => {
      try {
        await this.#follow(runner, build)
      } catch (error) {
        const reason = runner.stopText(error)
        logger.warn('a switch cannot be followed yet', { fold: runner.name, reason })
        await new Promise<void>(resolve => clock.after(RETRY_MS, resolve))
      }
      this.#tasks.delete(runner)
      wake()
    }
    this.#tasks.set(runner, task())
  }

  async #follow(runner: FoldRunner, { build, version: own }: Build): Promise<void> {
    const { book, clock, leases, logger } = this.#ports
    const { name: fold } = runner
    const version = runner.versions.find(({ definition }) => definition.version === own)
    const isServed = (): boolean => book.of(fold).live?.build === build
    if (version === undefined) {
      logger.error('a build is of a version that this process has not', {
        fold,
        build,
        version: own,
      })
      this.#declined.set(fold, build)
      if (isServed()) this.#settled.set(fold, build)
      return
    }
    const isAnnounced = (): boolean => book.of(fold).announced?.build === build
    const isWanted = (): boolean => !this.#isClosed && (isServed() || isAnnounced())
    const job = jobOf(this.#ports, runner, { build }, version)
    const loaded = await LoadedBuild.load(this.#ports, runner, { job, version })
    try {
      while (isWanted() && loaded.isAhead()) await this.#rest()
      await loaded.chase()
      if (isAnnounced()) {
        const process = leases.member
        const joined = { kind: 'joined', build, version: own, process } as const
        await book.decide(fold, clock.nowMs(), joined)
      }
      const untilMs = clock.monotonicMs() + HELD_MS
      while (isWanted() && !isServed() && clock.monotonicMs() < untilMs) {
        await this.#rest()
        await loaded.chase()
      }
      if (this.#isClosed || !isServed()) return
      await loaded.exchange(FOLLOWED)
      this.#settled.set(fold, build)
      logger.info('a switch of another process was followed', { fold, build })
    } finally {
      loaded.release()
    }
  }

  #rest(): Promise<void> {
    return new Promise(resolve => this.#ports.clock.after(POLL_MS, resolve))
  }
}

/** It is decided and durable. */
const FOLLOWED = { assertCurrent: () => undefined, commit: () => Promise.resolve() }
