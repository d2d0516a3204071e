/** What the README of `@millrace/recommend` shows: training and lists without a server. */
// #region train
import { systemClock } from '@millrace/core'
import { createSerialThreads, listsOf, loadModels, packEvents, saveModels, trainRetrieval, Workspace } from '@millrace/recommend' // prettier-ignore

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

// #region save
// Pieces of a safetensors file, which Python reads as well.
const file = Buffer.concat(saveModels({ blend, items: 6, about: { trainedAt: '2026-11-22' } }))
// Later, in another process: throws MODEL_DAMAGED for a file that was cut short or changed.
const loaded = loadModels(workspace, file)
const again = await listsOf(workspace, loaded.blend, histories, 2)
loaded.release()
// #endregion

export { again, lists, report }
