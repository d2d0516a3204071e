/**
 * The prepared columns of a training set: the steps of each learn from all rows, then every row goes
 * through the steps by the code that serves. Memory while learning: one column and its groups.
 */
import {
  FITTED_FORMAT,
  fittedFingerprint,
  kindOfColumn,
  stepsText,
  type FittedColumn,
  type FittedState,
} from '@millrace/core'
import { applySteps, givenValue, ifServed, type Prepared } from '../prepare/apply.ts'
import { fitSteps } from '../prepare/fit.ts'
import { ROW, statusColumn } from './cell-part.ts'
import type { PreparedColumn } from './columns.ts'
import { openPartWriter, readPart, type PartBlock } from './parts.ts'

/** What is prepared. */
export interface PrepareRequest {
  readonly trainingSet: string
  readonly columns: readonly PreparedColumn[]
}

/** Learns from the rows of `raw`, which are in their order and have the inputs with their statuses, and writes what the steps make of them. */
export async function prepareRows(
  files: { readonly raw: string; readonly prepared: string },
  { trainingSet, columns }: PrepareRequest,
): Promise<FittedState> {
  const fitted: Record<string, FittedColumn> = {}
  let rows = 0
  for (const column of columns) {
    const { name, feature, input } = column
    const { values, groups } = await readColumn(files.raw, column)
    rows = values.length
    const kind = kindOfColumn(feature.input) === 'text' ? 'text' : 'number'
    // As it is kept and read again: rows are made by what is served with.
    const fits = JSON.parse(JSON.stringify(fitSteps(feature.steps, kind, values, groups))) as FittedColumn['fits'] // prettier-ignore
    fitted[name] = { steps: stepsText(feature), input: input.fingerprint, fits }
  }
  const writer = openPartWriter(files.prepared, [
    { name: ROW, type: 'INT32' },
    ...columns.map(({ name, values }) => ({
      name,
      type: values === 'number' ? ('DOUBLE' as const) : ('STRING' as const),
    })),
  ])
  const names = [ROW, ...columns.flatMap(columnNames)]
  for await (const block of readPart(files.raw, [...new Set(names)])) {
    const made = columns.map(column => {
      const { name, feature, values: kind } = column
      const { fits } = fitted[name] as FittedColumn
      const values = cellsOf(block, column).map(([value, group]) => applySteps(feature.steps, fits, value, group)) // prettier-ignore
      if (kind === 'number') return Float64Array.from(values as number[])
      return values.map(value => (kind === 'text' ? (value as string) : JSON.stringify(value)))
    })
    writer.write([Int32Array.from(block.column(ROW) as ArrayLike<number>), ...made])
  }
  await writer.finish()
  const fingerprint = fittedFingerprint(fitted)
  return { format: FITTED_FORMAT, trainingSet, rows, fingerprint, columns: fitted }
}

/** The columns that are read for a prepared one. */
export function columnNames({ input, by }: PreparedColumn): readonly string[] {
  return [input.name, ...(by === undefined ? [] : [by])].flatMap(name => [name, statusColumn(name)]) // prettier-ignore
}

async function readColumn(
  file: string,
  column: PreparedColumn,
): Promise<{ values: Prepared[]; groups: (string | undefined)[] | undefined }> {
  const values: Prepared[] = []
  const groups: (string | undefined)[] = []
  for await (const block of readPart(file, [...new Set(columnNames(column))])) {
    for (const [value, group] of cellsOf(block, column)) {
      values.push(value)
      groups.push(group)
    }
  }
  return { values, groups: column.by === undefined ? undefined : groups }
}

/** Value and group of each row of a block, as the reader of features hands them to the steps. */
function cellsOf(
  block: PartBlock,
  { input, by, feature }: PreparedColumn,
): (readonly [value: number | string | undefined, group: string | undefined])[] {
  const given = block.column(input.name) as ArrayLike<number | string>
  const statuses = block.column(statusColumn(input.name)) as ArrayLike<number>
  const groups = by === undefined ? undefined : (block.column(by) as ArrayLike<string>)
  const groupStatuses = by === undefined ? undefined : (block.column(statusColumn(by)) as ArrayLike<number>) // prettier-ignore
  return Array.from({ length: block.rows }, (_, row) => {
    const value = givenValue(feature.steps, given[row] as number | string, statuses[row] as number)
    return [value, ifServed(groups?.[row], groupStatuses?.[row] as number)] as const
  })
}
