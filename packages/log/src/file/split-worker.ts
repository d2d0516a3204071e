/** The thread of `split-thread.ts`: does the jobs that it is sent, one after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { systemClock } from '@millrace/core'
import { openNodeDisk } from '../disk/index.ts'
import type { SplitAnswer, SplitRequest } from './split-thread.ts'
import { LocalSplitWork } from './split-work.ts'

const { root } = workerData as { root: string }
const port = parentPort as MessagePort
const work = new LocalSplitWork({
  disk: openNodeDisk(root),
  clock: systemClock,
  // Nobody else waits for this thread.
  sliceMs: () => Infinity,
})

async function answer(doing: Promise<unknown>): Promise<void> {
  const answered: SplitAnswer = await doing.then(
    result => ({ result }),
    (error: unknown) => ({ failure: error instanceof Error ? error.message : String(error) }),
  )
  port.postMessage(answered)
}

port.on('message', (request: SplitRequest) => {
  if (request.kind === 'split') void answer(work.split(request.job))
  else if (request.kind === 'merge') void answer(work.merge(request.job))
  else void work.stop().finally(() => port.close())
})
