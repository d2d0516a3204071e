/** A process of the simulated world: what SIGKILL takes with it, and what it leaves. */
import type { Clock, Disk, Random } from '@millrace/core'
import type { SimDisk } from './disk/disk.ts'
import { createSimRandom, type SimRandom } from './random.ts'

/** The ports of one simulated process. */
export interface SimProcess {
  readonly clock: Clock
  readonly disk: Disk
  readonly random: SimRandom
  readonly isAlive: boolean
  /**
   * Kills the process: its timers never fire and its disk never answers it again. Calls under way
   * are done, done in part, or not done; what it wrote stays readable. Follow it with
   * `disk.crash()` for a loss of power.
   */
  kill(): void
}

/** Starts a process on a simulated machine. Code that takes all its ports from it ends with it. */
export function createSimProcess(world: {
  readonly clock: Clock
  readonly disk: SimDisk
  readonly random: Random
}): SimProcess {
  const mount = world.disk.mount()
  let isAlive = true
  const guarded = (task: () => void) => (): void => {
    if (isAlive) task()
  }
  return {
    clock: {
      nowMs: () => world.clock.nowMs(),
      monotonicMs: () => world.clock.monotonicMs(),
      after: (delayMs, task) => world.clock.after(delayMs, guarded(task)),
      soon: task => world.clock.soon(guarded(task)),
    },
    disk: mount.disk,
    random: createSimRandom(`process/${world.random.next()}`),
    get isAlive() {
      return isAlive
    },
    kill() {
      isAlive = false
      mount.kill()
    },
  }
}
