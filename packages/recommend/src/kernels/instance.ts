/**
 * Loads the kernels: WebAssembly with fused multiply-add (relaxed SIMD) where the engine has it and it
 * passes a test at load, otherwise plain SIMD. Both builds come from the same sources; their answers
 * differ by rounding alone (fused keeps one rounding of two: relative 2^-23 a step).
 */
import { invariant } from '@millrace/core'
import { FUSED, PLAIN } from './binary.ts'

/** Kernels by name; each thread calls one with the counter of handed-out work, its scratch, and arguments. */
export type Kernels = Readonly<Record<KernelName, (...args: number[]) => void>>

/** The kernels that threads share. */
export type KernelName =
  | 'alsHalf'
  | 'blend'
  | 'coOccurDense'
  | 'coOccurLists'
  | 'factorise'
  | 'gemm'
  | 'listScores'
  | 'spmm'
  | 'top'

/** Which build of the kernels. */
export type KernelBuild = 'fused' | 'plain'

const modules = new Map<KernelBuild, WebAssembly.Module>()

/** Memory that kernels and threads share; at most 4 GiB. */
export function createKernelMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 64, maximum: 65_536, shared: true })
}

/** The best build that works here. */
export function chooseBuild(): KernelBuild {
  return isFusedRight() ? 'fused' : 'plain'
}

/** An instance on `memory`. */
export function instantiate(memory: WebAssembly.Memory, build: KernelBuild): Kernels {
  const abort = (): void => invariant(false, 'a kernel aborted')
  const { exports } = new WebAssembly.Instance(compiled(build), { env: { memory, abort } })
  return exports as unknown as Kernels
}

function compiled(build: KernelBuild): WebAssembly.Module {
  let module = modules.get(build)
  if (module === undefined) {
    module = new WebAssembly.Module(bytesOf(build))
    modules.set(build, module)
  }
  return module
}

function bytesOf(build: KernelBuild): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(build === 'fused' ? FUSED : PLAIN), c => c.charCodeAt(0))
}

/** A product of small whole numbers is exact in any order: a fused build that differs is not used. */
function isFusedRight(): boolean {
  if (!WebAssembly.validate(bytesOf('fused'))) return false
  const memory = createKernelMemory()
  const { gemm } = instantiate(memory, 'fused')
  const [m, n, depth] = [9, 11, 7]
  const a = new Float32Array(memory.buffer, 4096, m * depth)
  const b = new Float32Array(memory.buffer, 8192, depth * n)
  const out = new Float32Array(memory.buffer, 12_288, m * n)
  for (let at = 0; at < a.length; at++) a[at] = (at % 13) - 6
  for (let at = 0; at < b.length; at++) b[at] = (at % 17) - 8
  gemm(1024, 65_536, m, n, depth, 1, 0, 4096, depth * 4, 4, 8192, n * 4, 4, 12_288, n * 4, 0)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0
      for (let p = 0; p < depth; p++) sum += (a[i * depth + p] as number) * (b[p * n + j] as number)
      if (out[i * n + j] !== sum) return false
    }
  }
  return true
}
