/** What the changes of a branch make a fold emit otherwise: kept in memory, as corrections of its records and as records that are in no log. */
import { TICK_TYPE, type LogRecord, type NewEvent } from '@millrace/log'
import type { CorrectionChange } from '../corrections/book.ts'
import type { Correction, CorrectionAction } from '../corrections/contract.ts'
import { emittedBy, EmissionComparison } from '../corrections/emissions.ts'
import type { Lane } from '../lane.ts'
import { assertKept } from '../past/moment.ts'
import { restoreFailed, type RefoldPorts } from '../refold.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { canonicalText } from '../views/canonical.ts'
import { addedRecord } from './added.ts'
import type { Ground } from './ground.ts'
import type { World } from './world.ts'
import type { Work } from './work.ts'

/** See the head of the file. */
export interface Effect {
  readonly corrections: readonly CorrectionChange[]
  /** Records that it does not emit without the changes. */
  readonly added: readonly LogRecord[]
  readonly isEmpty: boolean
  /** Tells it from another one. */
  readonly text: string
}

const BATCH_RECORDS = 1_000
const CHUNK_RECORDS = 64

/** The worlds that are compared. */
export interface Worlds {
  readonly without: World
  readonly with: World
  /** The source of the corrections that follow. */
  readonly source: string
}

/** What a fold emits otherwise because of `touched`, the keys that read something otherwise. */
export async function effectOf(
  worlds: Worlds,
  runner: FoldRunner,
  touched: ReadonlySet<string>,
  work: Work,
): Promise<Effect> {
  const { ground } = worlds.with
  const found = new EmissionComparison(ground)
  for (const { lane } of runner.lanes) {
    const keys = [...touched].filter(key => runner.laneOf(key).lane === lane)
    if (keys.length === 0) continue
    if (lane.shard.advance === undefined || lane.shard.isSteadyInTime === true) {
      for (const key of keys) {
        const before = await emittedByKey(worlds.without, runner, key, work)
        found.add(before, await emittedByKey(worlds.with, runner, key, work))
      }
      continue
    }
    const { corrected, appended } = await comparePass(worlds, runner, lane.partition, work)
    found.corrected.push(...corrected)
    found.appended.push(...appended)
  }
  return await effect(ground, found, worlds.source)
}

async function effect(
  ground: Ground,
  { corrected, appended }: EmissionComparison,
  source: string,
): Promise<Effect> {
  const corrections = corrected.map(({ action, event: { data, ...event } }): CorrectionChange => {
    const entry = ground.entry(event.id) ?? { ...event, history: [] }
    const after = correctionOf(action, source, data)
    return { entry, before: ground.correctionOf(entry), after }
  })
  const arrivedMs = ground.instant.timeMs
  const added: LogRecord[] = []
  for (const event of appended) {
    added.push(addedRecord(event, { arrivedMs, watermarkMs: await endMs(ground, event) }))
  }
  const text = canonicalText([corrected, appended.map(({ id, data }) => [id, data])])
  const isEmpty = corrected.length === 0 && appended.length === 0
  return { corrections, added, isEmpty, text }
}

/** The time at the end of the partition of an emission. */
async function endMs(ground: Ground, { stream, partition }: NewEvent): Promise<number> {
  const reader = ground.ports.runners.find(({ definition }) => definition.source === stream)
  if (reader === undefined) return Number.NEGATIVE_INFINITY
  return (await ground.bound(reader, partition as number)).watermarkMs
}

function correctionOf(
  action: CorrectionAction,
  source: string,
  data: unknown,
): Correction | undefined {
  if (action === 'restore') return undefined
  return action === 'correct' ? { action, source, data } : { action, source }
}

/** What a key of a world emits; nothing behind the record at which it waits. */
async function emittedByKey(
  world: World,
  runner: FoldRunner,
  key: string,
  work: Work,
): Promise<readonly NewEvent[]> {
  const { lane: live } = runner.laneOf(key)
  return await world.withTables(runner, work, async tables => {
    const lane = world.createLane(runner, live.partition, tables)
    lane.mutedBefore = 0
    return await emittedBy(world.portsOf(runner, work), lane, key, world.endOf(runner, key))
  })
}

/**
 * Timers fire in the name of the record that passed them, which may be of any key: both worlds are
 * folded side by side, and what they emit is compared at once.
 */
async function comparePass(
  worlds: Worlds,
  runner: FoldRunner,
  partition: number,
  work: Work,
): Promise<EmissionComparison> {
  const { without: trunk, with: changed } = worlds
  return await trunk.withTables(runner, work, before =>
    changed.withTables(runner, work, async after => {
      const sides: readonly Side[] = [
        { world: trunk, lane: trunk.createLane(runner, partition, before) },
        { world: changed, lane: changed.createLane(runner, partition, after) },
      ]
      for (const { lane } of sides) lane.mutedBefore = 0
      return await pass(sides, runner, partition, work)
    }),
  )
}

interface Side {
  readonly world: World
  readonly lane: Lane
}

async function pass(
  sides: readonly Side[],
  runner: FoldRunner,
  partition: number,
  work: Work,
): Promise<EmissionComparison> {
  const { ground } = (sides[0] as Side).world
  const stream = runner.definition.source
  await assertKept(ground.ports.log, stream, partition)
  const bound = await ground.bound(runner, partition)
  const compared = new EmissionComparison(ground)
  const slices = new Slices(ground.ports.clock, ground.ports.sliceMs)
  const isIn = (record: LogRecord): boolean =>
    bound.has(record) || (record.type === TICK_TYPE && record.watermarkMs <= bound.watermarkMs)
  const compare = (): void => {
    const [before, after] = sides.map(({ lane }) => lane.emitted.splice(0)) as [
      NewEvent[],
      NewEvent[],
    ]
    compared.add(before, after)
  }
  for (let from = 0; from < bound.to;) {
    const recordsMax = Math.min(BATCH_RECORDS, bound.to - from)
    const batch = await ground.ports.log.read({ stream, partition, from, recordsMax })
    if (batch.length === 0) break
    const records = batch.filter(isIn)
    for (const _ of records) work.note()
    for (const { world, lane } of sides) {
      await foldAll(lane, records, world.portsOf(runner, work), slices)
    }
    compare()
    from += batch.length
  }
  for (const { world, lane } of sides) {
    const added = await world.addedTo(runner, partition)
    await foldAll(lane, added, world.portsOf(runner, work), slices)
  }
  compare()
  return compared
}

async function foldAll(
  lane: Lane,
  records: readonly LogRecord[],
  ports: RefoldPorts,
  slices: Slices,
): Promise<void> {
  for (let at = 0; at < records.length;) {
    lane.run(records, at, Math.min(at + CHUNK_RECORDS, records.length))
    await restoreFailed(ports, lane)
    await slices.pause()
    while (at < records.length && (records[at] as LogRecord).offset < lane.consumed) at += 1
  }
}
