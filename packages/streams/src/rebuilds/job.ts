/** What a builder is told about a fold, as it stands when the work begins. */
import { partitionName, type Position } from '@millrace/core'
import type { CorrectionBook } from '../corrections/book.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner, FoldVersion } from '../runner.ts'
import type { TableWatch } from '../table-watch.ts'
import {
  decisionsDigest,
  foldsOf,
  type BuildJob,
  type DecidedOf,
  type LaneFacts,
} from './builder.ts'
import type { Build } from './events.ts'

/** What jobs are made from. */
export interface JobPorts {
  readonly tenant: string
  readonly watch: TableWatch
  readonly amendments: DecidedOf
  readonly corrections: Pick<CorrectionBook, 'position'>
}

/** The job of making `build` of a fold with the code of `version`. */
export function jobOf(
  { watch, tenant, amendments, corrections }: JobPorts,
  runner: FoldRunner,
  { build }: Pick<Build, 'build'>,
  version: FoldVersion,
): BuildJob {
  const built = factsOf(runner, version)
  const live = factsOf(runner, runner)
  const tables = watch.tablesOf(runner).map(table => ({
    ...factsOf(table, table),
    kinds: watch.kindsOf(table),
  }))
  return {
    build,
    built,
    live,
    tables,
    tenant,
    partitions: runner.lanes.map(({ lane }) => lane.partition),
    decisions: decisionsDigest(amendments, foldsOf({ built, tables })),
    corrected: corrections.position,
    parked:
      built.version === live.version
        ? runner.lanes.map(({ lane }) =>
            [...lane.parked.values()].map(({ key, offset, error, attempts }) => ({
              key,
              offset,
              error,
              attempts,
            })),
          )
        : [],
  }
}

function factsOf({ name, lineage, lanes }: FoldRunner, version: FoldVersion): LaneFacts {
  const { generation, reads } = lineage
  const { definition, identity } = version
  const isPersonal = lanes.some(({ lane }) => lane.options.isPersonal)
  const { version: own } = definition
  return { fold: name, version: own, identity, generation, reads: [...reads], isPersonal }
}

/** Offsets of the partitions that a fold reads: those that it has consumed, or others. */
export function positionOf(
  { lanes, definition }: FoldRunner,
  offsetOf: (lane: Lane) => number = lane => lane.consumed,
): Position {
  const { source } = definition
  return new Map(lanes.map(({ lane }) => [partitionName(source, lane.partition), offsetOf(lane)]))
}
