/** Cells that are made from other cells of their row: the only code that derives and crosses, for requests and training sets. */
import type { FeatureValue } from '@millrace/core'
import { CELL_STATUS, createCellRow, putCell, type CellRow } from './cell-row.ts'
import { invalidValue } from './errors.ts'
import { applySteps, givenValue, ifServed } from './prepare/apply.ts'
import type { ContextNode, CrossedNode, DerivedNode, PreparedNode } from './row-plan.ts'

/** Texts that a crossed feature is read for, at most. */
const TEXTS_MAX = 1_000

/** Puts what a request told into its cells; all its rows have the same. */
export function putContext(
  row: CellRow,
  nodes: readonly ContextNode[],
  context: Readonly<Record<string, unknown>> | undefined,
): void {
  for (const { cell, name, default: fallback } of nodes) {
    const value = context?.[name]
    putCell(row, cell, value ?? fallback, value === undefined ? CELL_STATUS.default : CELL_STATUS.value) // prettier-ignore
  }
}

/** Computes derived cells, with one object for the values that their functions are given. */
export class Deriving {
  readonly #node: DerivedNode
  readonly #values: Record<string, FeatureValue>

  constructor(node: DerivedNode) {
    this.#node = node
    this.#values = Object.fromEntries(node.inputs)
  }

  /** Puts the value at a moment; false when the function threw, or gave what is no value. */
  put(row: CellRow, atMs: number): boolean {
    const { cell, inputs, compute, default: fallback, fullName } = this.#node
    const values = this.#values
    for (let index = 0; index < inputs.length; index++) {
      const [name, input] = inputs[index] as (typeof inputs)[number]
      if (row.statuses[input] === CELL_STATUS.failed) {
        putCell(row, cell, fallback, CELL_STATUS.failed)
        return true
      }
      values[name] = (row.others[input] ?? row.values[input]) as FeatureValue
    }
    try {
      const value = compute(values as never, { atMs })
      if (typeof value === 'number' && !Number.isFinite(value)) throw invalidValue(fullName, value)
      putCell(row, cell, value, CELL_STATUS.value)
      return true
    } catch {
      putCell(row, cell, fallback, CELL_STATUS.failed)
      return false
    }
  }
}

/** Where the feature of a pair is read. */
export interface Pairs {
  /** Puts the value for a text into the only cell of `into`. */
  read(text: string, into: CellRow): void
}

/** Puts a crossed cell: the feature of each pair that another cell of the row names. */
export class Crossing {
  readonly #node: CrossedNode
  readonly #one = createCellRow(1)

  constructor(node: CrossedNode) {
    this.#node = node
  }

  put(row: CellRow, pairs: Pairs): void {
    const { cell, over, reduce, plan, feature } = this.#node
    const told = row.others[over]
    const texts = (typeof told === 'string' ? [told] : (told ?? [])) as readonly string[]
    const { values, statuses } = this.#one
    let served = 0
    let sum = 0
    let greatest = -Infinity
    let status: number = CELL_STATUS.stale
    for (let index = 0; index < Math.min(texts.length, TEXTS_MAX); index++) {
      pairs.read(texts[index] as string, this.#one)
      const found = statuses[0] as number
      if (found === CELL_STATUS.failed) {
        putCell(row, cell, values[0], CELL_STATUS.failed)
        return
      }
      if (found !== CELL_STATUS.value && found !== CELL_STATUS.stale) continue
      if (found === CELL_STATUS.value) status = found
      served += 1
      sum += values[0] as number
      greatest = Math.max(greatest, values[0] as number)
    }
    if (served === 0) putCell(row, cell, plan.features[feature]?.default, CELL_STATUS.default)
    else putCell(row, cell, reduce === 'max' ? greatest : reduce === 'sum' ? sum : sum / served, status) // prettier-ignore
  }
}

/** Puts prepared cells of a row that is served: of what the steps have learnt before. */
export class Preparing {
  readonly #node: PreparedNode

  constructor(node: PreparedNode) {
    this.#node = node
  }

  /** What stands for a value that is missing is told by its status, which stays that of the input. */
  put(row: CellRow): void {
    const { cell, input, by, steps, fits = [] } = this.#node
    const status = row.statuses[input] as number
    const given = (row.others[input] ?? row.values[input]) as number | string
    const group = by === undefined ? undefined : ifServed(row.others[by] as string, row.statuses[by] as number) // prettier-ignore
    putCell(row, cell, applySteps(steps, fits, givenValue(steps, given, status), group), status)
  }
}
