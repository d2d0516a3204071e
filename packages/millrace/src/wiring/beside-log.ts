/**
 * What a data directory has beside log, snapshots and keys that may quote people: differences that
 * rebuilds found, which are made again by the next one, and rows of imports, which nothing else keeps.
 */
import type { Disk } from '@millrace/core'
import { IMPORTS_FOLDER } from '../import/state.ts'
import { DIFFERENCES_FOLDER } from './differences.ts'

/** See the head of the file. */
export interface BesideLog {
  /** Removes what can be made again. */
  tidy(): Promise<void>
  /** What is left to people. */
  remains(): Promise<
    readonly { readonly what: string; readonly count: number; readonly remedy: string }[]
  >
}

/** Of a data directory. */
export function besideLog(disk: Disk): BesideLog {
  return {
    async tidy() {
      for (const name of await disk.list(DIFFERENCES_FOLDER)) {
        await disk.remove(`${DIFFERENCES_FOLDER}/${name}`)
      }
    },
    async remains() {
      const names = await disk.list(IMPORTS_FOLDER)
      const refused = names.filter(name => name.endsWith('.refused.jsonl'))
      const unfinished = names.filter(name => !name.includes('.'))
      const found = []
      if (refused.length > 0) {
        found.push({
          what: `rows that imports refused, as they were read: ${namesOf(refused)}`,
          count: refused.length,
          remedy:
            'look for the person in these files of the data directory, and remove the lines or the files',
        })
      }
      if (unfinished.length > 0) {
        found.push({
          what: `rows of imports that were interrupted: ${namesOf(unfinished)}`,
          count: unfinished.length,
          remedy:
            'run the import again, which refuses rows of the person and removes the folder, or remove it',
        })
      }
      return found
    },
  }
}

const NAMES_MAX = 5

function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_MAX).map(name => `${IMPORTS_FOLDER}/${name}`)
  const more = names.length - shown.length
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(', ')
}
