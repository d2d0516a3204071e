/**
 * Which generation of which fold emits, kept in the log itself: one record of the stream
 * `streams.generations` each time a fold with targets starts under another identity. Generations
 * count over all folds, so a record's generation alone tells who emitted it.
 *
 * The identity of a fold is its version and the generations of the folds that emit to its source:
 * a fold behind a changed one is built anew as well, from records of the newest generation only.
 * The versions of the folds that keep the tables it reads belong to it, too.
 * Folds that feed each other in a circle change together.
 *
 * Processes may start at once with different folds: a number is the id of its record, so only one
 * of them gets it, and the others read again and come with the next one.
 */
import { deriveId, type Clock } from '@millrace/core'
import { DEFAULT_TENANT, type EventLog } from '@millrace/log'
import { streamsErrors } from './errors.ts'
import type { FoldDefinition } from './fold.ts'
import { MERGED } from './identity/contract.ts'

/** The stream that remembers generations. */
export const GENERATIONS_STREAM = 'streams.generations'
const STARTED_TYPE = 'generation.started'
/** The generation of records from outside. */
export const OUTSIDE = 0

/** What follows from the graph of folds and the log. */
export interface Lineage {
  /** Version of a fold with the generations that it reads: what a snapshot must match. */
  readonly identity: string
  /** Generation of its emissions; 0 for a fold without targets. */
  readonly generation: number
  /** The same of the version that the fold replaces. */
  readonly replacedIdentity?: string
  /** Generations of the records that it folds. */
  readonly reads: ReadonlySet<number>
}

/** Processes that start with new folds at once take turns; each turn is a moment. */
const TURNS_MAX = 50
const TURN_MS = 100

/** Settles the generation of every fold, in the log where it is new. Throws GENERATIONS_CONTENDED. */
export async function settleGenerations(
  log: EventLog,
  clock: Clock,
  folds: readonly FoldDefinition[],
  tables: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, Lineage>> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const lineage = await trySettle(log, clock, folds, tables)
    if (lineage !== undefined) return lineage
    await new Promise<void>(resolve => clock.after(TURN_MS, resolve))
  }
  throw streamsErrors.create('GENERATIONS_CONTENDED', { turns: TURNS_MAX })
}

/** Undefined when another process took a number meanwhile. */
async function trySettle(
  log: EventLog,
  clock: Clock,
  folds: readonly FoldDefinition[],
  tables: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, Lineage> | undefined> {
  const known = await readKnown(log)
  let newest = Math.max(OUTSIDE, ...[...known.values()].map(entry => entry.generation))
  const generations = new Map<string, number>()
  const identities = new Map<string, string>()
  const replaced = new Map<string, string>()
  for (const circle of circlesInOrder(folds)) {
    const inside = new Set(circle)
    const described = circle
      .map(fold => `${fold.name}=${fold.version}`)
      .sort()
      .join(',')
    for (const fold of circle) {
      const before = emittersOf(folds, fold.source)
        .filter(emitter => !inside.has(emitter))
        .map(emitter => generations.get(emitter.name))
        .sort()
      const identityOf = (definition: FoldDefinition): string => {
        const joined = (definition.tables ?? []).map(kind => {
          const table = folds.find(other => other.name === tables[kind])
          return `${kind}=${table?.version}`
        })
        const { version } = definition
        const withTables = joined.length === 0 ? version : `${version}[${joined.join(',')}]`
        const own = circle.length === 1 ? withTables : `${withTables}(${described})`
        return before.length === 0 ? own : `${own}<${before.join(',')}`
      }
      const identity = identityOf(fold)
      identities.set(fold.name, identity)
      if (fold.replaces !== undefined) replaced.set(fold.name, identityOf(fold.replaces))
      if ((fold.targets ?? []).length === 0) continue
      const entry = known.get(fold.name)
      if (entry !== undefined && entry.identity === identity) {
        generations.set(fold.name, entry.generation)
        continue
      }
      newest += 1
      const isOurs = await announce(log, clock, { fold: fold.name, identity, generation: newest })
      if (!isOurs) return undefined
      generations.set(fold.name, newest)
    }
  }
  const lineage = new Map<string, Lineage>()
  for (const fold of folds) {
    const reads = new Set([OUTSIDE])
    if (fold.isRekeying !== true) reads.add(MERGED)
    for (const emitter of emittersOf(folds, fold.source)) {
      reads.add(generations.get(emitter.name) as number)
    }
    const replacedIdentity = replaced.get(fold.name)
    lineage.set(fold.name, {
      identity: identities.get(fold.name) as string,
      ...(replacedIdentity === undefined ? {} : { replacedIdentity }),
      generation: generations.get(fold.name) ?? OUTSIDE,
      reads,
    })
  }
  return lineage
}

/** The folds that emit to a stream. */
export function emittersOf(
  folds: readonly FoldDefinition[],
  stream: string,
): readonly FoldDefinition[] {
  return folds.filter(fold => fold.targets?.includes(stream) === true)
}

/** Under which identity a fold started last, and the generation of what it emits since. */
interface Known {
  readonly identity: string
  readonly generation: number
}

async function readKnown(log: EventLog): Promise<ReadonlyMap<string, Known>> {
  await log.declare([{ name: GENERATIONS_STREAM, partitions: 1 }])
  return await readGenerations(log)
}

/** What the log says of the folds that emit, by name. The stream of it is declared. */
export async function readGenerations(
  log: Pick<EventLog, 'read'>,
): Promise<ReadonlyMap<string, Known>> {
  const known = new Map<string, Known>()
  for (let from = 0; ;) {
    const records = await log.read({ stream: GENERATIONS_STREAM, partition: 0, from })
    if (records.length === 0) return known
    for (const record of records) {
      const { fold, identity, generation } = record.data as Known & { fold: string }
      known.set(fold, { identity, generation })
    }
    from += records.length
  }
}

/** False when the number stands for something else. */
async function announce(
  log: EventLog,
  clock: Clock,
  started: Known & { readonly fold: string },
): Promise<boolean> {
  const { results } = await log.commit({
    events: [
      {
        tenant: DEFAULT_TENANT,
        stream: GENERATIONS_STREAM,
        type: STARTED_TYPE,
        key: started.fold,
        id: deriveId(0, `generation\n${started.generation}`),
        eventTimeMs: clock.nowMs(),
        // The same folds started elsewhere at the same time are no conflict.
        isTimeOfArrival: true,
        data: started,
      },
    ],
  })
  return results[0]?.status !== 'conflict'
}

/** Strongly connected sets of folds, each after those that emit to it (Tarjan 1972). */
export function circlesInOrder(folds: readonly FoldDefinition[]): readonly FoldDefinition[][] {
  const circles: FoldDefinition[][] = []
  const indexOf = new Map<FoldDefinition, number>()
  const lowest = new Map<FoldDefinition, number>()
  const stack: FoldDefinition[] = []
  const visit = (fold: FoldDefinition): void => {
    const index = indexOf.size
    indexOf.set(fold, index)
    lowest.set(fold, index)
    stack.push(fold)
    for (const emitter of emittersOf(folds, fold.source)) {
      if (!indexOf.has(emitter)) visit(emitter)
      if (stack.includes(emitter)) {
        lowest.set(fold, Math.min(lowest.get(fold) as number, lowest.get(emitter) as number))
      }
    }
    if (lowest.get(fold) !== index) return
    circles.push(stack.splice(stack.indexOf(fold)))
  }
  for (const fold of folds) if (!indexOf.has(fold)) visit(fold)
  return circles
}
