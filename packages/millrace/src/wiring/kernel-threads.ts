/** Threads that run the kernels of `@millrace/recommend` on one shared memory. */
import { Worker } from 'node:worker_threads'
import { chooseBuild, createKernelMemory, type KernelCall, type KernelThreads } from '@millrace/recommend' // prettier-ignore
import { serverErrors } from '../errors.ts'

/** Starts `count` threads. They keep no process alive. */
export async function openKernelThreads(count: number): Promise<KernelThreads> {
  const [memory, build] = [createKernelMemory(), chooseBuild()]
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL('./kernel-worker.ts', import.meta.url), { workerData: { memory, build } }), // prettier-ignore
  )
  await Promise.all(workers.map(answer))
  let end: Error | undefined
  for (const worker of workers) {
    worker.unref()
    worker.on('exit', code => (end ??= failure(`it ended with code ${code}`)))
  }
  return {
    memory,
    build,
    count,
    async run(call) {
      if (end !== undefined) throw end
      await Promise.all(workers.map((worker, thread) => ask(worker, call, thread)))
    },
    async close() {
      await Promise.all(workers.map(worker => worker.terminate()))
    },
  }
}

async function ask(
  worker: Worker,
  { kernel, next, scratch, args }: KernelCall,
  thread: number,
): Promise<void> {
  const answered = answer(worker)
  worker.ref()
  worker.postMessage([kernel, next, scratch[thread], ...args], [])
  try {
    await answered
  } finally {
    worker.unref()
  }
}

function failure(reason: string, cause?: unknown): Error {
  return serverErrors.create('KERNEL_THREAD_FAILED', { reason }, cause)
}

/** Resolves at the next message of a thread; throws KERNEL_THREAD_FAILED when it ends instead. */
function answer(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => {
      stop()
      reject(failure(String(error), error))
    }
    const answered = (): void => {
      stop()
      resolve()
    }
    const ended = (code: number): void => failed(`it ended with code ${code}`)
    const stop = (): void => {
      worker.off('message', answered).off('error', failed).off('exit', ended)
    }
    worker.on('message', answered).on('error', failed).on('exit', ended)
  })
}
