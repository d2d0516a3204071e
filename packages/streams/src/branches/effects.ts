/** What the changes of a branch make a fold emit otherwise: kept in memory, as corrections of its records and as records that are in no log. */
import type { LogRecord, NewEvent } from '@millrace/log'
import type { CorrectionChange } from '../corrections/book.ts'
import type { Correction, CorrectionAction } from '../corrections/contract.ts'
import { EmissionComparison, KeyEmissions } from '../corrections/emissions.ts'
import { assertKept } from '../past/moment.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import { Slices } from '../slices.ts'
import { canonicalText } from '../views/canonical.ts'
import { addedRecord } from './added.ts'
import type { Ground } from './ground.ts'
import { isMany, passOver, type Side } from './pass.ts'
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
    const keys = new Set([...touched].filter(key => runner.laneOf(key).lane === lane))
    if (keys.size === 0) continue
    const isTimed = lane.shard.advance !== undefined && lane.shard.isSteadyInTime !== true
    const isWhole = isTimed || isMany(keys.size, lane)
    const compare = isWhole ? comparePass : compareKeys
    const { corrected, appended } = await compare(worlds, runner, { lane, keys }, work)
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

interface Part {
  readonly lane: Lane
  /** Keys of the lane that read something otherwise. */
  readonly keys: ReadonlySet<string>
}

/** Both worlds fold the records of the keys side by side, so that of each record the arrival is known. */
async function compareKeys(
  worlds: Worlds,
  runner: FoldRunner,
  { lane: { partition, options }, keys }: Part,
  work: Work,
): Promise<EmissionComparison> {
  const { ground } = worlds.with
  const { log, clock, sliceMs } = ground.ports
  const { source: stream } = runner.definition
  await assertKept(log, stream, partition)
  const { to, has } = await ground.bound(runner, partition)
  return await inBothWorlds(worlds, runner, partition, work, async sides => {
    const slices = new Slices(clock, sliceMs)
    const [before, after] = sides.map(
      ({ world, lane }) => new KeyEmissions(lane, keys, key => world.endOf(runner, key)),
    ) as [KeyEmissions, KeyEmissions]
    const compared = new EmissionComparison(ground)
    const { tenant } = options
    const request = { stream, tenant, keys: [...keys], from: 0, to, isByOffset: true }
    for await (const record of log.history(request)) {
      if (!has(record)) continue
      work.note()
      compared.add(before.fold(record), after.fold(record), record.ingestTimeMs)
      await slices.pause()
    }
    for (const record of await worlds.with.addedTo(runner, partition)) {
      compared.add([], after.fold(record), record.ingestTimeMs)
    }
    return compared
  })
}

/**
 * Timers fire in the name of the record that passed them, which may be of any key: both worlds are
 * folded side by side, and what they emit is compared at once.
 */
async function comparePass(
  worlds: Worlds,
  runner: FoldRunner,
  { lane: { partition } }: Part,
  work: Work,
): Promise<EmissionComparison> {
  const compared = new EmissionComparison(worlds.with.ground)
  return await inBothWorlds(worlds, runner, partition, work, async sides => {
    await passOver(sides, runner, partition, work, records => {
      const [before, after] = sides.map(({ lane }) => lane.emitted.splice(0)) as [NewEvent[], NewEvent[]] // prettier-ignore
      compared.add(before, after, records[0]?.ingestTimeMs)
    })
    return compared
  })
}

/** Calls `compare` with a lane of each world that tells what it emits: without the changes, then with them. */
async function inBothWorlds(
  { without: trunk, with: changed }: Worlds,
  runner: FoldRunner,
  partition: number,
  work: Work,
  compare: (sides: readonly Side[]) => Promise<EmissionComparison>,
): Promise<EmissionComparison> {
  return await trunk.withTables(runner, work, before =>
    changed.withTables(runner, work, async after => {
      const sides: readonly Side[] = [
        { world: trunk, lane: trunk.createLane(runner, partition, { tables: before }) },
        { world: changed, lane: changed.createLane(runner, partition, { tables: after }) },
      ]
      for (const { lane } of sides) lane.mutedBefore = 0
      return await compare(sides)
    }),
  )
}
