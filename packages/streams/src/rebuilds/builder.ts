/**
 * Makes a build: folds partitions of one fold from the log, silently, and keeps what it has come to
 * as snapshots, so that another builder goes on from there. Runs on a thread of its own, or in
 * slices of the loop; it knows the log and the snapshots, and nothing of the runtime.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '@millrace/core'
import type { EventLog, ParkedKey } from '@millrace/log'
import type { SnapshotStore } from '@millrace/store'
import { Amendments, type FoldAmendments } from '../amendments.ts'
import { CorrectionBook } from '../corrections/book.ts'
import type { Corrections } from '../corrections/contract.ts'
import { EmissionIds } from '../emission-id.ts'
import { streamsErrors } from '../errors.ts'
import { foldLane } from '../fold-lane.ts'
import type { FoldDefinition } from '../fold.ts'
import { Lane } from '../lane.ts'
import { applyState, forceParked } from '../rebuild.ts'
import { foldKey, retryParked, type RefoldPorts } from '../refold.ts'
import { Slices } from '../slices.ts'
import { LaneCapture, readLanes, restoreLane, type LaneImage } from '../snapshot-codec.ts'
import {
  compareRows,
  joinComparisons,
  NO_ROWS,
  type Comparison,
  type Difference,
} from './compare.ts'
import { cutNameOf, partNameOf, snapshotNameOf } from './events.ts'
import { BuildTables, type TableOffsets } from './tables.ts'

/** One fold as a builder makes it; plain data, which travels to a thread. */
export interface LaneFacts {
  readonly fold: string
  readonly version: string
  /** What a snapshot of it must match. */
  readonly identity: string
  readonly generation: number
  /** Generations of the records that it folds. */
  readonly reads: readonly number[]
  /** True when it sees personal data. */
  readonly isPersonal: boolean
}

/** What a builder is told. */
export interface BuildJob {
  readonly build: number
  readonly built: LaneFacts
  readonly live: LaneFacts
  /** The tables that either joins, with their kinds. */
  readonly tables: readonly (LaneFacts & { readonly kinds: readonly string[] })[]
  readonly tenant: string
  /** The partitions of the source that are its to make. */
  readonly partitions: readonly number[]
  /** What was decided on dead letters of these folds: `decisionsDigest`. */
  readonly decisions: string
  /** How many records of corrections the build reflects. */
  readonly corrected: number
  /** Keys that wait in the live state of the same version, by partition; they wait in the build too. */
  readonly parked: readonly (readonly ParkedKey[])[]
}

/** How far a build is to fold. */
export interface BuildTarget {
  /** End offsets by partition. */
  readonly ends: readonly number[]
  readonly tables: TableOffsets
}

/** What builders stand on. */
export interface BuildPorts {
  readonly log: Pick<EventLog, 'read' | 'history' | 'stats'>
  readonly snapshots: SnapshotStore
  readonly clock: Clock
  /** A slice of work before others get their turn. */
  readonly sliceMs: number
  /** The definition of a fold in a version. Throws what the thread cannot load. */
  definitionOf(fold: string, version: string): FoldDefinition
  readonly amendments: DecidedOf
  readonly corrections: Corrections
  readonly differences?: DifferencesSink
}

/** Where differences go. */
export interface DifferencesSink {
  /** Adds to the differences of a build. */
  write(
    build: { readonly fold: string; readonly build: number },
    differences: readonly Difference[],
  ): Promise<void>
  /** A value of a row with its personal members hidden. */
  mask(fold: string, value: unknown): unknown
  /** Begins anew; gives the name under which people find them, where they are kept. */
  begin(build: { readonly fold: string; readonly build: number }): Promise<string | undefined>
}

/** Folds and compares the partitions of its job. */
export interface Builder {
  /** Folds up to `target` and keeps what it has. */
  foldTo(target: BuildTarget): Promise<void>
  /** Compares with the cut of the live state, at the offsets of the cut. */
  compare(): Promise<Comparison>
  close(): Promise<void>
}

/** Opens a builder; `consumed` has a number for each partition of the source, which it keeps current. */
export type OpenBuilder = (job: BuildJob, consumed: Float64Array) => Promise<Builder>

const SAVE_EVERY_MS = 10_000
/** A save that took long is followed by so many times as long without one. */
const SAVE_REST = 4
const BATCH_RECORDS = 4_096
const SAMPLES_MAX = 20
const DIFFERENCES_AT_ONCE = 500

/** Decisions on dead letters by fold. */
export interface DecidedOf {
  of(fold: string): FoldAmendments
}

const NOTHING_DECIDED: DecidedOf = { of: () => new Map() }

/** What was decided on dead letters of folds, as a text that differs when anything was. */
export function decisionsDigest(decided: DecidedOf, folds: readonly string[]): string {
  const text = JSON.stringify(folds.map(fold => [fold, [...decided.of(fold)]]))
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** What a builder of `job` must know of the decisions, from the log; throws REBUILD_OUTDATED when they are not those of the job. */
export async function decisionsOf(
  log: Pick<EventLog, 'read' | 'ends'>,
  job: BuildJob,
): Promise<DecidedOf> {
  const decided = await Amendments.read(log)
  if (decisionsDigest(decided, foldsOf(job)) === job.decisions) return decided
  throw streamsErrors.create('REBUILD_OUTDATED', { fold: job.built.fold })
}

/** What a builder of `job` must know of the corrections; throws REBUILD_OUTDATED when the log has not those of the job. */
export async function correctionsOf(
  log: Pick<EventLog, 'read' | 'ends'>,
  job: BuildJob,
): Promise<Corrections> {
  const corrections = (await CorrectionBook.read(log)).at(job.corrected)
  if (corrections.position === job.corrected) return corrections
  throw streamsErrors.create('REBUILD_OUTDATED', { fold: job.built.fold })
}

/** The folds whose decisions a build depends on. */
export function foldsOf({ built, tables }: Pick<BuildJob, 'built' | 'tables'>): readonly string[] {
  return [built.fold, ...tables.map(({ fold }) => fold)]
}

interface Part {
  readonly lane: Lane
  /** What its state has seen of the tables. */
  seen: TableOffsets
  savedAt: number
}

/** Opens the builder of a job; its partitions go on where an earlier one kept them. */
export async function openBuilder(
  ports: BuildPorts,
  job: BuildJob,
  consumed: Float64Array,
): Promise<Builder> {
  const builder = new LocalBuilder(ports, job, consumed)
  await builder.load()
  return builder
}

class LocalBuilder implements Builder {
  readonly #ports: BuildPorts
  readonly #refold: RefoldPorts
  readonly #job: BuildJob
  readonly #consumed: Float64Array
  readonly #tables: BuildTables
  readonly #parts: Part[] = []
  #savedAtMs: number
  #saveTookMs = 0
  #isClosed = false

  constructor(ports: BuildPorts, job: BuildJob, consumed: Float64Array) {
    const { log, clock, sliceMs } = ports
    this.#ports = ports
    this.#refold = { log, clock, sliceMs }
    this.#job = job
    this.#consumed = consumed
    this.#tables = new BuildTables(this.#refold)
    for (const table of job.tables) {
      const definition = ports.definitionOf(table.fold, table.version)
      const count = this.#partitionsOf(definition.source)
      const lanes = Array.from({ length: count }, (_, at) => this.#createLane(table, at))
      this.#tables.add({ kinds: table.kinds, lanes })
    }
    this.#savedAtMs = clock.monotonicMs()
  }

  async load(): Promise<void> {
    const { build, built, partitions, parked } = this.#job
    const kept = new Map<number, LaneImage>()
    const names = partitions.map(partition => partNameOf(built.fold, build, partition))
    for (const name of [snapshotNameOf(built.fold, build), ...names]) {
      for await (const image of this.#imagesIn(name, built.identity)) {
        const { partition, consumed } = image.header
        if (consumed >= (kept.get(partition)?.header.consumed ?? 0)) kept.set(partition, image)
      }
    }
    for (const partition of partitions) {
      const lane = this.#createLane(built, partition)
      const image = kept.get(partition)
      if (image !== undefined) restoreLane(lane, image)
      forceParked(lane, parked[partition] ?? [])
      this.#consumed[partition] = lane.consumed
      this.#parts.push({ lane, seen: image?.header.tables ?? {}, savedAt: lane.consumed })
    }
  }

  async foldTo({ ends, tables }: BuildTarget): Promise<void> {
    await this.#tables.foldTo(tables)
    for (const part of this.#parts) {
      await this.#foldPart(part, ends[part.lane.partition] ?? 0, tables)
      if (part.savedAt !== part.lane.consumed) await this.#save(part)
    }
  }

  async compare(): Promise<Comparison> {
    const { built, live, build } = this.#job
    let all = NO_ROWS
    const left = new Map(this.#parts.map(part => [part.lane.partition, part]))
    for await (const cut of this.#imagesIn(cutNameOf(built.fold, build), live.identity)) {
      const { header } = cut
      const part = left.get(header.partition) as Part
      left.delete(header.partition)
      await this.#tables.foldTo(header.tables)
      await this.#foldPart(part, header.consumed, header.tables)
      const liveLane = this.#createLane(live, header.partition)
      restoreLane(liveLane, cut)
      if (live.version === built.version) await this.#releaseAs(liveLane, part.lane)
      all = joinComparisons(all, await this.#compareWith(liveLane, part.lane))
    }
    if (left.size > 0) throw streamsErrors.create('REBUILD_OUTDATED', { fold: built.fold })
    return all
  }

  close(): Promise<void> {
    this.#isClosed = true
    return Promise.resolve()
  }

  /** Folds one partition; keys that read a table too early are folded again first. */
  async #foldPart(part: Part, end: number, tables: TableOffsets): Promise<void> {
    const { lane } = part
    for (const key of await this.#tables.staleKeys(lane, part.seen)) {
      const to = lane.parked.get(key)?.offset ?? lane.consumed
      applyState(lane, key, await foldKey(this.#refold, lane, key, to))
    }
    part.seen = tables
    const { partition, definition } = lane
    await foldLane(this.#refold, lane, end, {
      batchRecords: BATCH_RECORDS,
      onBatch: async () => {
        if (this.#isClosed) throw dropped(this.#job)
        this.#consumed[partition] = lane.consumed
        const sinceMs = this.#ports.clock.monotonicMs() - this.#savedAtMs
        if (sinceMs >= Math.max(SAVE_EVERY_MS, SAVE_REST * this.#saveTookMs)) await this.#save(part)
      },
    })
    this.#consumed[partition] = lane.consumed
    if (lane.consumed >= end) return
    const reason = `records ${lane.consumed} to ${end} of partition ${partition} cannot be read`
    throw streamsErrors.create('FOLD_FAILED', { fold: definition.name, reason })
  }

  async #compareWith(live: Lane, built: Lane): Promise<Comparison> {
    const samples: Difference[] = []
    let waiting: Difference[] = []
    const { differences: sink } = this.#ports
    const { name: fold } = built.definition
    const { build } = this.#job
    const write = async (): Promise<void> => {
      if (waiting.length > 0) await sink?.write({ fold, build }, waiting)
      waiting = []
    }
    const hide = (value: unknown): unknown => sink?.mask(fold, value) ?? value
    const counts = await compareRows(this.#refold, { live, built }, async difference => {
      const masked = {
        ...difference,
        ...('live' in difference ? { live: hide(difference.live) } : {}),
        ...('built' in difference ? { built: hide(difference.built) } : {}),
      }
      if (samples.length < SAMPLES_MAX) samples.push(masked)
      waiting.push(masked)
      if (waiting.length >= DIFFERENCES_AT_ONCE) await write()
    })
    await write()
    return { ...counts, samples }
  }

  /** Keys that wait no longer in the live state, after a retry, went through there. */
  async #releaseAs(live: Lane, built: Lane): Promise<void> {
    for (const key of [...built.parked.keys()]) {
      if (!live.parked.has(key)) await retryParked(this.#refold, built, key, true)
    }
  }

  async #save(part: Part): Promise<void> {
    const { snapshots, clock, sliceMs } = this.#ports
    const { build, built } = this.#job
    const startedMs = clock.monotonicMs()
    // Its tables are folded by the corrections of the job.
    const { corrected } = this.#job
    const tablesCorrected = Object.fromEntries(
      Object.keys(part.seen).map(name => [name, corrected]),
    )
    const capture = new LaneCapture(part.lane, { tables: part.seen, tablesCorrected })
    const meta = { version: built.identity, info: { format: 1, decisions: this.#job.decisions } }
    const name = partNameOf(built.fold, build, part.lane.partition)
    try {
      await snapshots.save(name, meta, capture.chunks(new Slices(clock, sliceMs)))
    } finally {
      capture.end()
    }
    part.savedAt = part.lane.consumed
    this.#savedAtMs = clock.monotonicMs()
    this.#saveTookMs = this.#savedAtMs - startedMs
  }

  /** Its partitions in a snapshot that fits; none when there is no such snapshot. */
  async *#imagesIn(name: string, identity: string): AsyncGenerator<LaneImage> {
    const { decisions: decided, partitions, built, corrected } = this.#job
    const snapshot = await this.#ports.snapshots.load(name)
    if (snapshot === undefined || snapshot.meta.version !== identity) return
    // One that was folded before something was decided on its dead letters is of no use.
    const nothing = decisionsDigest(NOTHING_DECIDED, foldsOf(this.#job))
    const { decisions = nothing } = snapshot.meta.info as { readonly decisions?: string }
    if (decisions !== decided) return
    for await (const image of readLanes(built.fold, snapshot.chunks)) {
      const { header } = image
      // Of other corrections it is of no use either.
      if ((header.corrected ?? 0) !== corrected) continue
      if (partitions.includes(header.partition)) yield image
    }
  }

  #createLane(
    { fold, version, generation, reads, isPersonal }: LaneFacts,
    partition: number,
  ): Lane {
    const { definitionOf, amendments, corrections } = this.#ports
    const definition = definitionOf(fold, version)
    const targets = (definition.targets ?? []).map(
      name => [name, this.#partitionsOf(name)] as const,
    )
    const ids = new EmissionIds(fold, generation)
    const emitter = { fold, generation, definition: undefined, ids, targets: new Map(targets) }
    const lane = new Lane({
      definition,
      partition,
      partitions: this.#partitionsOf(definition.source),
      tenant: this.#job.tenant,
      emitter,
      generations: new Set(reads),
      tables: this.#tables,
      amendments: amendments.of(fold),
      corrections: corrections.at(this.#job.corrected),
      isPersonal,
    })
    lane.mutedBefore = Infinity
    return lane
  }

  #partitionsOf(stream: string): number {
    const found = this.#ports.log.stats().streams.find(stats => stats.stream === stream)
    return found?.partitions.length ?? 0
  }
}

function dropped({ built }: BuildJob): Error {
  return streamsErrors.create('REBUILD_DROPPED', { fold: built.fold })
}
