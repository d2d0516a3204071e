/**
 * Folds of the past: state of one's own, folded silently from the log up to one moment after the
 * other, beside whoever serves the live one. Never back: a moment before the last one is refused.
 */
import { partitionName, partitionOf, type Clock, type Position } from '@millrace/core'
import { DEFAULT_TENANT, type EventLog, type LogRecord } from '@millrace/log'
import { Amendments } from './amendments.ts'
import { CorrectionBook } from './corrections/book.ts'
import { leastCorrected } from './corrections/lane-changes.ts'
import { correctSilently } from './corrections/silent.ts'
import { EmissionIds } from './emission-id.ts'
import { streamsErrors } from './errors.ts'
import type { FoldDefinition, FoldShard, TableLookup, TableShard } from './fold.ts'
import { emittersOf, OUTSIDE, readGenerations } from './generations.ts'
import { MERGED } from './identity/contract.ts'
import { Lane } from './lane.ts'
import { refoldKeys } from './rebuild.ts'
import { restoreFailed } from './refold.ts'
import type { FoldHandle } from './streams.ts'
import { tableFoldName } from './views/table-shard.ts'

const BATCH_RECORDS = 4_096
const SLICE_MS = 100

/** What a sweep reads. */
export interface SweepPorts {
  readonly log: Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>
  readonly clock: Clock
  /** Hears of each record that a fold folds, in order within its partition. */
  readonly onRecord?: (record: LogRecord, fold: string) => void
  /** Records that are folded at once: other work of the process waits so long. Default 4,096. */
  readonly batchRecords?: number
}

/** What may be read of the state: handles as those of the runtime. */
export interface Sweep {
  fold<Shard extends FoldShard>(name: string): FoldHandle<Shard>
  /** Folds a partition up to offset `to`, which is not behind; undefined when it needed nothing from the disk. Rejects with SWEEP_IMPOSSIBLE. */
  advance(fold: string, partition: number, to: number): Promise<void> | undefined
  /** Goes on to the state that reflects the first `to` records of corrections, which are not fewer than before: at first it reflects none. */
  correct(to: number): Promise<void>
}

/**
 * Opens a sweep at the beginning of the log. The tables that folds join are among the folds, and are
 * moved before them: a key that read a row of which a version comes late is folded again when its
 * partition is moved next. Rejects with SWEEP_IMPOSSIBLE.
 */
export async function openSweep(
  ports: SweepPorts,
  folds: readonly FoldDefinition[],
): Promise<Sweep> {
  const { log } = ports
  const amendments = await Amendments.read(log)
  const book = await CorrectionBook.read(log)
  const corrections = book.at(0)
  const generations = await readGenerations(log)
  const counts = new Map(
    log.stats().streams.map(({ stream, partitions }) => [stream, partitions.length]),
  )
  const swept = new Map<string, SweptFold>()
  const joins = new Joins(folds)
  for (const definition of folds) {
    const { name, source, version, targets = [] } = definition
    const refuse = (reason: string): never => {
      throw streamsErrors.create('SWEEP_IMPOSSIBLE', { fold: name, reason })
    }
    const own = generations.get(name)
    if (targets.length > 0 && own !== undefined && own.identity !== version) {
      refuse('the definition computes it otherwise than the one that filled the log')
    }
    const partitions = counts.get(source) ?? refuse(`the log has no stream ${source}`)
    const reads = new Set([OUTSIDE])
    if (definition.isRekeying !== true) reads.add(MERGED)
    for (const emitter of emittersOf(folds, source)) {
      reads.add(generations.get(emitter.name)?.generation ?? OUTSIDE)
    }
    const generation = own?.generation ?? OUTSIDE
    const ids = new EmissionIds(name, generation)
    const emitter = {
      fold: name,
      generation,
      definition: undefined,
      ids,
      targets: new Map(targets.map(target => [target, counts.get(target) ?? 1])),
    }
    const lanes = Array.from({ length: partitions }, (_, partition) => {
      const lane = new Lane({
        definition,
        partition,
        partitions,
        tenant: DEFAULT_TENANT,
        emitter,
        generations: reads,
        tables: tablesOf(swept, refuse),
        amendments: amendments.of(name),
        corrections,
        isPersonal: true,
      })
      lane.mutedBefore = Infinity
      const onVersion = (id: string, fromMs: number): void => joins.note(name, id, fromMs)
      return new SweptLane(ports, lane, joins.isTable(name) ? onVersion : undefined)
    })
    const fold = new SweptFold(definition, lanes)
    swept.set(name, fold)
    joins.add(fold)
  }
  const find = (name: string): SweptFold => {
    const fold = swept.get(name)
    if (fold === undefined) throw streamsErrors.create('FOLD_UNKNOWN', { fold: name })
    return fold
  }
  return {
    fold: <Shard extends FoldShard>(name: string) => find(name) as unknown as FoldHandle<Shard>,
    advance: (name, partition, to) => (find(name).lanes[partition] as SweptLane).advance(to),
    correct: to => correct(ports, { book, folds: [...swept.values()], joins }, to),
  }
}

/** The tables of a sweep, looked up when they are read. */
function tablesOf(
  swept: ReadonlyMap<string, SweptFold>,
  refuse: (reason: string) => never,
): TableLookup {
  // prettier-ignore
  return {
    asOf(kind, id, timeMs) {
      const table = swept.get(tableFoldName(kind)) ?? refuse(`it joins ${kind}, which is not swept`)
      return (table.shardOf(id) as TableShard).asOf(id, timeMs)
    },
  }
}

/** What corrections of a sweep have to do with. */
interface Correcting {
  readonly book: CorrectionBook
  readonly folds: readonly SweptFold[]
  readonly joins: Joins
}

/** Goes on to the first `to` records of corrections, in all folds; who read a corrected row of a table is stale. */
async function correct(
  ports: SweepPorts,
  { book, folds, joins }: Correcting,
  to: number,
): Promise<void> {
  // prettier-ignore
  const isRekeying = ({ definition }: SweptFold): boolean => definition.isRekeying === true
  const folding = folds.filter(fold => !isRekeying(fold))
  const from = Math.min(...folding.map(fold => fold.corrected()))
  if (to <= from) return
  const lanes = folding.flatMap(fold => fold.lanes.map(({ lane }) => lane))
  await correctSilently(ports, book, lanes, { from, to, rekeying: folds.filter(isRekeying) })
  const tables = lanes.filter(({ definition }) => joins.isTable(definition.name))
  for (const { entry } of book.changes(from, to)) {
    const { stream, place } = entry
    for (const lane of tables) {
      const { name, source } = lane.definition
      if (source !== stream || place?.partition !== lane.partition) continue
      const { partition, offset } = place
      for (const record of await ports.log.read({
        stream,
        partition,
        from: offset,
        recordsMax: 1,
      })) {
        // prettier-ignore
        for (const id of lane.keysOf(record)) joins.note(name, id, -Infinity)
      }
    }
  }
}

/** Who joins which table. */
class Joins {
  /** Kind of each table by the name of its fold. */
  readonly #kinds = new Map<string, string>()
  readonly #joiners = new Map<string, SweptFold[]>()

  constructor(folds: readonly FoldDefinition[]) {
    for (const { tables = [] } of folds) {
      for (const kind of tables) this.#kinds.set(tableFoldName(kind), kind)
    }
  }

  isTable(fold: string): boolean {
    return this.#kinds.has(fold)
  }

  add(fold: SweptFold): void {
    for (const kind of fold.definition.tables ?? []) {
      const name = tableFoldName(kind)
      this.#joiners.set(name, [...(this.#joiners.get(name) ?? []), fold])
    }
  }

  /** A version of a row as of `fromMs` has come: who read it then, or later, is folded again. */
  note(table: string, id: string, fromMs: number): void {
    const kind = this.#kinds.get(table) as string
    for (const { lanes } of this.#joiners.get(table) ?? []) {
      for (const { lane, stale } of lanes) {
        for (const key of lane.shard.readersOf?.(kind, id, fromMs) ?? []) stale.add(key)
      }
    }
  }
}

/** One partition, with the records that were read ahead. */
class SweptLane {
  readonly lane: Lane
  /** Keys that read a table of which a version came late. */
  readonly stale = new Set<string>()
  readonly #ports: SweepPorts
  /** Hears of each version that a table gets; undefined where nobody joins it. */
  readonly #onVersion: ((id: string, fromMs: number) => void) | undefined
  #batch: readonly LogRecord[] = []
  #from = 0

  constructor(
    ports: SweepPorts,
    lane: Lane,
    onVersion: ((id: string, fromMs: number) => void) | undefined,
  ) {
    // prettier-ignore
    this.#ports = ports
    this.lane = lane
    this.#onVersion = onVersion
  }

  advance(to: number): Promise<void> | undefined {
    const { lane } = this
    if (to < lane.consumed) this.#refuse(`offset ${to} is behind ${lane.consumed}`)
    if (this.stale.size > 0) return this.#foldAgain().then(() => this.advance(to))
    this.#run(to)
    return lane.consumed < to ? this.#read(to) : undefined
  }

  async #foldAgain(): Promise<void> {
    const { log, clock } = this.#ports
    const keys = [...this.stale]
    await refoldKeys({ log, clock, sliceMs: SLICE_MS }, this, keys)
    for (const key of keys) this.stale.delete(key)
  }

  /** Folds what was read. */
  #run(to: number): void {
    const { lane } = this
    const begin = lane.consumed - this.#from
    const end = Math.min(to - this.#from, this.#batch.length)
    if (begin >= end || lane.failure !== undefined) return
    lane.run(this.#batch, begin, end)
    const { onRecord } = this.#ports
    const onVersion = this.#onVersion
    if (onRecord === undefined && onVersion === undefined) return
    for (let at = begin; at < lane.consumed - this.#from; at++) {
      const record = this.#batch[at] as LogRecord
      onRecord?.(record, lane.definition.name)
      if (onVersion === undefined || !lane.wants(record)) continue
      for (const id of lane.keysOf(record)) onVersion(id, record.eventTimeMs)
    }
  }

  async #read(to: number): Promise<void> {
    const { lane } = this
    const { log, clock } = this.#ports
    const stream = lane.definition.source
    while (lane.consumed < to) {
      if (lane.failure !== undefined) {
        // The record is left behind: parked or passed, as it was then.
        await restoreFailed({ log, clock, sliceMs: SLICE_MS }, lane)
      } else {
        const from = lane.consumed
        const { batchRecords: recordsMax = BATCH_RECORDS } = this.#ports
        const request = { stream, partition: lane.partition, from, recordsMax }
        this.#batch = await log.read(request)
        this.#from = from
        if (this.#batch.length === 0) this.#refuse(`record ${from} is gone or not there yet`)
        // Decoded while nothing else was read.
        for (const record of this.#batch) if (lane.wants(record)) void (record.keys, record.data)
      }
      this.#run(to)
    }
  }

  #refuse(reason: string): never {
    const { definition, partition } = this.lane
    const place = partitionName(definition.source, partition)
    const details = { fold: definition.name, reason: `of ${place}: ${reason}` }
    throw streamsErrors.create('SWEEP_IMPOSSIBLE', details)
  }
}

class SweptFold implements FoldHandle {
  readonly definition: FoldDefinition
  readonly lanes: readonly SweptLane[]
  readonly #shards: readonly FoldShard[]

  constructor(definition: FoldDefinition, lanes: readonly SweptLane[]) {
    this.definition = definition
    this.lanes = lanes
    this.#shards = lanes.map(({ lane }) => lane.shard)
  }

  #laneOf(key: string): Lane {
    return (this.lanes[partitionOf(key, this.lanes.length)] as SweptLane).lane
  }

  shards(): readonly FoldShard[] {
    return this.#shards
  }

  shardOf(key: string): FoldShard {
    return this.#laneOf(key).shard
  }

  position(): Position {
    const { source } = this.definition
    return new Map(
      this.lanes.map(({ lane }) => [partitionName(source, lane.partition), lane.consumed]),
    )
  }

  consumed(partition: number): number {
    return (this.lanes[partition] as SweptLane).lane.consumed
  }

  corrected(): number {
    return leastCorrected(this.lanes)
  }

  isSettled(): boolean {
    return this.lanes.every(({ stale }) => stale.size === 0)
  }

  revision(): number {
    let sum = 0
    for (const { lane } of this.lanes) sum += lane.revision
    return sum
  }

  parked(): readonly [] {
    return []
  }

  isParked(key: string): boolean {
    return this.#laneOf(key).parked.has(key)
  }

  watermarkOf(key: string): number {
    return this.#laneOf(key).watermarkMs
  }
}
