/** Where a branch leaves the live world: the records of each partition that were known there, and what was corrected. */
import { isError, partitionName } from '@millrace/core'
import type { Bases } from '../bases.ts'
import { boundOf, type Bound } from '../past/bound.ts'
import { instantOf, type Instant, type Moment, type PastPorts } from '../past/moment.ts'
import { isInner } from '../reach.ts'
import { correctionAt, type CorrectionBook, type CorrectionEntry } from '../corrections/book.ts'
import { CORRECTIONS_STREAM, type Correction, type Corrections } from '../corrections/contract.ts'
import type { Corrector } from '../corrections/corrector.ts'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import type { TableWatch } from '../table-watch.ts'

/** What branches need of the runtime. */
export interface BranchPorts extends Omit<PastPorts, 'watch'> {
  readonly watch: Pick<TableWatch, 'tablesOf' | 'kindsOf' | 'isTable' | 'catchUpBeside'>
  readonly book: CorrectionBook
  readonly bases: Pick<Bases, 'find'>
  readonly corrector: Pick<Corrector, 'touchedBetween' | 'eventsOf' | 'rows'>
}

/** See the head of the file. */
export class Ground {
  readonly ports: BranchPorts
  readonly instant: Instant
  /** How many records of corrections are known. */
  readonly corrected: number
  readonly corrections: Corrections
  /** The versions that are served there; another may be switched to later. */
  readonly #definitions: ReadonlyMap<FoldRunner, FoldDefinition>
  readonly #bounds = new Map<string, Promise<Bound>>()
  readonly #known = new Map<string, Bound>()
  #unchangedTo: number

  private constructor(ports: BranchPorts, instant: Instant, corrected: number) {
    this.ports = ports
    this.instant = instant
    this.corrected = corrected
    this.corrections = ports.book.at(corrected)
    this.#unchangedTo = corrected
    this.#definitions = new Map(ports.runners.map(runner => [runner, runner.definition]))
  }

  /** Waits until the folds have come there. Throws MOMENT_AHEAD, POSITION_NOT_REACHED. */
  static async open(
    ports: BranchPorts,
    moment: Moment | undefined,
    timeoutMs: number,
  ): Promise<Ground> {
    const { log, book, reached } = ports
    const folds = ports.runners.map(({ name }) => name)
    const corrections = partitionName(CORRECTIONS_STREAM, 0)
    // What follows from corrections is corrections and records again.
    for (let before = -1, end = 0; before !== end;) {
      before = end
      end = log.ends().get(corrections) ?? 0
      // What was emitted because of all that is there is there as well.
      await reached({ position: new Map(log.ends()), folds, timeoutMs })
    }
    const corrected = book.position
    const ends = new Map(log.ends())
    const { position, timeMs } = await instantAt(ports, moment ?? { position: ends })
    await reached({ position, folds, timeoutMs })
    const instant = { position, timeMs }
    // What stands in for events that are corrected later is told by this alone.
    const emitted = moment === undefined ? { emitted: new Map(log.ends()) } : {}
    return new Ground(ports, { ...instant, ...emitted }, corrected)
  }

  /** What was known of one partition of a fold's source. Throws MOMENT_GONE, MOMENT_UNSUPPORTED. */
  async bound(runner: FoldRunner, partition: number): Promise<Bound> {
    const name = partitionName(runner.definition.source, partition)
    let bound = this.#bounds.get(name)
    if (bound === undefined) {
      bound = boundOf(this.ports, runner, partition, this.instant)
      this.#bounds.set(name, bound)
      void bound.then(
        found => this.#known.set(name, found),
        () => this.#bounds.delete(name),
      )
    }
    return await bound
  }

  /** The version of a fold that is served there. */
  definitionOf(runner: FoldRunner): FoldDefinition {
    return this.#definitions.get(runner) as FoldDefinition
  }

  /** What is known of an event that was corrected by then. */
  entry(id: string): CorrectionEntry | undefined {
    const entry = this.ports.book.entry(id)
    return entry !== undefined && (entry.history[0]?.at ?? Infinity) < this.corrected
      ? entry
      : undefined
  }

  /** What was in force for it. */
  correctionOf(entry: CorrectionEntry): Correction | undefined {
    return correctionAt(entry, this.corrected)
  }

  /** True when a lane reflects the corrections of the ground, and none that came later. */
  isCorrectedAlike({ corrections: { position } }: Lane): boolean {
    if (position < this.corrected) return false
    // Ticks count among them.
    if (position > this.#unchangedTo) {
      const { book } = this.ports
      if (book.changes(this.corrected, position).length > 0) return false
      if (book.people.changed(this.corrected, position).length > 0) return false
      this.#unchangedTo = position
    }
    return true
  }

  /** True when a lane of a table, whose bound was asked for, stands where the branch begins. */
  isStill(runner: FoldRunner, partition: number): boolean {
    const bound = this.#known.get(partitionName(runner.definition.source, partition))
    const laneRunner = runner.lanes[partition] as FoldRunner['lanes'][number]
    const { lane } = laneRunner
    if (!this.isServed(runner, laneRunner)) return false
    return lane.consumed === bound?.to && this.isCorrectedAlike(lane)
  }

  /** True when every key of a lane, whose bound was asked for and those of its tables, is what it was there. */
  isWholeStill(runner: FoldRunner, partition: number): boolean {
    const { lane } = runner.lanes[partition] as FoldRunner['lanes'][number]
    const bound = this.#known.get(partitionName(runner.definition.source, partition))
    const tables = this.ports.watch.tablesOf(runner)
    return (
      this.isStill(runner, partition) &&
      (isTimeless(lane.shard) || lane.watermarkMs === bound?.watermarkMs) &&
      tables.every(table => table.lanes.every(row => this.isStill(table, row.lane.partition)))
    )
  }

  /** `take` is called in the turn in which the live state of a key is what it was there; false when it is not. */
  async withLive(
    runner: FoldRunner,
    key: string,
    take: (lane: Lane, bound: Bound) => void,
  ): Promise<boolean> {
    const { log, watch } = this.ports
    const laneRunner = runner.laneOf(key)
    const { partition, options, definition } = laneRunner.lane
    const bound = await this.bound(runner, partition)
    const tables = watch.tablesOf(runner)
    for (const table of tables) {
      for (const { lane } of table.lanes) await this.bound(table, lane.partition)
    }
    const newest = log.capabilities.expectedVersion
      ? await log.version({ stream: definition.source, key, tenant: options.tenant })
      : Infinity
    if (!this.isServed(runner, laneRunner)) return false
    const { lane } = laneRunner
    if (lane.consumed < bound.to || Math.min(newest, lane.consumed) > bound.known) return false
    if (!isTimeless(lane.shard) && lane.watermarkMs !== bound.watermarkMs) return false
    for (const table of tables) {
      if (!table.lanes.every(({ lane: row }) => this.isStill(table, row.partition))) return false
    }
    if (!this.isCorrectedAlike(lane)) return false
    take(lane, bound)
    return true
  }

  /** True when a lane is of the version of the ground, and nothing of it is being folded again. */
  isServed(
    runner: FoldRunner,
    { error, isRefolding, stale }: FoldRunner['lanes'][number],
  ): boolean {
    if (runner.definition !== this.definitionOf(runner)) return false
    return error === undefined && !isRefolding && stale.size === 0
  }
}

/** True when time alone changes nothing of a key. */
export function isTimeless(shard: FoldShard): boolean {
  return shard.advance === undefined || shard.isTimeless === true
}

/**
 * The offsets of a moment in all streams from outside. A position need not name all of them: the
 * others are as of when the newest record that it names had arrived.
 */
async function instantAt(ports: BranchPorts, moment: Moment): Promise<Instant> {
  const position = new Map<string, number>()
  let timeMs = Number.NEGATIVE_INFINITY
  const add = async (runner: FoldRunner, at: Moment): Promise<void> => {
    try {
      const instant = await instantOf({ ...ports, watch: NO_TABLES }, runner, at)
      for (const [name, offset] of instant.position) position.set(name, offset)
      timeMs = Math.max(timeMs, instant.timeMs)
    } catch (error) {
      // Nothing had arrived on this one.
      if (!isError(error, 'MOMENT_EMPTY')) throw error
    }
  }
  const sources = new Map(ports.runners.map(runner => [runner.definition.source, runner]))
  const others: FoldRunner[] = []
  for (const [source, runner] of sources) {
    if (isInner(source)) continue
    const isNamed = ({ lane: { partition } }: FoldRunner['lanes'][number]): boolean =>
      'timeMs' in moment || moment.position.has(partitionName(source, partition))
    if (runner.lanes.some(isNamed)) await add(runner, moment)
    else others.push(runner)
  }
  const named = timeMs
  if (Number.isFinite(named)) for (const runner of others) await add(runner, { timeMs: named })
  return { position, timeMs }
}

const NO_TABLES: PastPorts['watch'] = { tablesOf: () => [], kindsOf: () => [] }
