/** Lines covered by tests, summed over files and runs, and compared with the thresholds. */

/** The lines of one source file that can run and those that did. */
export interface FileCoverage {
  /** Absolute path. */
  readonly path: string
  readonly total: number
  readonly covered: number
}

interface ReportedFile {
  readonly path: string
  readonly totalLineCount: number
  readonly coveredLineCount: number
}

/** Collects what node:test reports. */
export function createCoverage(): {
  add(files: readonly ReportedFile[]): void
  files(): FileCoverage[]
} {
  const byPath = new Map<string, FileCoverage>()
  return {
    add: files => {
      for (const file of files) {
        byPath.set(file.path, {
          path: file.path,
          total: file.totalLineCount,
          covered: file.coveredLineCount,
        })
      }
    },
    files: () => [...byPath.values()].toSorted((a, b) => a.path.localeCompare(b.path)),
  }
}
