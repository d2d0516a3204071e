import type { CellAggregation } from './aggregation.ts'
import { sum } from './sum.ts'

/** The mean of numbers: their sum, divided by how many they are. */
export const mean: CellAggregation = {
  ...sum,
  read: (cells, at) => (cells[at + 1] as number) / (cells[at] as number),
}
