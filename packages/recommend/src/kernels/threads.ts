/** Who runs the kernels: a port, so that this package starts no threads. */
import { chooseBuild, createKernelMemory, instantiate } from './instance.ts'
import type { KernelBuild, KernelName } from './instance.ts'

/** One call of a kernel by every thread. */
export interface KernelCall {
  readonly kernel: KernelName
  /** Byte address of the counter of handed-out work, which is 0. */
  readonly next: number
  /** Byte address of each thread's scratch. */
  readonly scratch: readonly number[]
  readonly args: readonly number[]
}

/** Threads with an instance of the kernels each, on one memory. */
export interface KernelThreads {
  readonly memory: WebAssembly.Memory
  readonly build: KernelBuild
  readonly count: number
  /** Resolves when every thread is through. One call at a time. */
  run(call: KernelCall): Promise<void>
  close(): Promise<void>
}

/** The calling thread alone. */
export function createSerialThreads(
  build = chooseBuild(),
  memory = createKernelMemory(),
): KernelThreads {
  const kernels = instantiate(memory, build)
  return {
    memory,
    build,
    count: 1,
    async run({ kernel, next, scratch, args }) {
      kernels[kernel](next, scratch[0] as number, ...args)
    },
    close: async () => undefined,
  }
}
