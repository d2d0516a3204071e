/** Rows of cells as a part: numbers of rows, then a column for each cell, lists as the text of their JSON. */
import { CELL_STATUSES, type CellRow } from '../cell-row.ts'
import type { TrainingColumn } from './columns.ts'
import { BLOCK_ROWS, openPartWriter, type PartColumn, type PartWriter } from './parts.ts'

/** Column of the number of an observation, from 0, in the order of their times. */
export const ROW = 'row'

/** A cell that is written: its column as its name says, and its status beside it where others are made from it. */
export type WrittenCell = Pick<TrainingColumn, 'name' | 'values' | 'isInput'>

/** Column of the status of a cell. */
export function statusColumn(name: string): string {
  return `${name}:status`
}

/** See the head of the file. */
export class CellPart {
  rows = 0
  /** For each cell, how often each status was served, in the order of `CELL_STATUSES`. */
  readonly statuses: number[][]
  readonly #writer: PartWriter
  readonly #cells: readonly WrittenCell[]
  /** Where each cell is in the rows that are added. */
  readonly #places: readonly number[]
  readonly #numbers = new Int32Array(BLOCK_ROWS)
  readonly #values: readonly (Float64Array | string[])[]
  readonly #beside: readonly (Int32Array | undefined)[]
  #used = 0

  constructor(path: string, cells: readonly WrittenCell[], places: readonly number[]) {
    this.#cells = cells
    this.#places = places
    this.statuses = cells.map(() => CELL_STATUSES.map(() => 0))
    this.#values = cells.map(({ values }) => values === 'number' ? new Float64Array(BLOCK_ROWS) : Array.from({ length: BLOCK_ROWS }, () => '')) // prettier-ignore
    this.#beside = cells.map(({ isInput }) => (isInput ? new Int32Array(BLOCK_ROWS) : undefined))
    this.#writer = openPartWriter(path, [
      { name: ROW, type: 'INT32' },
      ...cells.flatMap(({ name, values, isInput }): PartColumn[] => [
        { name, type: values === 'number' ? 'DOUBLE' : 'STRING' },
        ...(isInput ? [{ name: statusColumn(name), type: 'INT32' } as const] : []),
      ]),
    ])
  }

  /** Adds the cells of a row. */
  add(number: number, row: CellRow): void {
    const at = this.#used
    this.#numbers[at] = number
    for (let index = 0; index < this.#values.length; index++) {
      const cell = this.#places[index] as number
      const status = row.statuses[cell] as number
      const values = this.#values[index]
      if (values instanceof Float64Array) values[at] = row.values[cell] as number
      else (values as string[])[at] = this.#textOf(index, row.others[cell])
      ;(this.statuses[index] as number[])[status]! += 1
      const beside = this.#beside[index]
      if (beside !== undefined) beside[at] = status
    }
    this.#used += 1
    this.rows += 1
    if (this.#used === BLOCK_ROWS) this.#flush()
  }

  async finish(): Promise<void> {
    this.#flush()
    await this.#writer.finish()
  }

  #flush(): void {
    const used = this.#used
    const columns = this.#values.flatMap((values, index) => {
      const beside = this.#beside[index]
      const own = values instanceof Float64Array ? values.subarray(0, used) : values.slice(0, used)
      return beside === undefined ? [own] : [own, beside.subarray(0, used)]
    })
    this.#writer.write([this.#numbers.subarray(0, used), ...columns])
    this.#used = 0
  }

  #textOf(index: number, value: unknown): string {
    return this.#cells[index]?.values === 'text' ? (value as string) : JSON.stringify(value)
  }
}
