/**
 * Makes training sets on threads: each loads the file of the definition, opens the log for reading
 * beside whoever owns it, and takes one step after the other.
 */
import { Worker } from 'node:worker_threads'
import type { AnswerReport, TrainingJob } from '@millrace/features/training'
import { serverErrors } from '../errors.ts'
import type { BuildPlace } from './build-threads.ts'

/** Records that are folded die young: room for them, so that few are moved before. */
const YOUNG_MIB = 192

/** What a thread answers: what came of its step. */
export interface TrainingReply {
  readonly result?: number | AnswerReport
  readonly error?: { readonly code: string; readonly message: string; readonly remedy: string }
}

/** Threads that take steps. */
export interface TrainingThreads {
  run(job: TrainingJob): Promise<number | AnswerReport>
  close(): Promise<void>
}

interface Waiting {
  readonly job: TrainingJob
  readonly resolve: (result: number | AnswerReport) => void
  readonly reject: (error: unknown) => void
}

/** Starts threads; steps wait for one that is free, in the order in which they came. */
export function openTrainingThreads(place: BuildPlace, threads: number): TrainingThreads {
  const waiting: Waiting[] = []
  const free: Worker[] = []
  const busy = new Map<Worker, Waiting>()
  const next = (): void => {
    while (free.length > 0 && waiting.length > 0) {
      const worker = free.pop() as Worker
      const taken = waiting.shift() as Waiting
      busy.set(worker, taken)
      worker.postMessage(taken.job, [])
    }
  }
  const failed = (worker: Worker, code: string, reason: string, cause?: unknown): void => {
    const taken = busy.get(worker)
    busy.delete(worker)
    taken?.reject(serverErrors.create('TRAINING_THREAD_FAILED', { code, reason }, cause))
  }
  const workers = Array.from({ length: threads }, () => {
    const worker = new Worker(new URL('./training-worker.ts', import.meta.url), {
      workerData: place,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    })
    worker.on('message', ({ result, error }: TrainingReply) => {
      const taken = busy.get(worker)
      busy.delete(worker)
      free.push(worker)
      if (error !== undefined)
        taken?.reject(serverErrors.create('TRAINING_THREAD_FAILED', { code: error.code, reason: error.message })) // prettier-ignore
      else taken?.resolve(result as number | AnswerReport)
      next()
    })
    worker.on('error', error => failed(worker, 'INTERNAL', String(error), error))
    worker.on('exit', () => failed(worker, 'INTERNAL', 'it was ended'))
    free.push(worker)
    return worker
  })
  return {
    run: job =>
      new Promise((resolve, reject) => {
        waiting.push({ job, resolve, reject })
        next()
      }),
    async close() {
      await Promise.all(workers.map(worker => worker.terminate()))
    },
  }
}
