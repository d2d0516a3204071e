/**
 * The cells of observations that are made from others, and what the request told: the last step of a
 * row, by the code that makes them for a request, from what was known of each observation.
 */
import type { AnyFeatureService } from '@millrace/core'
import { CELL_STATUS, createCellRow, putCell, type CellRow } from '../cell-row.ts'
import { featuresErrors } from '../errors.ts'
import { Crossing, Deriving, putContext, type Pairs } from '../made-cells.ts'
import type { FeaturePlan } from '../plan.ts'
import type { CrossedNode, ServicePlan } from '../row-plan.ts'
import { TIME, type AnswerReport } from './answer.ts'
import { CellPart, ROW, statusColumn } from './cell-part.ts'
import { columnsOf, type TrainingColumn } from './columns.ts'
import { readPart } from './parts.ts'

/** Column of what the request told: the text of a JSON object. */
export const TOLD = 'told'

/** What a thread is told; plain data. */
export interface MakeJob {
  readonly trainingSet: string
  /** Parquet file: `row`, `time`, `told`, and the cells that others are made from, with their statuses. */
  readonly inputs: string
  /** The file that is written: `row`, then the columns that are made. */
  readonly part: string
}

/** Makes the cells. Rejects with FEATURE_CONTEXT_INVALID. */
export async function makeCells(
  service: AnyFeatureService,
  services: ReadonlyMap<string, ServicePlan>,
  { inputs: file, part: path }: MakeJob,
): Promise<AnswerReport> {
  const { plan, answered, made } = columnsOf(service, services)
  const inputs = answered.filter(({ isInput }) => isInput)
  const part = new CellPart(path, made, made.map(({ cell }) => cell)) // prettier-ignore
  const row = createCellRow(plan.cells)
  const pairs = new Map<number, ReadPairs>()
  const makings = plan.made.flatMap((node): ((atMs: number) => void)[] => {
    // What steps have not learnt yet is made of all rows together.
    if (node.made === 'prepared') return []
    if (node.made === 'derived') {
      const deriving = new Deriving(node)
      return [atMs => void deriving.put(row, atMs)]
    }
    const own = new ReadPairs(node)
    pairs.set(node.cell, own)
    const crossing = new Crossing(node)
    return [() => crossing.put(row, own)]
  })
  const names = inputs.flatMap(({ name }) => [name, statusColumn(name)])
  for await (const block of readPart(file, [ROW, TIME, TOLD, ...names])) {
    const column = <T>(name: string): ArrayLike<T> => block.column(name) as ArrayLike<T>
    const numbers = column<number>(ROW)
    const times = column<number>(TIME)
    const told = column<string | null>(TOLD)
    const values = inputs.map(({ name }) => column<unknown>(name))
    const statuses = inputs.map(({ name }) => column<number>(statusColumn(name)))
    for (let index = 0; index < block.rows; index++) {
      inputs.forEach((input, at) => {
        const value = values[at]?.[index]
        const status = statuses[at]?.[index] as number
        const own = pairs.get(input.cell)
        if (own === undefined) putInput(row, input, value, status)
        else own.take(value as string, status)
      })
      putContext(row, plan.context, contextOf(plan, told[index]))
      for (const make of makings) make(times[index] as number)
      part.add(numbers[index] as number, row)
    }
  }
  await part.finish()
  return { rows: part.rows, folded: 0, refolded: 0, statuses: part.statuses }
}

function putInput(
  row: CellRow,
  { cell, values }: TrainingColumn,
  value: unknown,
  status: number,
): void {
  // prettier-ignore
  const isList = values === 'numbers' || values === 'texts'
  putCell(row, cell, isList ? (JSON.parse(value as string) as unknown) : value, status)
}

/** What a request told; what is null was not told. */
function contextOf(
  { name: service, contextValidator }: ServicePlan,
  told: string | null | undefined,
): Readonly<Record<string, unknown>> {
  if (told === null || told === undefined) return {}
  const context = JSON.parse(told, (_, value: unknown) => value ?? undefined) as Record<string, unknown> // prettier-ignore
  const [issue] = contextValidator.issues(context)
  if (issue === undefined) return context
  const reason = `${issue.path.slice(1) || 'it'}: ${issue.reason}`
  throw featuresErrors.create('FEATURE_CONTEXT_INVALID', { service, reason })
}

/** The pairs of an entity as they were read of the state. */
class ReadPairs implements Pairs {
  readonly #default: number
  #found = new Map<string, readonly [value: number, status: number]>()
  #isFailed = false

  constructor({ plan, feature }: CrossedNode) {
    const { default: fallback } = plan.features[feature] as FeaturePlan['features'][number]
    this.#default = fallback as number
  }

  take(text: string, status: number): void {
    this.#isFailed = status === CELL_STATUS.failed
    const all = JSON.parse(text) as readonly [string, number, number][]
    this.#found = new Map(all.map(([subKey, value, own]) => [subKey, [value, own]]))
  }

  read(text: string, into: CellRow): void {
    const none = this.#isFailed ? CELL_STATUS.failed : CELL_STATUS.default
    const [value, status] = this.#found.get(text) ?? [this.#default, none]
    putCell(into, 0, value, status)
  }
}
