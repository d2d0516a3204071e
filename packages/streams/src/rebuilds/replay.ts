/**
 * A range of a stream, folded into a fresh state of a fold beside the live one: what the fold makes
 * of these records alone. Nothing is emitted, kept or changed.
 */
import { partitionName, type Position } from '@millrace/core'
import { streamsErrors } from '../errors.ts'
import { foldLane } from '../fold-lane.ts'
import type { FoldShard } from '../fold.ts'
import { Lane } from '../lane.ts'
import { historyOf, restoreFailed, type RefoldPorts } from '../refold.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'

/** Which records are folded. */
export interface ReplayRequest {
  readonly fold: string
  /** First offsets by partition of the source; a missing one is 0. Default: all from the start. */
  readonly from?: Position
  /** Offsets behind the last ones. Default: what the fold has consumed. */
  readonly to?: Position
  /** Only records of this key. */
  readonly key?: string
}

/** What came of a range. */
export interface Replayed {
  readonly records: number
  /** The fresh states, by partition. */
  readonly shards: readonly FoldShard[]
  /** Keys that could not be folded further, with the offset of the record. */
  readonly parked: readonly {
    readonly key: string
    readonly partition: number
    readonly offset: number
    readonly error: string
  }[]
}

/** Folds a range. Throws REPLAY_INVALID for one that ends before it begins. */
export async function replayRange(
  ports: RefoldPorts,
  runner: FoldRunner,
  request: ReplayRequest,
): Promise<Replayed> {
  const lanes: Lane[] = []
  let records = 0
  const only = request.key === undefined ? undefined : runner.laneOf(request.key)
  for (const laneRunner of runner.lanes) {
    const { lane: live } = laneRunner
    const name = partitionName(live.definition.source, live.partition)
    const from = request.from?.get(name) ?? 0
    const to = Math.min(request.to?.get(name) ?? Infinity, live.consumed)
    if (request.to !== undefined && to < from && from <= live.consumed) {
      const reason = `partition ${live.partition} would end at ${to}, before it begins at ${from}`
      throw streamsErrors.create('REPLAY_INVALID', { fold: runner.name, reason })
    }
    const lane = new Lane({
      ...live.options,
      definition: live.definition,
      corrections: live.corrections,
      from,
    })
    lane.mutedBefore = Infinity
    lane.skipTo(from)
    lanes.push(lane)
    if (only !== undefined && only !== laneRunner) continue
    if (request.key === undefined) await foldLane(ports, lane, to)
    else await foldKeyAlone(ports, lane, request.key, to)
    records += lane.counters.folded + lane.counters.failed + lane.counters.waited
  }
  return {
    records,
    shards: lanes.map(({ shard }) => shard),
    parked: lanes.flatMap(({ parked, partition }) =>
      [...parked.values()].map(({ key, offset, error }) => ({ key, partition, offset, error })),
    ),
  }
}

async function foldKeyAlone(
  ports: RefoldPorts,
  lane: Lane,
  key: string,
  to: number,
): Promise<void> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  for await (const record of historyOf(ports.log, lane, key, lane.consumed, to)) {
    lane.run([record], 0, 1)
    await restoreFailed(ports, lane)
    await slices.pause()
  }
}
