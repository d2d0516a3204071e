/** What the kernels offer. Each is called by every thread at once: `next` counts the work handed out. */
export { block, gemm, pack, scaleTile, tile } from './dense'
export {
  addList,
  coOccurDense,
  coOccurLists,
  down,
  keepBest,
  listScores,
  occurrences,
  rowSum,
  spmm,
  up,
} from './sparse'
export { alsHalf, alsRow, factorise } from './solve'
export { blend, blendRow, top, topRow } from './rank'
