/** What an erasure does to the files of keys and snapshots, by name: the call of the disk that each step is, and the side of it on which a process is killed. */
import type * as fs from 'node:fs'

/** A step. */
interface DiskStep {
  readonly when: 'before' | 'after'
  readonly call: 'rename' | 'rm'
  /** What the path of the call is like. */
  readonly path: RegExp
  /** Which of these calls. */
  readonly nth: number
}

const KEYS = /\/keys\/\d+\.keys$/

/** The keys of snapshots are replaced first, those of people then; each time a new file takes the place of the one before, which is overwritten and removed. */
export const DISK_STEPS: Readonly<Record<string, DiskStep>> = {
  unsaved: { when: 'before', call: 'rename', path: /\/snapshots\//, nth: 1 },
  saved: { when: 'after', call: 'rename', path: /\/snapshots\//, nth: 1 },
  replacing: { when: 'before', call: 'rename', path: KEYS, nth: 1 },
  replaced: { when: 'after', call: 'rename', path: KEYS, nth: 1 },
  removed: { when: 'after', call: 'rm', path: KEYS, nth: 1 },
  destroying: { when: 'before', call: 'rename', path: KEYS, nth: 2 },
  destroyed: { when: 'after', call: 'rename', path: KEYS, nth: 2 },
  overwritten: { when: 'before', call: 'rm', path: KEYS, nth: 2 },
  gone: { when: 'after', call: 'rm', path: KEYS, nth: 2 },
}

export const isDiskStep = (name: string): boolean => Object.hasOwn(DISK_STEPS, name)

/** Watches the calls of a process; gives how it dies at the next step of a name. */
export function watchDisk(mutable: typeof fs): { dieAt(name: string): void } {
  let step: DiskStep | undefined
  let count = 0
  const die = (): void => void process.kill(process.pid, 'SIGKILL')
  for (const call of ['rename', 'rm'] as const) {
    const real = mutable[call] as unknown as (...given: unknown[]) => void
    const watched = (...given: unknown[]): void => {
      // Of a rename the new name counts.
      const path = String(given[call === 'rename' ? 1 : 0])
      const isStep = step?.call === call && step.path.test(path) && ++count === step.nth
      if (isStep && step?.when === 'before') die()
      const done = given.pop() as (...answer: unknown[]) => void
      real(...given, (...answer: unknown[]) => {
        if (isStep) die()
        done(...answer)
      })
    }
    ;(mutable as unknown as Record<string, unknown>)[call] = watched
  }
  return {
    dieAt(name) {
      step = DISK_STEPS[name]
      count = 0
    },
  }
}
