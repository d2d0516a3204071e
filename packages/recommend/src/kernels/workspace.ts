/**
 * Arrays in the memory that kernels share, and the calls that work on them. An array's `byteOffset` is
 * its address. Space is taken first-fit and given back by `free`; growing keeps arrays valid.
 */
import { checkArgument } from '../errors.ts'
import { instantiate, type KernelName, type Kernels } from './instance.ts'
import type { KernelThreads } from './threads.ts'

/** An array that kernels can see. */
export type Floats = Float32Array
/** Numbers of items and places that kernels can see. */
export type Ints = Int32Array

interface Hole {
  at: number
  bytes: number
}

const PAGE = 65_536
const LINE = 64
/** Below it: the counter of handed-out work. */
const FIRST = 1024
const COUNTER = 512
/** Multiply-adds below which handing work to threads costs more than it saves. */
const ALONE_MAX = 1_000_000

/** Owns the memory of one set of threads. */
export class Workspace {
  readonly threads: KernelThreads
  readonly #kernels: Kernels
  readonly #holes: Hole[] = []
  readonly #sizes = new Map<number, number>()
  #end = FIRST
  #scratch: number[] = []
  #scratchBytes = 0

  constructor(threads: KernelThreads) {
    this.threads = threads
    this.#kernels = instantiate(threads.memory, threads.build)
  }

  /** Zeros. Throws RECOMMEND_ARGUMENT_INVALID beyond 4 GiB. */
  floats(length: number): Floats {
    const at = this.#take(length * 4)
    return new Float32Array(this.threads.memory.buffer, at, length).fill(0)
  }

  /** Zeros. Throws RECOMMEND_ARGUMENT_INVALID beyond 4 GiB. */
  ints(length: number): Ints {
    const at = this.#take(length * 4)
    return new Int32Array(this.threads.memory.buffer, at, length).fill(0)
  }

  /** A copy of `from`. */
  intsOf(from: ArrayLike<number>): Ints {
    const copy = this.ints(from.length)
    copy.set(from)
    return copy
  }

  /** A copy of `from`. */
  floatsOf(from: ArrayLike<number>): Floats {
    const copy = this.floats(from.length)
    copy.set(from)
    return copy
  }

  /** Gives arrays back; the memory stays for the next ones. */
  free(...arrays: readonly (Floats | Ints | undefined)[]): void {
    for (const array of arrays) if (array !== undefined) this.#give(array.byteOffset)
  }

  /**
   * Calls a kernel on every thread, or on this one when there is little to do; an array stands for its
   * address, undefined for 0. The answer is the same either way.
   */
  async run(
    kernel: KernelName,
    { work, scratchBytes = LINE }: { readonly work: number; readonly scratchBytes?: number },
    ...given: readonly (number | Floats | Ints | undefined)[]
  ): Promise<void> {
    if (scratchBytes > this.#scratchBytes) {
      for (const at of this.#scratch) this.#give(at)
      this.#scratch = Array.from({ length: this.threads.count }, () => this.#take(scratchBytes))
      this.#scratchBytes = scratchBytes
    }
    Atomics.store(new Int32Array(this.threads.memory.buffer, COUNTER, 1), 0, 0)
    const args = given.map(arg => (typeof arg === 'number' ? arg : (arg?.byteOffset ?? 0)))
    const scratch = this.#scratch
    if (work <= ALONE_MAX) this.#kernels[kernel](COUNTER, scratch[0] as number, ...args)
    else await this.threads.run({ kernel, next: COUNTER, scratch, args })
  }

  #take(length: number): number {
    const bytes = Math.max(LINE, Math.ceil(length / LINE) * LINE)
    const found = this.#holes.findIndex(hole => hole.bytes >= bytes)
    if (found >= 0) {
      const hole = this.#holes[found] as Hole
      const { at } = hole
      if (hole.bytes === bytes) this.#holes.splice(found, 1)
      else {
        hole.at += bytes
        hole.bytes -= bytes
      }
      this.#sizes.set(at, bytes)
      return at
    }
    const at = this.#end
    const { memory } = this.threads
    const pages = Math.ceil((at + bytes) / PAGE) - memory.buffer.byteLength / PAGE
    checkArgument(at + bytes < 65_535 * PAGE, 'memory', at + bytes, 'kernels address 4 GiB')
    if (pages > 0) memory.grow(pages)
    this.#end = at + bytes
    this.#sizes.set(at, bytes)
    return at
  }

  #give(at: number): void {
    const bytes = this.#sizes.get(at)
    checkArgument(bytes !== undefined, 'array', at, 'it was not taken here, or given back before')
    this.#sizes.delete(at)
    const hole = { at, bytes: bytes as number }
    const next = this.#holes.findIndex(other => other.at > at)
    const index = next < 0 ? this.#holes.length : next
    this.#holes.splice(index, 0, hole)
    this.#merge(index)
    if (index > 0) this.#merge(index - 1)
    const last = this.#holes.at(-1)
    if (last !== undefined && last.at + last.bytes === this.#end) {
      this.#end = last.at
      this.#holes.pop()
    }
  }

  /** Joins the hole at `index` with the next when they touch. */
  #merge(index: number): void {
    const [hole, next] = [this.#holes[index], this.#holes[index + 1]]
    if (hole === undefined || next === undefined || hole.at + hole.bytes !== next.at) return
    hole.bytes += next.bytes
    this.#holes.splice(index + 1, 1)
  }
}
