/**
 * What a feature view knew of each observation: the observations of some partitions, answered in the
 * order of their times by passes over the log, which fold with the code of the stream. Runs on a
 * thread of its own; memory: the state of the view at one moment, and a block of rows.
 */
import { partitionOf } from '@millrace/core'
import { KnownPass, VersionedTable, type FoldDefinition, type KnownLog } from '@millrace/streams'
import { CELL_STATUS, createCellRow, putCell, type CellRow } from '../cell-row.ts'
import { FeatureShard } from '../feature-shard.ts'
import { CellPart, ROW } from './cell-part.ts'
import type { AnsweredAttribute, AnsweredPairs, TrainingColumn } from './columns.ts'
import { readPart } from './parts.ts'

/** Column of the time at which features are evaluated, milliseconds since the epoch. */
export const TIME = 'time'
/** Column of the time up to which records are known. */
export const KNOWN = 'known'

/** Column of the ids of a kind of entity. */
export function entityColumn(kind: string): string {
  return `entity_${kind}`
}

const FIRST = [0] as const

/** What is read of the state, and where it goes: a column as its name says. */
export type AnsweredCell = Pick<TrainingColumn, 'name' | 'read' | 'values' | 'isInput'>

/** What a thread is told; plain data. */
export interface AnswerJob {
  /** The view, or the kind of the table. */
  readonly of: string
  readonly isTable: boolean
  readonly partitions: readonly number[]
  /** The log as far as it counts. */
  readonly ends: readonly (readonly [string, number])[]
  readonly skewMs: number
  readonly latenessMs: number
  /** Parquet file of the observations, sorted by `known`: `row`, `time`, `known`, one column for each kind. */
  readonly observations: string
  readonly entity: string
  /** What the entity is paired with; the column of its sub-keys. */
  readonly pair: string | undefined
  readonly cells: readonly AnsweredCell[]
  /** The file that is written: `row`, then a column for each cell; lists as the text of their JSON. */
  readonly part: string
}

/** What came of it. */
export interface AnswerReport {
  readonly rows: number
  readonly folded: number
  readonly refolded: number
  /** For each cell, how often each status was served, in the order of `CELL_STATUSES`. */
  readonly statuses: readonly (readonly number[])[]
}

/** What answering stands on. */
export interface AnswerPorts {
  readonly log: KnownLog
  /** All folds of the app. */
  readonly folds: readonly FoldDefinition[]
  /** The fold of the view or of the table. */
  readonly fold: FoldDefinition<FeatureShard | VersionedTable>
}

/** Answers the observations of a job. Rejects with SWEEP_IMPOSSIBLE. */
export async function answerObservations(
  ports: AnswerPorts,
  job: AnswerJob,
): Promise<AnswerReport> {
  // Most logs are in the order in which their records became known; looking first would read them twice.
  return (await answer(ports, job, true)) ?? ((await answer(ports, job, false)) as AnswerReport)
}

/** Undefined when the log is not in the order that was assumed. */
async function answer(
  { log, folds, fold }: AnswerPorts,
  job: AnswerJob,
  isOrderAssumed: boolean,
): Promise<AnswerReport | undefined> {
  const ends = new Map(job.ends)
  const count = [...ends.keys()].filter(name => name.startsWith(`${fold.source}/`)).length
  const passes: (KnownPass<FeatureShard | VersionedTable> | undefined)[] = Array.from({
    length: count,
  })
  for (const partition of job.partitions) {
    const { skewMs, latenessMs } = job
    const request = { fold, folds, partition, ends, skewMs, latenessMs, isOrderAssumed }
    const pass = await KnownPass.open(log, request)
    if (pass.shard instanceof FeatureShard) pass.shard.putOff()
    passes[partition] = pass
  }
  const own = passes.filter(pass => pass !== undefined)
  const [any] = own
  const answered = new Answered(job)
  const { entity, pair } = job
  const keyColumn = entityColumn(entity)
  const columns = [ROW, TIME, KNOWN, keyColumn, ...(pair === undefined ? [] : [entityColumn(pair)])]
  for await (const block of readPart(job.observations, columns)) {
    const [row, time, known, id] = columns.map(name => block.column(name)) as [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>, ArrayLike<string>] // prettier-ignore
    const subKeys = pair === undefined ? undefined : (block.column(entityColumn(pair)) as ArrayLike<string>) // prettier-ignore
    for (let index = 0; index < block.rows; index++) {
      const knownMs = known[index] as number
      const key = (any as KnownPass).keyAt(id[index] as string, knownMs)
      const pass = passes[partitionOf(key, count)]
      if (pass === undefined) continue
      const reading = pass.advance(knownMs)
      if (reading !== undefined) await reading
      const refolding = pass.refresh(key)
      if (refolding !== undefined) await refolding
      const place = { key, subKey: subKeys?.[index] ?? '', timeMs: time[index] as number }
      answered.add(row[index] as number, pass.shard, place)
    }
  }
  for (const pass of own) if (!(await pass.isOrderKept())) return undefined
  await answered.finish()
  return {
    rows: answered.rows,
    folded: own.reduce((sum, { folded }) => sum + folded, 0),
    refolded: own.reduce((sum, { refolded }) => sum + refolded, 0),
    statuses: answered.statuses,
  }
}

/** Reads values of the state, and writes them as a part. */
class Answered {
  readonly #part: CellPart
  readonly #reads: readonly AnsweredCell['read'][]
  readonly #cells: readonly number[]
  readonly #row: CellRow
  /** Where the feature of one pair is read. */
  readonly #one = createCellRow(1)

  constructor({ part, cells }: AnswerJob) {
    this.#reads = cells.map(({ read }) => read)
    this.#cells = cells.map((_, index) => index)
    this.#row = createCellRow(cells.length)
    this.#part = new CellPart(part, cells, this.#cells)
  }

  get rows(): number {
    return this.#part.rows
  }

  get statuses(): readonly (readonly number[])[] {
    return this.#part.statuses
  }

  add(
    row: number,
    shard: FeatureShard | VersionedTable,
    place: { readonly key: string; readonly subKey: string; readonly timeMs: number },
  ): void {
    const { key, subKey, timeMs } = place
    if (shard instanceof VersionedTable) this.#readTable(shard.asOf(key, timeMs))
    else {
      const tMs = Math.max(timeMs, shard.watermarkMs)
      if (typeof this.#reads[0] === 'number') {
        const features = this.#reads as readonly number[]
        shard.read({ key, subKey, features, tMs }, this.#row, this.#cells)
      } else this.#readPairs(shard, key, tMs)
    }
    this.#part.add(row, this.#row)
  }

  async finish(): Promise<void> {
    await this.#part.finish()
  }

  /** Features of all pairs of a key: which of them are asked for is known when the row is made. */
  #readPairs(shard: FeatureShard, key: string, tMs: number): void {
    const { values, statuses } = this.#one
    for (const cell of this.#cells) {
      const features = [(this.#reads[cell] as AnsweredPairs).pairsOf]
      const read = (subKey: string): number => {
        shard.read({ key, subKey, features, tMs }, this.#one, FIRST)
        return statuses[0] as number
      }
      const isFailed = read('') === CELL_STATUS.failed
      const found = isFailed ? [] : shard.subKeys(key).map(subKey => [subKey, (read(subKey), values[0]), statuses[0]]) // prettier-ignore
      putCell(this.#row, cell, JSON.stringify(found), isFailed ? CELL_STATUS.failed : CELL_STATUS.value) // prettier-ignore
    }
  }

  /** Attributes as a request reads them: undefined where there is no such item or person. */
  #readTable(found: unknown): void {
    const attributes = found as Readonly<Record<string, unknown>> | undefined
    for (const cell of this.#cells) {
      const { field, default: fallback } = this.#reads[cell] as AnsweredAttribute
      const value = attributes?.[field]
      if (value !== undefined) putCell(this.#row, cell, value, CELL_STATUS.value)
      else putCell(this.#row, cell, fallback, attributes === undefined ? CELL_STATUS.missing : CELL_STATUS.default) // prettier-ignore
    }
  }
}
