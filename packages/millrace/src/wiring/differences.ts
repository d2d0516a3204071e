/** The files of differences that rebuilds find: one JSON object a line, personal values masked. */
import { appendFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { App } from '@millrace/core'
import type { DifferencesSink } from '@millrace/streams'
import { createRowMask } from '../http/mask.ts'

export const DIFFERENCES_FOLDER = 'rebuilds'

/** Keeps differences in files of a data directory, or counts them alone where there is none. */
export function differencesIn(data: string, app: App): DifferencesSink {
  const fileOf = ({ fold, build }: { fold: string; build: number }): string =>
    join(data, DIFFERENCES_FOLDER, `${fold}-${build}.jsonl`)
  const isKept = data !== 'memory'
  return {
    async begin(build) {
      if (!isKept) return undefined
      await mkdir(join(data, DIFFERENCES_FOLDER), { recursive: true })
      await rm(fileOf(build), { force: true })
      return fileOf(build)
    },
    async write(build, differences) {
      if (!isKept) return
      const lines = differences.map(difference => `${JSON.stringify(difference)}\n`)
      // One write to the end of the file: threads that compare at once do not mix their lines.
      await appendFile(fileOf(build), lines.join(''), { mode: 0o600 })
    },
    mask: createRowMask(app),
  }
}
