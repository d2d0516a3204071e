/** Which calls of a simulated disk fail, when, and how. */

/** The calls that are counted and can fail. */
export const DISK_CALLS = [
  'open',
  'read',
  'write',
  'sync',
  'truncate',
  'size',
  'close',
  'list',
  'makeDirectory',
  'rename',
  'remove',
  'syncDirectory',
  'sizeOf',
  'freeBytes',
] as const

export type DiskCall = (typeof DISK_CALLS)[number]

/**
 * What happens to a call that a fault strikes:
 * - `fail`: nothing is done, DISK_FAILED. After a failed sync the data still waits for the next one.
 * - `applied`: it is done, and yet DISK_FAILED.
 * - `full`: nothing is done, DISK_FULL.
 * - `short`: a write puts only its first bytes (`bytes`, or a random number), then DISK_FAILED.
 * - `drop`: a sync rejects and the data that it should have made durable stays readable but never
 *   reaches the medium, also when the next sync succeeds: what Linux does after an error of
 *   writeback (Rebello and others, "Can Applications Recover from fsync Failures?", 2020).
 * - `slow`: it succeeds `slowMs` later than usual.
 */
export type FaultEffect = 'fail' | 'applied' | 'full' | 'short' | 'drop' | 'slow'

/** A rule that strikes calls of a disk. */
export interface DiskFault {
  readonly on: DiskCall | 'any' | readonly DiskCall[]
  /** Only calls on paths that match. */
  readonly path?: RegExp
  /** The first matching call that is struck, from 1, counted since the fault was armed. Default 1. */
  readonly nth?: number
  /** How many matching calls in a row are struck; Infinity for ever. Default 1. */
  readonly times?: number
  readonly effect: FaultEffect
  /** For `slow`, milliseconds of virtual time. */
  readonly slowMs?: number
  /** For `short`: how many bytes are written. Default: a random number of them. */
  readonly bytes?: number
}

/** A fault that is armed. */
export interface ArmedFault {
  readonly fault: DiskFault
  /** Calls that it struck so far. */
  readonly hits: number
  /** Takes the fault away: from now on calls succeed again. */
  lift(): void
}

/** The armed faults of one disk. */
export class FaultPlan {
  readonly #armed = new Set<Armed>()

  arm(fault: DiskFault): ArmedFault {
    const armed: Armed = { fault, seen: 0, hits: 0, lift: () => void this.#armed.delete(armed) }
    this.#armed.add(armed)
    return armed
  }

  clear(): void {
    this.#armed.clear()
  }

  /** The fault that strikes this call, if any; every armed fault counts the call. */
  strike(call: DiskCall, path: string): DiskFault | undefined {
    let struck: DiskFault | undefined
    for (const armed of this.#armed) {
      const { fault } = armed
      if (!includes(fault.on, call) || fault.path?.test(path) === false) continue
      armed.seen += 1
      const nth = fault.nth ?? 1
      if (struck !== undefined || armed.seen < nth || armed.seen >= nth + (fault.times ?? 1))
        continue
      armed.hits += 1
      struck = fault
    }
    return struck
  }
}

interface Armed extends ArmedFault {
  hits: number
  seen: number
}

function includes(on: DiskFault['on'], call: DiskCall): boolean {
  return on === 'any' || on === call || (Array.isArray(on) && on.includes(call))
}
