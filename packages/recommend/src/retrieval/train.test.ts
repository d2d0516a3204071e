import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@millrace/core'
import { createSerialThreads } from '../kernels/threads.ts'
import { Workspace } from '../kernels/workspace.ts'
import { packEvents, selectRows, type Events } from './events.ts'
import { estimate, measureBeyond, measureLists } from './measure.ts'
import { listsOf } from './scoring.ts'
import { trainBaselines, trainRetrieval, type Trained } from './train.ts'
import { randomOf, shuffle, splitForValidation } from './validation.ts'

/** People of `groups` tastes who follow the order of their taste; the last of each is held out. */
function world(workspace: Workspace, { people = 240, items = 80, groups = 4 } = {}) {
  const random = randomOf(5)
  const size = items / groups
  const lists = Array.from({ length: people }, (_, person) => {
    const group = person % groups
    const start = Math.floor(random() * size)
    return Array.from({ length: 8 }, (_, at) => group * size + ((start + at) % size))
  })
  const truth = { offsets: lists.map((_, at) => at).concat(people), ids: lists.map(list => list[7]!) } // prettier-ignore
  return { events: eventsOf(workspace, lists.map(list => list.slice(0, 7)), items), truth } // prettier-ignore
}

const eventsOf = (workspace: Workspace, lists: readonly number[][], items: number): Events =>
  packEvents(workspace, lists, { items })

const options = { isOrdered: false, ks: [5], seed: 1, clock: systemClock }

async function recallOf(
  workspace: Workspace,
  trained: Pick<Trained, 'blend'>,
  { events, truth }: ReturnType<typeof world>,
): Promise<number> {
  const lists = await listsOf(workspace, trained.blend, events, 5)
  return estimate(measureLists(lists, truth, 5).recall).value
}

test('a taste with an order is found: what comes next leads the list', async () => {
  const workspace = new Workspace(createSerialThreads('fused'))
  const data = world(workspace)
  const trained = await trainRetrieval(workspace, data.events, { ...options, isOrdered: true })
  assert.ok((await recallOf(workspace, trained, data)) > 0.9)
  const families = new Set(trained.report.trials.map(({ family }) => family))
  assert.deepEqual([...families].sort(), ['als', 'ease', 'neighbours', 'popularity', 'sequence', 'spectral', 'transitions']) // prettier-ignore
  assert.equal(trained.report.validation.split, 'last')
  trained.release()
})

test('the same data and seed give the same lists', async () => {
  const lists = []
  for (let run = 0; run < 2; run++) {
    const workspace = new Workspace(createSerialThreads('fused'))
    const { events } = world(workspace, { people: 80, items: 40 })
    const { blend } = await trainRetrieval(workspace, events, { ...options, isFast: true })
    lists.push(await listsOf(workspace, blend, events, 5))
  }
  assert.deepEqual(lists[0], lists[1])
})

test('with shuffled items nothing is better than chance', async () => {
  const workspace = new Workspace(createSerialThreads('fused'))
  const data = world(workspace, { people: 400 })
  const ids = [...data.events.ids]
  shuffle(ids, randomOf(9))
  data.events.ids.set(ids)
  const trained = await trainRetrieval(workspace, data.events, options)
  // 5 of about 73 unseen items; four standard errors of 400 people are 0.05.
  assert.ok((await recallOf(workspace, trained, data)) < 5 / 73 + 0.05)
})

test('one person, one item, or nothing: a list of what is left', async () => {
  const workspace = new Workspace(createSerialThreads('plain'))
  for (const lists of [
    [[0]],
    [[0], [0]],
    [[0, 1, 2]],
    [[]],
    [
      [0, 1],
      [1, 2],
      [2, 0],
    ],
  ]) {
    const events = eventsOf(workspace, lists, 3)
    const trained = await trainRetrieval(workspace, events, options)
    const histories = selectRows(workspace, events, [0])
    const { ids } = await listsOf(workspace, trained.blend, histories, 3)
    const unseen = [0, 1, 2].filter(item => !lists[0]!.includes(item))
    const listed = [...ids].filter(id => id >= 0)
    assert.deepEqual(listed.toSorted(), unseen)
    trained.release()
  }
})

test('weights that say more than their number are used', async () => {
  const workspace = new Workspace(createSerialThreads('fused'))
  const random = randomOf(2)
  const lists = Array.from({ length: 300 }, (_, person) =>
    Array.from({ length: 12 }, (_, at) => (at < 6 ? (person % 4) * 10 + ((person + at * 3) % 10) : 40 + Math.floor(random() * 40)))) // prettier-ignore
  const unique = lists.map(list => [...new Set(list)])
  const events = eventsOf(workspace, unique, 80)
  events.ids.forEach((id, at) => (events.values[at] = id < 40 ? 9 : 1))
  const { report } = await trainRetrieval(workspace, events, { ...options, isFast: true })
  assert.notEqual(report.weights, 'alike')
})

test('the split holds out the end of ordered rows and anything of others, never all', () => {
  const workspace = new Workspace(createSerialThreads('plain'))
  const { events } = world(workspace)
  for (const isOrdered of [true, false]) {
    const split = splitForValidation(workspace, events, { isOrdered, seed: 3, peopleMax: 50 })
    assert.ok(split !== undefined)
    assert.equal(split.histories.people, 50)
    assert.equal(split.truth.offsets.length, 51)
    const held = split.truth.ids.length
    assert.equal(held, isOrdered ? 100 : 50)
    assert.equal(split.events.ids.length, events.ids.length - (isOrdered ? 480 : 50))
    if (!isOrdered) continue
    for (let person = 0; person < events.people; person++) {
      const row: Int32Array = split.events.ids.subarray(split.events.offsets[person], split.events.offsets[person + 1]) // prettier-ignore
      const from = events.offsets[person]!
      assert.deepEqual([...row], [...events.ids.subarray(from, from + row.length)])
    }
  }
})

test('measures of lists', async () => {
  const lists = { k: 4, ids: Int32Array.from([1, 2, 3, 4, 5, -1, -1, -1, 0, 1, 2, 3]), scores: new Float32Array(12) } // prettier-ignore
  const truth = { offsets: [0, 2, 2, 3], ids: [2, 9, 7] }
  const { recall, precision, ndcg, mrr, map, hit } = measureLists(lists, truth, 4)
  assert.deepEqual([...recall], [0.5, 0])
  assert.deepEqual([...precision], [0.25, 0])
  assert.deepEqual([...mrr], [0.5, 0])
  assert.deepEqual([...map], [0.25, 0])
  assert.deepEqual([...hit], [1, 0])
  assert.ok(Math.abs(ndcg[0]! - 1 / Math.log2(3) / (1 + 1 / Math.log2(3))) < 1e-12)
  const { value, low, high } = estimate(recall)
  assert.equal(value, 0.25)
  assert.ok(low < 0.25 && high > 0.25)
  assert.deepEqual(estimate(new Float64Array(0)), { value: 0, low: 0, high: 0 })
  const workspace = new Workspace(createSerialThreads('plain'))
  const events = eventsOf(workspace, [[1, 2], [1], [5]], 6)
  const beyond = measureBeyond(lists, events, 1)
  assert.equal(beyond.coverage, 0.5)
  assert.equal(beyond.popularity, 1)
  const [popularity, cosine] = await trainBaselines(workspace, events)
  assert.equal(popularity?.name, 'popularity')
  const best = await listsOf(workspace, cosine!.models, selectRows(workspace, events, [1]), 2)
  assert.deepEqual([...best.ids], [2, 5])
})
