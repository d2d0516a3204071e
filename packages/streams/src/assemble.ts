/** Checks the folds and makes their lanes. */
import { partitionOf } from '@millrace/core'
import type { SnapshotStore } from '@millrace/store'
import type { Amendments } from './amendments.ts'
import type { CorrectionBook } from './corrections/book.ts'
import { EmissionIds } from './emission-id.ts'
import { streamsErrors } from './errors.ts'
import type { FoldDefinition, TableLookup, TableShard } from './fold.ts'
import { settleGenerations, type Lineage } from './generations.ts'
import { Lane } from './lane.ts'
import type { StreamsOptions, StreamsSettings } from './options.ts'
import { BuildBook, snapshotNameOf, type BuildHistory } from './rebuilds/events.ts'
import { FoldRunner, LaneRunner, type FoldVersion } from './runner.ts'
import { StepWriter } from './step-writer.ts'

const FOLD_NAME = /^[a-z][a-zA-Z0-9._-]{0,59}$/

/** Folds that are not folding yet, and what the log knows about them. */
export interface Assembled {
  readonly runners: ReadonlyMap<string, FoldRunner>
  readonly book: BuildBook
}

/** What was decided about records. */
export interface Decided {
  readonly amendments: Amendments
  readonly corrections: CorrectionBook
}

/** Makes the runners of all folds; nothing is folded yet. */
export async function assemble(
  options: StreamsOptions,
  settings: StreamsSettings,
  { amendments, corrections, onSettled }: Decided & { readonly onSettled: () => void },
): Promise<Assembled> {
  const { log, clock, folds } = options
  const partitions = new Map<string, number>()
  for (const stats of log.stats().streams) partitions.set(stats.stream, stats.partitions.length)
  checkFolds(folds, partitions, options.tables ?? {})
  const lineage = await settleGenerations(log, clock, folds, options.tables ?? {})
  const book = await BuildBook.open(log)
  const runners = new Map<string, FoldRunner>()
  const isShared = options.leases !== undefined
  const tables = createLookup(options.tables ?? {}, runners)
  for (const newest of folds) {
    const count = partitions.get(newest.source) as number
    const own = lineage.get(newest.name) as Lineage
    const versions = versionsOf(newest, own)
    const live = await chooseLive(options.snapshots, versions, book.of(newest.name))
    const { definition } = live
    const targets = new Map(
      (definition.targets ?? []).map(name => [name, partitions.get(name) as number]),
    )
    const lanes = Array.from({ length: count }, (_, partition) => {
      const { generation } = own
      const ids = new EmissionIds(definition.name, generation)
      const emitter = {
        fold: definition.name,
        generation,
        definition: options.definition,
        ids,
        targets,
      }
      const { tenant, batchRecords } = settings
      const generations = own.reads
      const lane = new Lane({
        definition,
        partition,
        partitions: count,
        tenant,
        emitter,
        generations,
        tables,
        amendments: amendments.of(definition.name),
        corrections: corrections.head(),
        isPersonal: seesPersonal(definition, options.personalTypes),
      })
      const writer =
        targets.size === 0
          ? undefined
          : new StepWriter({ log, clock, lane, generation, batchRecords, isShared, onSettled })
      return new LaneRunner(lane, writer)
    })
    const nowMs = clock.monotonicMs()
    const placeOf = (key: string): number => partitionOf(key, count)
    const runner = new FoldRunner({
      live,
      versions,
      lineage: own,
      lanes,
      partitionOf: placeOf,
      nowMs,
    })
    runners.set(definition.name, runner)
  }
  return { runners, book }
}

function versionsOf(newest: FoldDefinition, lineage: Lineage): readonly FoldVersion[] {
  const { identity, replacedIdentity } = lineage
  const versions = [{ definition: newest, identity }]
  if (newest.replaces !== undefined && replacedIdentity !== undefined) {
    versions.push({ definition: newest.replaces, identity: replacedIdentity })
  }
  return versions
}

/**
 * The build that is served, and the version that made it: what the log says, when the definition has
 * that version. Before the first switch it is the version of the snapshot. A version that the
 * definition has no longer is left: its successor is built at the start.
 */
async function chooseLive(
  snapshots: SnapshotStore,
  versions: readonly FoldVersion[],
  history: BuildHistory,
): Promise<FoldVersion & { readonly build: number }> {
  const newest = versions[0] as FoldVersion
  for (const known of [history.live, history.before]) {
    const found = versions.find(({ definition }) => definition.version === known?.version)
    if (known !== undefined && found !== undefined) return { ...found, build: known.build }
  }
  const build = history.live?.build ?? 0
  if (versions.length === 1) return { ...newest, build }
  const snapshot = await snapshots.load(snapshotNameOf(newest.definition.name, build))
  const found = versions.find(({ identity }) => identity === snapshot?.meta.version)
  return { ...(found ?? newest), build }
}

function seesPersonal(
  { types, tables = [] }: FoldDefinition,
  personal: ReadonlySet<string> = new Set(),
): boolean {
  if (types === undefined) return personal.size > 0
  return [...types, ...tables.map(kind => `${kind}.put`)].some(type => personal.has(type))
}

function checkFolds(
  folds: readonly FoldDefinition[],
  partitions: ReadonlyMap<string, number>,
  tables: Readonly<Record<string, string>>,
): void {
  const names = new Set<string>()
  for (const fold of folds) {
    const { name, source, targets = [] } = fold
    const kinds = tableKindsOf(fold)
    const refuse = (reason: string): never => {
      throw streamsErrors.create('FOLD_INVALID', { fold: name, reason })
    }
    if (!FOLD_NAME.test(name)) refuse('its name is not [a-z][a-zA-Z0-9._-]*, at most 60')
    if (names.has(name)) refuse('another fold has its name')
    names.add(name)
    for (const stream of [source, ...targets]) {
      if (!partitions.has(stream)) refuse(`the stream ${stream} is not declared`)
    }
    for (const kind of kinds) {
      const table = tables[kind]
      if (table === undefined) refuse(`no fold keeps the table of ${kind}`)
      if (!folds.some(fold => fold.name === table)) refuse(`the fold ${table} is missing`)
    }
  }
}

/** Item kinds that any version of a fold joins. */
export function tableKindsOf({ tables = [], replaces }: FoldDefinition): readonly string[] {
  return [...new Set([...tables, ...(replaces?.tables ?? [])])]
}

/** Tables by kind, looked up when they are read: the folds are made one after the other. */
function createLookup(
  tables: Readonly<Record<string, string>>,
  runners: ReadonlyMap<string, FoldRunner>,
): TableLookup {
  return {
    asOf(kind, id, timeMs) {
      const runner = runners.get(tables[kind] ?? '')
      if (runner === undefined) {
        throw streamsErrors.create('FOLD_UNKNOWN', { fold: `of the table ${kind}` })
      }
      return (runner.laneOf(id).lane.shard as TableShard).asOf(id, timeMs)
    },
  }
}
