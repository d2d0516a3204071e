/**
 * Bases: cuts of folds whose keys have long histories, kept at intervals of the log, from which keys
 * are folded again when something late in their history was corrected.
 *
 * Promise: a base is used where it is certain that nothing before it is otherwise by now: what was
 * corrected since it was taken arrived behind it, decisions on dead letters are the same, no key of it
 * waits. Whatever cannot be read or fits nothing is left: keys are folded from their first record then.
 *
 * The n-th base is kept at the level of n's trailing zeros, which has room for the newest two: of the
 * newest records there are many bases, of older ones fewer, and for any offset there is one that is at
 * most some two times as far from the end. Cost: the copy of a snapshot at every interval.
 *
 * Of a fold that joins, a base says how far its tables were. Whoever goes on from it looks which rows
 * came behind that for a time that a key had read already (`catchUp`); one is taken only while no row
 * waits, and used only while no row is corrected otherwise.
 */
import type { Logger } from '@millrace/core'
import type { SnapshotMeta, SnapshotStore } from '@millrace/store'
import type { Amendments } from './amendments.ts'
import type { FoldDefinition, FoldShard } from './fold.ts'
import type { Lane } from './lane.ts'
import { decisionsDigest } from './rebuilds/builder.ts'
import type { FoldRunner } from './runner.ts'
import { headerOfChunk, readLanes, type LaneHeader, type LaneImage } from './snapshot-codec.ts'
import type { TableWatch } from './table-watch.ts'

const LEVELS = 8
const SLOTS = LEVELS * 2

/** What bases stand on. */
export interface BasePorts {
  readonly snapshots: SnapshotStore
  readonly amendments: Amendments
  readonly watch: Pick<TableWatch, 'tablesOf'>
  readonly logger: Logger
  /** Records of a fold between two bases. */
  readonly everyRecords: number
}

/** A snapshot without its states. */
interface Outline extends SnapshotMeta {
  readonly lanes: readonly LaneHeader[]
}

type Outlines = ReadonlyMap<string, Outline>

const INDEX_META: SnapshotMeta = { version: '1', info: { format: 1 } }

/** See the head of the file. */
export class Bases {
  readonly #ports: BasePorts
  /** What the bases of a fold are, by their name. */
  readonly #outlines = new Map<FoldRunner, Promise<Outlines>>()
  /** Under way: lanes ask at the same time, each for its part. */
  readonly #loading = new Map<string, Promise<readonly LaneImage[]>>()
  /** How many intervals of a fold have passed. */
  readonly #passed = new Map<FoldRunner, number>()

  constructor(ports: BasePorts) {
    this.#ports = ports
  }

  /** Keeps a copy of the snapshot of a fold that was just written, when that is due. */
  async keep(runner: FoldRunner): Promise<void> {
    const slot = this.#dueSlot(runner)
    if (slot === undefined) return
    const { snapshots } = this.#ports
    const snapshot = await snapshots.load(runner.snapshotName)
    if (snapshot === undefined) return
    const known = await this.#outlinesOf(runner)
    const name = nameOf(runner, slot)
    const lanes: LaneHeader[] = []
    await snapshots.save(name, snapshot.meta, noting(runner, snapshot.chunks, lanes))
    const outlines = new Map(known).set(name, { ...snapshot.meta, lanes })
    this.#outlines.set(runner, Promise.resolve(outlines))
    await this.#writeIndex(runner, outlines)
  }

  #dueSlot(runner: FoldRunner): number | undefined {
    if (!runner.lanes.every(({ lane }) => hasBases(runner.definition, lane.shard))) return undefined
    const tables = this.#ports.watch.tablesOf(runner)
    if (tables.some(({ lanes }) => lanes.some(({ lane }) => lane.parked.size > 0))) return undefined
    const passed = Math.floor(runner.consumed() / this.#ports.everyRecords)
    const before = this.#passed.get(runner) ?? passed - 1
    this.#passed.set(runner, passed)
    let slot: number | undefined
    for (let each = Math.max(before, 0) + 1; each <= passed; each++) {
      const level = Math.min(31 - Math.clz32(each & -each), LEVELS - 1)
      if (slot === undefined || level >= slot % LEVELS) {
        // Those of a level take turns.
        slot = level + LEVELS * ((each >> (level + 1)) & 1)
      }
    }
    return slot
  }

  /**
   * The newest base of a lane from which `keys` can be folded. `limitOf` gives the first offset at
   * which something is otherwise than by the corrections that a base reflects, in rows as in records.
   */
  async find(
    runner: FoldRunner,
    lane: Lane,
    keys: ReadonlySet<string>,
    limitOf: (header: LaneHeader) => Promise<number>,
  ): Promise<LaneImage | undefined> {
    if (!hasBases(lane.definition, lane.shard)) return undefined
    try {
      for (const { name, header } of await this.#candidates(runner, lane)) {
        if (header.parked.some(({ key }) => keys.has(key))) continue
        if (header.consumed > (await limitOf(header))) continue
        const image = await this.#load(name, header)
        if (image !== undefined) return image
      }
    } catch (error) {
      const facts = { fold: runner.name, reason: lane.stopText(error) }
      this.#ports.logger.warn('a base cannot be read', facts)
    }
    return undefined
  }

  /** Those of what the fold is now, newest first. */
  async #candidates(
    runner: FoldRunner,
    { consumed, partition }: Lane,
  ): Promise<readonly { readonly name: string; readonly header: LaneHeader }[]> {
    const { amendments, watch } = this.#ports
    const folds = [runner, ...watch.tablesOf(runner)].map(({ name }) => name)
    const decisions = decisionsDigest(amendments, folds)
    const found: { name: string; header: LaneHeader }[] = []
    for (const [name, outline] of await this.#outlinesOf(runner)) {
      if (outline.version !== runner.identity) continue
      if ((outline.info as { decisions?: unknown }).decisions !== decisions) continue
      const header = outline.lanes.find(one => one.partition === partition)
      if (header !== undefined && header.consumed > 0 && header.consumed <= consumed)
        found.push({ name, header })
    }
    return found.sort((a, b) => b.header.consumed - a.header.consumed)
  }

  async #outlinesOf(runner: FoldRunner): Promise<Outlines> {
    let outlines = this.#outlines.get(runner)
    if (outlines === undefined) {
      this.#outlines.set(runner, (outlines = this.#readIndex(runner)))
      // Whoever comes after a failure looks again.
      outlines.catch(() => this.#outlines.delete(runner))
    }
    return await outlines
  }

  /** Made again from the bases where it is missing. */
  async #readIndex(runner: FoldRunner): Promise<Outlines> {
    const { snapshots } = this.#ports
    const index = await snapshots.load(indexOf(runner))
    if (index?.meta.version === INDEX_META.version) {
      for await (const chunk of index.chunks)
        return new Map(JSON.parse(Buffer.from(chunk).toString('utf8')) as [string, Outline][])
    }
    const outlines = new Map<string, Outline>()
    for (let slot = 0; slot < SLOTS; slot++) {
      const name = nameOf(runner, slot)
      const snapshot = await snapshots.load(name)
      if (snapshot === undefined) continue
      const lanes: LaneHeader[] = []
      for await (const _ of noting(runner, snapshot.chunks, lanes));
      outlines.set(name, { ...snapshot.meta, lanes })
    }
    if (outlines.size > 0) await this.#writeIndex(runner, outlines)
    return outlines
  }

  async #writeIndex(runner: FoldRunner, outlines: Outlines): Promise<void> {
    const text = Buffer.from(JSON.stringify([...outlines]), 'utf8')
    await this.#ports.snapshots.save(indexOf(runner), INDEX_META, [text])
  }

  /** The base that a header is of; undefined when another one took its place. */
  async #load(
    name: string,
    { partition, consumed, corrected }: LaneHeader,
  ): Promise<LaneImage | undefined> {
    let loading = this.#loading.get(name)
    if (loading === undefined) {
      loading = this.#loadAll(name).finally(() => this.#loading.delete(name))
      this.#loading.set(name, loading)
    }
    return (await loading).find(
      ({ header }) =>
        header.partition === partition &&
        header.consumed === consumed &&
        header.corrected === corrected,
    )
  }

  async #loadAll(name: string): Promise<readonly LaneImage[]> {
    const snapshot = await this.#ports.snapshots.load(name)
    const images: LaneImage[] = []
    if (snapshot === undefined) return images
    for await (const image of readLanes(name, snapshot.chunks)) images.push(image)
    return images
  }
}

/** The chunks of a snapshot as they are; gathers what they say of each lane. */
async function* noting(
  { name }: FoldRunner,
  chunks: AsyncIterable<Uint8Array>,
  lanes: LaneHeader[],
): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of chunks) {
    const header = headerOfChunk(name, chunk)
    if (header !== undefined) lanes.push(header)
    yield chunk
  }
}

function nameOf({ name }: FoldRunner, slot: number): string {
  return `${name}.base-${slot}`
}

/** Says what the bases are: each is as large as the states of all keys. */
function indexOf({ name }: FoldRunner): string {
  return `${name}.bases`
}

/** True for a fold of which bases are kept: its state is nothing but that of its keys, and of time that passes alike for all. */
function hasBases({ hasLongHistories }: FoldDefinition, shard: FoldShard): boolean {
  return hasLongHistories === true && (shard.advance === undefined || shard.isSteadyInTime === true)
}
