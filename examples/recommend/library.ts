/** What the README of `@millrace/recommend` shows: training and lists without a server. */
// #region train
import { systemClock } from '@millrace/core'
import { createSerialThreads, listsOf, packEvents, trainRetrieval, Workspace } from '@millrace/recommend' // prettier-ignore

const workspace = new Workspace(createSerialThreads())
// Each row is a person's items, the newest last; items are numbers from 0.
const rows = [
  [0, 1, 2, 3],
  [1, 2, 3, 4],
  [2, 3, 4, 5],
  [3, 4, 5, 0],
  [4, 5, 0, 1],
]
const events = packEvents(workspace, rows, { items: 6 })
const { blend, report } = await trainRetrieval(workspace, events, {
  isOrdered: true,
  ks: [2],
  seed: 1,
  clock: systemClock,
})
// Histories may be anybody's: models know items, not people.
const histories = packEvents(workspace, [[0, 1], []], { items: 6 })
const lists = await listsOf(workspace, blend, histories, 2)
// #endregion

export { lists, report }
