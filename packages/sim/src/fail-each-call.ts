import { DISK_CALLS, type DiskCall, type DiskFault, type FaultEffect } from './disk/faults.ts'

const CALLS_MAX = 10_000

/** Which failures `failEachCall` tries. */
export interface FailureSweep {
  /** Default: every kind of call but `close`. */
  readonly on?: readonly DiskCall[]
  readonly effect: FaultEffect
  /** How many calls in a row fail; Infinity for ever after. Default 1. */
  readonly times?: number
  /** Default 10,000. */
  readonly callsMax?: number
  /** Runs the same work in a fresh world with this fault and checks the invariants; answers how often it struck (`ArmedFault.hits`). */
  readonly run: (fault: DiskFault, nth: number) => Promise<number>
}

/** Fails the first, the second, the third... call of some work, until the fault is never reached; answers how many calls were failed. */
export async function failEachCall(sweep: FailureSweep): Promise<number> {
  const on = sweep.on ?? DISK_CALLS.filter(call => call !== 'close')
  const { effect, times = 1, callsMax = CALLS_MAX } = sweep
  for (let nth = 1; nth <= callsMax; nth++) {
    if ((await sweep.run({ on, nth, times, effect }, nth)) === 0) return nth - 1
  }
  return callsMax
}
