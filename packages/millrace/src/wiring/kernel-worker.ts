/** A thread that runs kernels: see `kernel-threads.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import { instantiate, type KernelBuild, type KernelName } from '@millrace/recommend'

const port = parentPort
if (port !== null) {
  const { memory, build } = workerData as { memory: WebAssembly.Memory; build: KernelBuild }
  const kernels = instantiate(memory, build)
  port.on('message', ([kernel, ...args]: [KernelName, ...number[]]) => {
    kernels[kernel](...args)
    port.postMessage(0)
  })
  port.postMessage(0)
}
