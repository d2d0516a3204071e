/**
 * Which lanes commit their steps, and which follow the steps of another process, when several run
 * the same folds over one log.
 *
 * Every process folds all partitions, for its reads; the leases of the log say whose steps count. A
 * lane that follows stands at the newest step in the log or before it, so when its process gets the
 * lease it goes on from there: what it emits first follows the last step of the one before. A lane
 * that was ahead when its lease was lost (its process was cut off) waits until the steps of the others
 * have come so far; only when it has to lead again before that are its emissions made once more, by a
 * silent copy that is folded from the start.
 */
import { Backoff, isError, type Logger, type Random } from '@millrace/core'
import type { EventLog, Leases, ParkedKey } from '@millrace/log'
import type { Amendments } from './amendments.ts'
import type { CorrectionBook } from './corrections/book.ts'
import { streamsErrors } from './errors.ts'
import { errorText } from './lane.ts'
import { agreeOnParked } from './load.ts'
import { foldLane } from './fold-lane.ts'
import { createBeside } from './rebuild.ts'
import { retryParked, type RefoldPorts } from './refold.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'
import type { StepWriter } from './step-writer.ts'

/** What the roles need. */
export interface RolesPorts extends RefoldPorts {
  readonly log: EventLog
  readonly leases: Leases
  readonly amendments: Amendments
  readonly book: CorrectionBook
  readonly random?: Random | undefined
  readonly logger: Logger
  /** Commits what a standing lane did, and waits until it is durable. */
  readonly settle: (runner: FoldRunner, laneRunner: LaneRunner) => Promise<void>
  readonly wake: () => void
}

interface Place {
  readonly runner: FoldRunner
  readonly laneRunner: LaneRunner
  readonly writer: StepWriter
  readonly backoff: Backoff
}

/** See the head of the file. */
export class Roles {
  readonly #ports: RolesPorts
  readonly #runners: readonly FoldRunner[]
  /** The lanes that have steps. */
  readonly #places: readonly Place[]
  readonly #changing = new Set<Place>()
  /** What a lane last agreed on with the log about its parked keys. */
  readonly #agreed = new Map<Place, string>()
  readonly #stopListening: () => void
  #isStanding = false
  #isFollowing = false
  readonly #reading: Backoff

  constructor(ports: RolesPorts, runners: readonly FoldRunner[]) {
    this.#ports = ports
    this.#reading = new Backoff(ports)
    this.#runners = runners
    this.#places = runners.flatMap(runner =>
      runner.lanes.flatMap(laneRunner => {
        const { writer } = laneRunner
        return writer === undefined
          ? []
          : [{ runner, laneRunner, writer, backoff: new Backoff(ports) }]
      }),
    )
    this.#stopListening = ports.leases.onChange(() => ports.wake())
  }

  /** Takes over what other processes did, and who leads now. Called before each turn of the loop. */
  begin(): void {
    const { leases, amendments } = this.#ports
    if (amendments.hasNews() && !this.#isFollowing && !this.#reading.isPausing)
      void this.#followAmendments()
    for (const place of this.#places) {
      const { laneRunner, writer, backoff } = place
      if (this.#changing.has(place) || laneRunner.error !== undefined) continue
      const token = leases.tokenOf(laneRunner.lane.partition)
      // Under another token nothing of before counts.
      if (writer.leads && writer.token !== token) writer.follow()
      if (writer.leads || backoff.isPausing) continue
      if (token !== undefined && !writer.hasLost(token))
        this.#change(place, () => this.#lead(place, token))
      this.#follow(place)
    }
    void this.stand()
  }

  /** Stands for leases once the lanes have come as far as the steps: nobody waits for a late one. */
  async stand(): Promise<void> {
    if (this.#isStanding) return
    const isLate = ({ laneRunner, writer }: Place): boolean =>
      laneRunner.lane.consumed < writer.committed
    if (this.#places.some(isLate)) return
    this.#isStanding = true
    const { leases, logger } = this.#ports
    const lineage = this.#runners
      .map(({ name, lineage: { generation } }) => `${name}=${generation}`)
      .filter(text => !text.endsWith('=0'))
      .sort()
      .join(',')
    try {
      await leases.stand({
        lineage: `steps:${lineage}`,
        onRelease: partition => this.#release(partition),
      })
    } catch (error) {
      // The next sign of life takes them.
      logger.warn('no partition could be taken over yet', { reason: errorText(error) })
    }
  }

  /** Hands all partitions over. */
  async leave(): Promise<void> {
    this.#stopListening()
    try {
      await this.#ports.leases.leave()
    } catch (error) {
      const reason = errorText(error)
      this.#ports.logger.warn('the partitions go to others when the lease is over', { reason })
    }
  }

  /** Refuses what only the process that commits the steps of a lane can do (PARTITION_ELSEWHERE). */
  assertLeads({ name }: FoldRunner, { lane: { partition }, writer }: LaneRunner): void {
    if (writer === undefined || writer.leads) return
    const info = this.#ports.leases.list().find(lease => lease.partition === partition)
    const where = info?.address ?? 'another process'
    throw streamsErrors.create('PARTITION_ELSEWHERE', { fold: name, partition, where })
  }

  #change(place: Place, work: () => Promise<void>): void {
    const { laneRunner, runner, backoff } = place
    this.#changing.add(place)
    const change = async (): Promise<void> => {
      try {
        await laneRunner.exclusively(work)
        backoff.succeed()
      } catch (error) {
        const { logger } = this.#ports
        const facts = { fold: runner.name, reason: runner.stopText(error) }
        if (isError(error, 'FOLD_FAILED') || isError(error, 'LOG_CLOSED')) {
          laneRunner.error = error
          logger.error('a fold stopped', facts)
        } else {
          logger.warn('a fold cannot take over or follow yet', facts)
          backoff.fail()
        }
      }
      this.#changing.delete(place)
      this.#ports.wake()
    }
    void change()
  }

  async #lead(place: Place, token: number): Promise<void> {
    const { runner, laneRunner, writer } = place
    const { lane } = laneRunner
    await this.#ports.amendments.follow()
    // What was emitted reflects what it says, and the lane goes on from there.
    await this.#ports.book.follow()
    const newest = writer.adopt()
    if (lane.consumed > writer.committed) {
      await this.#emitAgain(laneRunner, writer, newest?.parked ?? [])
    } else await agreeOnParked(this.#ports, runner, lane)
    if (this.#ports.leases.tokenOf(lane.partition) === token) writer.lead(token)
    else writer.follow()
  }

  /** The lane is further than the steps in the log: what it emitted behind them is made again. */
  async #emitAgain(
    { lane, emittedTo }: LaneRunner,
    writer: StepWriter,
    inLog: readonly ParkedKey[],
  ): Promise<void> {
    const beside = createBeside(lane)
    // By the corrections of what is emitted before it: all of it is corrected together then.
    if (emittedTo !== undefined) beside.corrections = beside.corrections.at(emittedTo())
    await foldLane(this.#ports, beside, writer.committed)
    beside.mutedBefore = writer.committed
    await foldLane(this.#ports, beside, lane.consumed)
    lane.emitted = beside.emitted
    const known = new Map(inLog.map(entry => [entry.key, entry.offset]))
    for (const { key, offset, error, attempts } of lane.parked.values()) {
      if (known.get(key) !== offset) lane.parkedSince.set(key, { key, offset, error, attempts })
      known.delete(key)
    }
    for (const key of known.keys()) lane.releasedSince.add(key)
  }

  /** Goes as far as the newest step of the others, with the keys parked that they parked. */
  #follow(place: Place): void {
    const { runner, laneRunner, writer } = place
    const { lane } = laneRunner
    const inLog = writer.adopt()?.parked ?? []
    if ((inLog.length === 0 && lane.parked.size === 0) || lane.consumed > writer.committed) return
    const isThere = lane.consumed === writer.committed && lane.parked.size !== inLog.length
    const names = inLog.map(({ key, offset, attempts }) => `${offset}/${attempts}/${key}`).sort()
    const agreed = [isThere ? lane.consumed : '', ...names].join('\n')
    if (this.#agreed.get(place) === agreed || this.#changing.has(place)) return
    this.#agreed.set(place, agreed)
    this.#change(place, async () => {
      await this.#ports.amendments.follow()
      if (!writer.leads) await agreeOnParked(this.#ports, runner, lane)
    })
  }

  async #release(partition: number): Promise<void> {
    const places = this.#places.filter(({ laneRunner }) => laneRunner.lane.partition === partition)
    const settled = places.map(({ runner, laneRunner, writer }) =>
      laneRunner.exclusively(async () => {
        try {
          if (writer.leads) await this.#ports.settle(runner, laneRunner)
        } finally {
          writer.follow()
        }
      }),
    )
    await Promise.all(settled)
  }

  /** Decisions that were made in other processes hold for the views of this one, too. */
  async #followAmendments(): Promise<void> {
    this.#isFollowing = true
    try {
      const folds = await this.#ports.amendments.follow()
      this.#reading.succeed()
      for (const runner of this.#runners) {
        if (!folds.has(runner.name)) continue
        for (const laneRunner of runner.lanes) {
          if (laneRunner.writer !== undefined) continue
          await laneRunner.exclusively(async () => {
            const { lane } = laneRunner
            for (const key of [...lane.parked.keys()]) {
              await retryParked(this.#ports, lane, key, true)
            }
          })
        }
      }
    } catch (error) {
      this.#reading.fail()
      this.#ports.logger.warn('decisions cannot be read', { reason: errorText(error) })
    } finally {
      this.#isFollowing = false
      this.#ports.wake()
    }
  }
}
