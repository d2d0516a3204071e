/**
 * Makes builds on threads of their own: each loads the file of the definition, opens the log for
 * reading and folds its partitions. Nothing goes through the thread that serves but a call and its
 * answer; how far they are is in memory that they share.
 */
import { Worker } from 'node:worker_threads'
import {
  joinComparisons,
  NO_ROWS,
  type Builder,
  type BuildJob,
  type BuildTarget,
  type Comparison,
  type OpenBuilder,
} from '@millrace/streams'
import { serverErrors } from '../errors.ts'

/** Where threads find what they work on. */
export interface BuildPlace {
  /** A module whose default export, or export `app`, is the definition. */
  readonly appFile: string
  readonly data: string
  readonly database: string
}

/** What a thread is started with. */
export interface BuildThreadData extends BuildPlace {
  readonly job: BuildJob
  readonly consumed: Float64Array
}

/** What a thread is asked for. */
export type BuildCall =
  | { readonly id: number; readonly kind: 'foldTo'; readonly target: BuildTarget }
  | { readonly id: number; readonly kind: 'compare' }

/** What it answers; number 0 says that it is open. */
export interface BuildReply {
  readonly id: number
  readonly result?: Comparison
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string }
}

/** Opens builders that share partitions among `threads`. */
export function buildThreads(place: BuildPlace, threads: number): OpenBuilder {
  return async (job, consumed) => {
    const count = Math.max(1, Math.min(threads, job.partitions.length))
    const shares = Array.from({ length: count }, (_, thread) =>
      job.partitions.filter((_partition, at) => at % count === thread),
    )
    const opened = shares.map(partitions => openThread(place, { ...job, partitions }, consumed))
    const all = await Promise.allSettled(opened)
    const builders = all.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
    const failed = all.find(one => one.status === 'rejected')
    if (failed !== undefined) {
      for (const builder of builders) await builder.close()
      throw failed.reason
    }
    return {
      async foldTo(target) {
        await Promise.all(builders.map(builder => builder.foldTo(target)))
      },
      async compare() {
        const parts = await Promise.all(builders.map(builder => builder.compare()))
        return parts.reduce(joinComparisons, NO_ROWS)
      },
      async close() {
        await Promise.all(builders.map(builder => builder.close()))
      },
    }
  }
}

interface Waiting {
  readonly resolve: (result: Comparison | undefined) => void
  readonly reject: (error: unknown) => void
}

async function openThread(
  place: BuildPlace,
  job: BuildJob,
  consumed: Float64Array,
): Promise<Builder> {
  const workerData: BuildThreadData = { ...place, job, consumed }
  const worker = new Worker(new URL('./build-worker.ts', import.meta.url), { workerData })
  worker.unref()
  const waiting = new Map<number, Waiting>()
  let ended: Error | undefined
  const endAll = (code: string, reason: string, cause?: unknown): void => {
    const details = { fold: job.built.fold, code, reason }
    ended ??= serverErrors.create('REBUILD_THREAD_FAILED', details, cause)
    for (const { reject } of waiting.values()) reject(ended)
    waiting.clear()
  }
  worker.on('message', ({ id, result, error }: BuildReply) => {
    const one = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) one?.resolve(result)
    else one?.reject(threadError(job, error))
  })
  worker.on('error', error => endAll('INTERNAL', String(error), error))
  worker.on('exit', () => endAll('REBUILD_DROPPED', 'it was ended'))
  const answer = (id: number): Promise<Comparison | undefined> =>
    ended === undefined
      ? new Promise((resolve, reject) => void waiting.set(id, { resolve, reject }))
      : Promise.reject(ended)
  let last = 0
  const call = (request: Omit<BuildCall, 'id'>): Promise<Comparison | undefined> => {
    last += 1
    worker.postMessage({ ...request, id: last }, [])
    return answer(last)
  }
  try {
    await answer(0)
  } catch (error) {
    await worker.terminate()
    throw error
  }
  return {
    async foldTo(target) {
      await call({ kind: 'foldTo', target } as Omit<BuildCall, 'id'>)
    },
    async compare() {
      return (await call({ kind: 'compare' })) ?? NO_ROWS
    },
    async close() {
      await worker.terminate()
    },
  }
}

function threadError(
  { built }: BuildJob,
  { code, message }: NonNullable<BuildReply['error']>,
): Error {
  const details = { fold: built.fold, code, reason: message }
  return serverErrors.create('REBUILD_THREAD_FAILED', details)
}
