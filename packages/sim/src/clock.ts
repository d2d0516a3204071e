/**
 * Virtual time and a scheduler for ordinary asynchronous code.
 *
 * Promise: a task runs when no microtask is left, so between two tasks every promise that could
 * settle has settled; tasks due at the same instant run in an order drawn from the seed. Code that
 * waits only on ports therefore replays exactly, and other seeds explore other orders.
 * Cost: about four microseconds a task. Real I/O, threads and timers of the machine are outside the
 * scheduler: code that awaits them is not repeatable.
 */
import { systemClock, type Clock, type Timer } from '@millrace/core'
import { simErrors } from './errors.ts'
import { createSimRandom, type SimRandom } from './random.ts'

const START_MS = Date.UTC(2026, 0, 1)
const TASKS_PER_INSTANT_MAX = 100_000
const DRIVE_LIMIT_MS = 24 * 3_600_000

/** How a simulated clock begins. */
export interface SimClockOptions {
  readonly seed: number | string
  /** Wall-clock time at the start, milliseconds since the epoch. Default: the first instant of 2026. */
  readonly startMs?: number
  /** Timers fire up to this much late, as on a busy machine. Default 0. */
  readonly timerLatenessMsMax?: number
}

/** A clock whose time passes only when its scheduler is driven. */
export interface SimClock extends Clock {
  /** Tasks that wait. */
  readonly pending: number
  /** Resolves after `delayMs` of virtual time. */
  sleep(delayMs: number): Promise<void>
  /** Sets the wall clock forward, or back when negative; monotonic time and timers are not affected. */
  jumpWall(deltaMs: number): void
  /** Runs tasks until none is left. A timer that renews itself makes this endless: use `runUntil` or `drive`. */
  run(): Promise<void>
  /** Runs all tasks due up to this monotonic time, which it then is. */
  runUntil(monotonicMs: number): Promise<void>
  /** Lets promises settle and runs what is due now; no time passes. */
  settle(): Promise<void>
  /**
   * Runs tasks until `work` has settled, and answers as it did. Fails with SIM_DEADLOCK when no task
   * is left before that, and with SIM_TIMED_OUT after `limitMs` (default one day) of virtual time.
   */
  drive<T>(work: Promise<T> | (() => Promise<T>), options?: { limitMs?: number }): Promise<T>
}

/** Creates a clock at virtual time 0. */
export function createSimClock(options: SimClockOptions): SimClock {
  return new VirtualClock(options)
}

interface Task {
  readonly atMs: number
  readonly tie: number
  readonly order: number
  run: (() => void) | undefined
}

class VirtualClock implements SimClock {
  readonly #random: SimRandom
  readonly #startMs: number
  readonly #latenessMs: number
  readonly #tasks: Task[] = []
  #elapsedMs = 0
  #jumpedMs = 0
  #order = 0
  #live = 0
  #isRunning = false

  constructor(options: SimClockOptions) {
    this.#random = createSimRandom(`clock/${options.seed}`)
    this.#startMs = options.startMs ?? START_MS
    this.#latenessMs = options.timerLatenessMsMax ?? 0
  }

  get pending(): number {
    return this.#live
  }

  nowMs(): number {
    return Math.floor(this.#startMs + this.#elapsedMs + this.#jumpedMs)
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  after(delayMs: number, task: () => void): Timer {
    // A NaN or negative delay is due now, as with the timers of the machine.
    const delay = delayMs > 0 ? delayMs : 0
    const lateness = this.#latenessMs > 0 ? this.#random.next() * this.#latenessMs : 0
    return this.#schedule(this.#elapsedMs + delay + lateness, task)
  }

  soon(task: () => void): void {
    this.#schedule(this.#elapsedMs, task)
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise(resolve => void this.after(delayMs, resolve))
  }

  jumpWall(deltaMs: number): void {
    this.#jumpedMs += deltaMs
  }

  async run(): Promise<void> {
    await this.#loop(Infinity, () => false)
  }

  async runUntil(monotonicMs: number): Promise<void> {
    await this.#loop(monotonicMs, () => false)
    this.#elapsedMs = Math.max(this.#elapsedMs, monotonicMs)
  }

  async settle(): Promise<void> {
    await this.#loop(this.#elapsedMs, () => false)
  }

  async drive<T>(
    work: Promise<T> | (() => Promise<T>),
    options: { limitMs?: number } = {},
  ): Promise<T> {
    const limitMs = options.limitMs ?? DRIVE_LIMIT_MS
    let isSettled = false
    const settled = (): void => void (isSettled = true)
    const promise = typeof work === 'function' ? work() : work
    promise.then(settled, settled)
    await this.#loop(this.#elapsedMs + limitMs, () => isSettled)
    if (isSettled) return await promise
    if (this.#live === 0) throw simErrors.create('SIM_DEADLOCK', { atMs: this.#elapsedMs })
    throw simErrors.create('SIM_TIMED_OUT', { limitMs })
  }

  #schedule(atMs: number, run: () => void): Timer {
    const task: Task = { atMs, tie: this.#random.next(), order: this.#order++, run }
    push(this.#tasks, task)
    this.#live += 1
    return {
      cancel: () => {
        if (task.run !== undefined) this.#live -= 1
        task.run = undefined
      },
    }
  }

  async #loop(untilMs: number, isDone: () => boolean): Promise<void> {
    if (this.#isRunning) throw simErrors.create('SIM_REENTRANT')
    this.#isRunning = true
    let ranNow = 0
    try {
      for (;;) {
        // An immediate of the machine runs only when the queue of microtasks is empty.
        await new Promise<void>(resolve => systemClock.soon(resolve))
        if (isDone()) return
        const run = this.#next(untilMs)
        if (run === undefined) return
        ranNow = run.hasAdvanced ? 0 : ranNow + 1
        if (ranNow > TASKS_PER_INSTANT_MAX) {
          throw simErrors.create('SIM_STUCK', { tasks: ranNow, atMs: this.#elapsedMs })
        }
        run.task()
      }
    } finally {
      this.#isRunning = false
    }
  }

  #next(untilMs: number): { task: () => void; hasAdvanced: boolean } | undefined {
    for (let first = this.#tasks[0]; first !== undefined; first = this.#tasks[0]) {
      if (first.run !== undefined && first.atMs > untilMs) return undefined
      pop(this.#tasks)
      const task = first.run
      if (task === undefined) continue
      first.run = undefined
      this.#live -= 1
      const hasAdvanced = first.atMs > this.#elapsedMs
      if (hasAdvanced) this.#elapsedMs = first.atMs
      return { task, hasAdvanced }
    }
    return undefined
  }
}

function isBefore(a: Task, b: Task): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs
  return a.tie === b.tie ? a.order < b.order : a.tie < b.tie
}

function push(heap: Task[], task: Task): void {
  let at = heap.length
  heap.push(task)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(task, heap[parent] as Task)) break
    heap[at] = heap[parent] as Task
    at = parent
  }
  heap[at] = task
}

function pop(heap: Task[]): void {
  const last = heap.pop() as Task
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Task, heap[child] as Task))
      child += 1
    if (!isBefore(heap[child] as Task, last)) break
    heap[at] = heap[child] as Task
    at = child
  }
  heap[at] = last
}
