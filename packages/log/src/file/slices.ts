import type { Clock } from '@millrace/core'

/** Long work in slices: between them the loop serves others. */
export interface Slices {
  /** True when the slice is used up: await `pause` before going on. */
  isOver(): boolean
  pause(): Promise<void>
}

/** Slices of at most `sliceMs()`, which may change as the work becomes urgent. */
export function createSlices(clock: Clock, sliceMs: () => number): Slices {
  let startedMs = clock.monotonicMs()
  return {
    isOver: () => clock.monotonicMs() - startedMs >= sliceMs(),
    async pause() {
      await new Promise<void>(resolve => clock.soon(resolve))
      startedMs = clock.monotonicMs()
    },
  }
}
