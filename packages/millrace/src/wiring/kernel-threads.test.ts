import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isError, systemClock } from '@millrace/core'
import { listsOf, selectRows, trainRetrieval, Workspace } from '@millrace/recommend'
import { openKernelThreads } from './kernel-threads.ts'

test('the lists are the same by one thread and by three', async t => {
  const answers = []
  for (const count of [1, 3]) {
    const threads = await openKernelThreads(count)
    t.after(() => threads.close())
    const workspace = new Workspace(threads)
    const [people, items, length] = [60, 30, 6]
    const offsets = workspace.intsOf(Array.from({ length: people + 1 }, (_, row) => row * length))
    const ids = workspace.intsOf(Array.from({ length: people * length }, (_, at) => ((at % length) * 7 + Math.floor(at / length) * 5) % items)) // prettier-ignore
    const events = { people, items, offsets, ids, values: workspace.floats(ids.length).fill(1) }
    const { blend } = await trainRetrieval(workspace, events, { isOrdered: true, ks: [5], seed: 1, clock: systemClock }) // prettier-ignore
    answers.push(await listsOf(workspace, blend, selectRows(workspace, events, [0, 1, 2, 3]), 5))
  }
  assert.deepEqual(answers[0], answers[1])
})

test('a thread that ends is an error of the call, not a silence', async t => {
  const threads = await openKernelThreads(1)
  t.after(() => threads.close())
  // The rows begin beyond the memory.
  const args = [1, -64, 0, 0, 0, 0, 0, 0, 0, 0, 4]
  const call = { kernel: 'spmm', next: 512, scratch: [1024], args } as const
  await assert.rejects(threads.run(call), error => isError(error, 'KERNEL_THREAD_FAILED'))
  await assert.rejects(threads.run(call), error => isError(error, 'KERNEL_THREAD_FAILED'))
})
