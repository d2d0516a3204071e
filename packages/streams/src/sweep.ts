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
import type { FoldDefinition, FoldShard } from './fold.ts'
import { emittersOf, OUTSIDE, readGenerations } from './generations.ts'
import { Lane } from './lane.ts'
import { restoreFailed } from './refold.ts'
import type { FoldHandle } from './streams.ts'

const BATCH_RECORDS = 4_096
const SLICE_MS = 100

/** What a sweep reads. */
export interface SweepPorts {
  readonly log: Pick<EventLog, 'read' | 'history' | 'ends' | 'stats'>
  readonly clock: Clock
  /** Hears of each record that is folded, in order within its partition. */
  readonly onRecord?: (record: LogRecord) => void
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

/** Opens a sweep at the beginning of the log, for folds that read no tables. Rejects with SWEEP_IMPOSSIBLE. */
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
    for (const emitter of emittersOf(folds, source)) {
      reads.add(generations.get(emitter.name)?.generation ?? OUTSIDE)
    }
    const ids = new EmissionIds(name, OUTSIDE)
    const emitter = {
      fold: name,
      generation: OUTSIDE,
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
        tables: { asOf: () => refuse('it reads tables') },
        amendments: amendments.of(name),
        corrections,
        isPersonal: true,
      })
      lane.mutedBefore = Infinity
      return new SweptLane(ports, lane)
    })
    swept.set(name, new SweptFold(definition, lanes))
  }
  const find = (name: string): SweptFold => {
    const fold = swept.get(name)
    if (fold === undefined) throw streamsErrors.create('FOLD_UNKNOWN', { fold: name })
    return fold
  }
  return {
    fold: <Shard extends FoldShard>(name: string) => find(name) as unknown as FoldHandle<Shard>,
    advance: (name, partition, to) => (find(name).lanes[partition] as SweptLane).advance(to),
    async correct(to) {
      const from = Math.min(...[...swept.values()].map(fold => fold.corrected()))
      if (to <= from) return
      const lanes = [...swept.values()].flatMap(fold => fold.lanes.map(({ lane }) => lane))
      await correctSilently(ports, book, lanes, { from, to })
    },
  }
}

/** One partition, with the records that were read ahead. */
class SweptLane {
  readonly lane: Lane
  readonly #ports: SweepPorts
  #batch: readonly LogRecord[] = []
  #from = 0

  constructor(ports: SweepPorts, lane: Lane) {
    this.#ports = ports
    this.lane = lane
  }

  advance(to: number): Promise<void> | undefined {
    const { lane } = this
    if (to < lane.consumed) this.#refuse(`offset ${to} is behind ${lane.consumed}`)
    this.#run(to)
    return lane.consumed < to ? this.#read(to) : undefined
  }

  /** Folds what was read. */
  #run(to: number): void {
    const { lane } = this
    const begin = lane.consumed - this.#from
    const end = Math.min(to - this.#from, this.#batch.length)
    if (begin >= end || lane.failure !== undefined) return
    lane.run(this.#batch, begin, end)
    const { onRecord } = this.#ports
    if (onRecord === undefined) return
    for (let at = begin; at < lane.consumed - this.#from; at++)
      onRecord(this.#batch[at] as LogRecord)
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
