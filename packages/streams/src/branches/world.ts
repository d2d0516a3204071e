/**
 * The two worlds of a branch, at one position: without its changes, and with them. Both read the live
 * state of a key where it is the same, and fold the history of the key where it is not.
 */
import type { EventLog, HistoryRequest, LogRecord } from '@millrace/log'
import type { Corrections } from '../corrections/contract.ts'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import { Lane } from '../lane.ts'
import { isKnown } from '../past/fold-to-bound.ts'
import { assertKept } from '../past/moment.ts'
import { foldSpan, historyOf, type RefoldPorts } from '../refold.ts'
import type { FoldRunner } from '../runner.ts'
import { baseIn, type Otherwise } from './base.ts'
import { isTimeless, type Ground } from './ground.ts'
import { foldSome, passOver } from './pass.ts'
import { WorldTables, type TableSource } from './tables.ts'
import type { Work } from './work.ts'

/** The state of one key, apart from everything else. */
export interface KeyImage {
  readonly bytes: Uint8Array | undefined
  /** What a shard needs beside it to read it; absent where time alone changes nothing. */
  readonly shared: Uint8Array | undefined
  readonly isParked: boolean
  readonly watermarkMs: number
}

/** Keeps what was folded, as long as there is room. */
export interface ImageCache {
  get(name: string): KeyImage | undefined
  put(name: string, image: KeyImage): void
}

/** What a lane of a world may have of its own. */
export interface LaneParts {
  readonly tables?: WorldTables
  /** The keys whose state is wanted of it; default all. */
  readonly keys?: ReadonlySet<string>
}

/** See the head of the file. */
export abstract class World implements TableSource {
  readonly ground: Ground
  protected readonly cache: ImageCache
  readonly #name: string

  constructor(ground: Ground, cache: ImageCache, name: string) {
    this.ground = ground
    this.cache = cache
    this.#name = name
  }

  abstract readonly corrections: Corrections
  abstract definitionOf(runner: FoldRunner): FoldDefinition
  /** Records of a partition that are not in the log, behind all others. */
  abstract addedTo(runner: FoldRunner, partition: number): Promise<readonly LogRecord[]>
  abstract liveRow(table: FoldRunner, id: string): FoldShard | undefined
  abstract state(runner: FoldRunner, key: string, work: Work): Promise<KeyImage>
  /** The state of a key where it need not be folded from records; undefined where it must. */
  protected abstract atHand(runner: FoldRunner, key: string): Promise<KeyImage | undefined>
  /** What is otherwise than at the ground for some keys of a lane, as far as it is settled. */
  protected abstract otherwise(runner: FoldRunner, partition: number, keys: ReadonlySet<string>): Promise<Otherwise> // prettier-ignore
  /** True when another definition takes the place of a fold's: any of its keys may differ. */
  abstract isReplaced(runner: FoldRunner): boolean
  /** True where a key may wait as the live one does. */
  protected abstract mayWait(runner: FoldRunner, key: string): boolean
  /** Finds out what follows for a fold from what others emit otherwise. */
  abstract settle(runner: FoldRunner, work: Work): Promise<void>
  /** The keys of a fold that the changes touch, as far as it is settled. */
  abstract touched(runner: FoldRunner): Promise<ReadonlySet<string>>
  /** Records of a key from this offset on wait, as far as that is known beforehand. */
  abstract endOf(runner: FoldRunner, key: string): number

  tablesOf(runner: FoldRunner): readonly FoldRunner[] {
    return this.ground.ports.watch.tablesOf(runner)
  }

  kindsOf(table: FoldRunner): readonly string[] {
    return this.ground.ports.watch.kindsOf(table)
  }

  async row(table: FoldRunner, id: string, work: Work): Promise<FoldShard> {
    return this.shardOf(table, id, await this.state(table, id, work))
  }

  /** A shard that holds one key. */
  shardOf(runner: FoldRunner, key: string, { bytes, shared }: KeyImage): FoldShard {
    const { shard } = this.createLane(runner, runner.laneOf(key).lane.partition)
    if (shared !== undefined) shard.decodeShared?.(shared)
    if (bytes !== undefined) shard.decodeKey(key, bytes)
    return shard
  }

  /** An empty lane of this world. It says nothing to anybody. */
  createLane(runner: FoldRunner, partition: number, parts: LaneParts = {}): Lane {
    const { lane: live } = runner.lanes[partition] as FoldRunner['lanes'][number]
    const lane = new Lane({
      ...live.options,
      definition: this.definitionOf(runner),
      corrections: this.corrections,
      ...parts,
    })
    lane.mutedBefore = Infinity
    return lane
  }

  /** The log of this world, of one fold; every record that is read of a key is noted. */
  portsOf(runner: FoldRunner, work: Work): RefoldPorts {
    const { log, clock, sliceMs } = this.ground.ports
    return {
      clock,
      sliceMs,
      log: {
        read: request => log.read(request),
        history: request => this.#history(log, runner, request, work),
      },
    }
  }

  async *#history(
    log: EventLog,
    runner: FoldRunner,
    request: HistoryRequest,
    work: Work,
  ): AsyncGenerator<LogRecord> {
    const key = request.keys[0] as string
    const { partition } = runner.laneOf(key).lane
    await assertKept(log, runner.definition.source, partition)
    const bound = await this.ground.bound(runner, partition)
    const end = request.to ?? Infinity
    for await (const record of log.history({ ...request, to: Math.min(end, bound.to) })) {
      if (!bound.has(record)) continue
      work.note()
      yield record
    }
    for (const record of await this.addedTo(runner, partition)) {
      if (record.offset >= end || !record.keys.includes(key)) continue
      work.note()
      yield record
    }
  }

  /** The states of keys: those of a lane that have to be folded are folded in one pass. */
  async states(
    runner: FoldRunner,
    keys: readonly string[],
    work: Work,
  ): Promise<ReadonlyMap<string, KeyImage>> {
    const images = new Map<string, KeyImage>()
    const byPartition = new Map<number, Set<string>>()
    for (const key of keys) {
      const image = await this.atHand(runner, key)
      if (image !== undefined) {
        images.set(key, image)
        continue
      }
      const { partition } = runner.laneOf(key).lane
      const own = byPartition.get(partition) ?? new Set<string>()
      byPartition.set(partition, own.add(key))
    }
    for (const [partition, own] of byPartition) {
      for (const [key, image] of await this.#together(runner, partition, own, work)) {
        images.set(key, image)
      }
    }
    for (const key of keys) {
      if (!images.has(key)) images.set(key, await this.state(runner, key, work))
    }
    return images
  }

  /** A lane with all its keys, folded from the first record. Keys that are parked there are to be asked for by themselves. */
  async wholeLane(runner: FoldRunner, partition: number, work: Work): Promise<Lane> {
    return await this.withTables(runner, work, async tables => {
      const lane = this.createLane(runner, partition, { tables })
      await passOver([{ world: this, lane }], runner, partition, work)
      const { watermarkMs, to } = await this.ground.bound(runner, partition)
      const place = { stream: runner.definition.source, partition, from: to - 1, recordsMax: 1 }
      const newest = to === 0 ? [] : await this.ground.ports.log.read(place)
      for (const record of newest) lane.passTime(watermarkMs, record)
      return lane
    })
  }

  /** Folds keys of a lane in one pass, and keeps them; those that are to be folded by themselves are missing. */
  async #together(
    runner: FoldRunner,
    partition: number,
    keys: ReadonlySet<string>,
    work: Work,
  ): Promise<ReadonlyMap<string, KeyImage>> {
    const { lane: live } = runner.lanes[partition] as FoldRunner['lanes'][number]
    const wanted = new Set([...keys].filter(key => !this.mayWait(runner, key)))
    const images = new Map<string, KeyImage>()
    if (wanted.size === 0) return images
    const otherwise = await this.otherwise(runner, partition, wanted)
    const base = this.isReplaced(runner)
      ? undefined
      : await baseIn(this.ground, runner, { lane: live, keys: wanted }, otherwise)
    await this.prepareTables(runner)
    const { watermarkMs } = await this.ground.bound(runner, partition)
    await this.withTables(runner, work, async tables => {
      images.clear()
      const lane = this.createLane(runner, partition, { tables, keys: wanted })
      const alone = await foldSome({ world: this, lane }, runner, wanted, work, base)
      const { shard } = lane
      for (const key of wanted) {
        if (alone.has(key)) continue
        const bytes = shard.encodeKey(key)
        const shared = isTimeless(shard) ? undefined : shard.encodeShared?.()
        images.set(key, { bytes, shared, isParked: false, watermarkMs })
      }
    })
    for (const [key, image] of images) this.cache.put(this.#nameOf(runner, key), image)
    return images
  }

  #nameOf({ name }: FoldRunner, key: string): string {
    return `${this.#name}\n${name}\n${key}`
  }

  /** What was folded before and is kept. */
  protected kept(runner: FoldRunner, key: string): KeyImage | undefined {
    return this.cache.get(this.#nameOf(runner, key))
  }

  /** Makes the bounds known of the tables that a fold joins. */
  async prepareTables(runner: FoldRunner): Promise<void> {
    for (const table of this.tablesOf(runner)) {
      for (const { lane } of table.lanes) await this.ground.bound(table, lane.partition)
    }
  }

  /** Calls `fold` with the tables of this world until no row is missing. */
  async withTables<T>(
    runner: FoldRunner,
    work: Work,
    fold: (tables: WorldTables) => Promise<T>,
  ): Promise<T> {
    await this.prepareTables(runner)
    const tables = new WorldTables(this, runner, work)
    for (;;) {
      const folded = await fold(tables)
      if (!(await tables.load())) return folded
    }
  }

  /** The live image of a key; undefined when it is not that of the position. */
  protected async live(runner: FoldRunner, key: string): Promise<KeyImage | undefined> {
    let image: KeyImage | undefined
    await this.ground.withLive(runner, key, (lane, { watermarkMs }) => {
      const { shard } = lane
      image = {
        bytes: shard.encodeKey(key),
        shared: isTimeless(shard) ? undefined : shard.encodeShared?.(),
        isParked: lane.parked.has(key),
        watermarkMs,
      }
    })
    return image
  }

  /** A key folded from its history; with `isRetried` it does not wait where the live one does. */
  protected async folded(
    runner: FoldRunner,
    key: string,
    work: Work,
    isRetried: boolean,
  ): Promise<KeyImage> {
    const kept = this.kept(runner, key)
    if (kept !== undefined) return kept
    if (runner.definition.hasLongHistories === true) {
      const image = (await this.#together(runner, runner.laneOf(key).lane.partition, new Set([key]), work)).get(key) // prettier-ignore
      if (image !== undefined) return image
    }
    const { lane: live } = runner.laneOf(key)
    const bound = await this.ground.bound(runner, live.partition)
    const parked = isRetried ? undefined : live.parked.get(key)
    const { ports } = this.ground
    const isParked = parked !== undefined && (await isKnown(ports, live, bound, parked.offset))
    const { watermarkMs, to } = bound
    const end = isParked ? parked.offset : Infinity
    const image = await this.withTables(runner, work, async tables => {
      const attempt = async (isGuarded: boolean): Promise<KeyImage | undefined> => {
        const lane = this.createLane(runner, live.partition, { tables })
        const own = this.portsOf(runner, work)
        const records = historyOf(own.log, lane, key, 0, end)
        const span = { records, to, watermarkMs, isParked }
        const state = await foldSpan(own, lane, key, span, isGuarded)
        if (state === undefined) return undefined
        const { shard } = lane
        return {
          bytes: state.bytes,
          shared: isTimeless(shard) ? undefined : shard.encodeShared?.(),
          isParked: isParked || state.failure !== undefined,
          watermarkMs,
        }
      }
      return (await attempt(false)) ?? ((await attempt(true)) as KeyImage)
    })
    this.cache.put(this.#nameOf(runner, key), image)
    return image
  }
}

const NO_KEYS: ReadonlySet<string> = new Set()

/** The world without the changes. */
export class Trunk extends World {
  constructor(ground: Ground, cache: ImageCache) {
    super(ground, cache, 'without')
  }

  get corrections(): Corrections {
    return this.ground.corrections
  }

  definitionOf(runner: FoldRunner): FoldDefinition {
    return this.ground.definitionOf(runner)
  }

  async addedTo(): Promise<readonly LogRecord[]> {
    return []
  }

  async settle(): Promise<void> {}

  async touched(): Promise<ReadonlySet<string>> {
    return NO_KEYS
  }

  liveRow(table: FoldRunner, id: string): FoldShard | undefined {
    const { lane } = table.laneOf(id)
    return this.ground.isStill(table, lane.partition) ? lane.shard : undefined
  }

  isReplaced(): boolean {
    return false
  }

  async state(runner: FoldRunner, key: string, work: Work): Promise<KeyImage> {
    return (await this.live(runner, key)) ?? (await this.folded(runner, key, work, false))
  }

  protected async atHand(runner: FoldRunner, key: string): Promise<KeyImage | undefined> {
    return (await this.live(runner, key)) ?? this.kept(runner, key)
  }

  protected async otherwise(): Promise<Otherwise> {
    return { changes: [], rows: new Map() }
  }

  protected mayWait(runner: FoldRunner, key: string): boolean {
    return runner.laneOf(key).lane.parked.has(key)
  }

  endOf(runner: FoldRunner, key: string): number {
    return runner.laneOf(key).lane.parked.get(key)?.offset ?? Infinity
  }
}
