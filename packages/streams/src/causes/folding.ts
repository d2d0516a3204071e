/** Records folded into several worlds at once: each is read and decoded once. */
import type { LogRecord } from '@millrace/log'
import type { Corrections } from '../corrections/contract.ts'
import type { FoldDefinition, FoldShard, TableLookup } from '../fold.ts'
import { Lane } from '../lane.ts'
import type { Bound } from '../past/bound.ts'
import { Slices } from '../slices.ts'
import type { PastPorts } from '../past/moment.ts'

/** What one world is made of, in one partition. */
export interface FoldedWorld {
  readonly definition: FoldDefinition
  readonly corrections: Corrections
  readonly tables: TableLookup
  /** Records that it has, and the time that has come. */
  readonly bound: Pick<Bound, 'has' | 'asKnown' | 'watermarkMs'>
}

/** A world, folded. */
export interface FoldedLane {
  readonly shard: FoldShard
  readonly parked: ReadonlySet<string>
}

/** Folds records into empty lanes beside `live`; `records` gives them from the first one, each time it is called. */
export async function foldWorlds(
  ports: Pick<PastPorts, 'clock' | 'sliceMs'>,
  live: Lane,
  worlds: readonly FoldedWorld[],
  records: () => AsyncIterable<LogRecord>,
): Promise<readonly FoldedLane[]> {
  // A copy before each record is dear; histories seldom need one.
  for (let isGuarded = false; ; isGuarded = true) {
    const lanes = worlds.map(world => new WorldLane(live, world, isGuarded))
    const slices = new Slices(ports.clock, ports.sliceMs)
    for await (const record of records()) {
      for (const lane of lanes) lane.fold(record)
      await slices.pause()
    }
    if (lanes.some(({ hasFailed }) => hasFailed)) continue
    return lanes.map(lane => lane.finish())
  }
}

class WorldLane {
  hasFailed = false
  readonly #world: FoldedWorld
  readonly #lane: Lane
  readonly #isGuarded: boolean
  readonly #parked = new Set<string>()
  #last: LogRecord | undefined

  constructor(live: Lane, world: FoldedWorld, isGuarded: boolean) {
    const { definition, corrections, tables } = world
    this.#world = world
    this.#lane = new Lane({ ...live.options, definition, corrections, tables })
    this.#lane.mutedBefore = Infinity
    this.#isGuarded = isGuarded
  }

  fold(arrived: LogRecord): void {
    const { bound } = this.#world
    const lane = this.#lane
    if (this.hasFailed || !bound.has(arrived)) return
    const record = lane.amended(bound.asKnown?.(arrived) ?? arrived)
    if (!lane.wants(record)) return
    const keys = lane.keysOf(record)
    this.#last = record
    lane.advanceTo(record)
    for (const key of lane.parked.keys()) this.#parked.add(key)
    if (keys.some(key => this.#parked.has(key))) {
      // They share their fate from here on.
      this.#park(keys)
      return
    }
    const { shard } = lane
    const before = this.#isGuarded ? keys.map(key => shard.encodeKey(key)) : []
    try {
      lane.foldOne(record)
    } catch {
      this.hasFailed = !this.#isGuarded
      if (!this.#isGuarded) return
      for (const [at, key] of keys.entries()) shard.decodeKey(key, before[at])
      if (lane.definition.onFailure === 'park') this.#park(keys)
    }
  }

  finish(): FoldedLane {
    // A key without records has no timers either.
    if (this.#last !== undefined) this.#lane.passTime(this.#world.bound.watermarkMs, this.#last)
    for (const key of this.#lane.parked.keys()) this.#parked.add(key)
    return { shard: this.#lane.shard, parked: this.#parked }
  }

  #park(keys: readonly string[]): void {
    for (const key of keys) {
      this.#parked.add(key)
      this.#lane.shard.hold?.(key)
    }
  }
}
