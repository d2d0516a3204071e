/**
 * Splitting on a thread of its own, so that the loop that appends and folds does not stand still for
 * it and segments are split as they are closed.
 *
 * What goes over is small and plain: where the segment is and which offsets it adds, and back which
 * files there are; records and keys never do. A thread that dies fails its job and nothing else: the
 * segment stays in the journal, is read from there, and is split by a new thread at the next occasion.
 */
import { Worker } from 'node:worker_threads'
import { invariant } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { MergeJob, SplitFacts, SplitJob, SplitResult, SplitWork } from './split-work.ts'

/** What a thread is asked. */
export type SplitRequest =
  | { readonly kind: 'split'; readonly job: SplitJob }
  | { readonly kind: 'merge'; readonly job: MergeJob }
  | { readonly kind: 'stop' }

/** What a thread answers to a job. */
export type SplitAnswer = { readonly result: unknown } | { readonly failure: string }

/** Little lives on the heap of the thread: blocks and indexes are buffers beside it. */
const HEAP = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 }

/** Splits on a thread of its own, which starts with the first job. `root` is the directory that the paths of jobs are relative to. */
export function createSplitThread(root: string, start: () => Worker = starter(root)): SplitWork {
  return new SplitThread(start)
}

function starter(root: string): () => Worker {
  const script = new URL('./split-worker.ts', import.meta.url)
  return () => new Worker(script, { workerData: { root }, resourceLimits: HEAP })
}

interface Pending {
  resolve(result: unknown): void
  reject(error: unknown): void
}

class SplitThread implements SplitWork {
  readonly #start: () => Worker
  #worker: Worker | undefined
  #gone: Promise<void> = Promise.resolve()
  #pending: Pending | undefined
  #isStopped = false

  constructor(start: () => Worker) {
    this.#start = start
  }

  async split(job: SplitJob): Promise<SplitResult | undefined> {
    return (await this.#ask({ kind: 'split', job })) as SplitResult | undefined
  }

  async merge(job: MergeJob): Promise<SplitFacts | undefined> {
    return (await this.#ask({ kind: 'merge', job })) as SplitFacts | undefined
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    // An idle thread does not keep the process alive, but its end is waited for.
    this.#worker?.ref()
    this.#worker?.postMessage({ kind: 'stop' } satisfies SplitRequest)
    await this.#gone
  }

  async #ask(request: SplitRequest): Promise<unknown> {
    invariant(this.#pending === undefined, 'a thread has one job at a time')
    if (this.#isStopped) return undefined
    const worker = (this.#worker ??= this.#open())
    worker.ref()
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending = { resolve, reject }
        worker.postMessage(request)
      })
    } finally {
      this.#pending = undefined
      if (!this.#isStopped) worker.unref()
    }
  }

  #open(): Worker {
    const worker = this.#start()
    let reason: unknown
    worker.on('message', (answer: SplitAnswer) => {
      if ('result' in answer) this.#pending?.resolve(answer.result)
      else this.#pending?.reject(failed(answer.failure))
    })
    worker.on('error', (error: unknown) => void (reason = error))
    this.#gone = new Promise(resolve => {
      worker.on('exit', code => {
        this.#worker = undefined
        if (this.#isStopped) this.#pending?.resolve(undefined)
        else this.#pending?.reject(failed(`its thread ended with code ${code}`, reason))
        resolve()
      })
    })
    return worker
  }
}

function failed(reason: string, cause?: unknown): Error {
  return logErrors.create('LOG_SPLIT_FAILED', { reason }, cause)
}
