/** Lines covered by tests, per package, compared with the thresholds in coverage.config.json. */
import { globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseSync } from 'oxc-parser'

/** The lines of one source file and those that ran. */
export interface FileCoverage {
  /** Absolute path. */
  readonly path: string
  readonly total: number
  readonly covered: number
}

/** The lines of one package and what is asked of it, in percent. */
export interface PackageCoverage {
  readonly name: string
  readonly total: number
  readonly covered: number
  readonly percent: number
  readonly wantedPercent: number
  /** Paths relative to the root and percent, the worst first, of files below the threshold. */
  readonly gaps: readonly string[]
}

/** What coverage.config.json says. */
export interface CoverageConfig {
  /** Whether a package below its threshold fails the CI, or is only printed. */
  readonly enforced: boolean
  /** For packages that are not named. */
  readonly linesPercent: number
  readonly packages: Readonly<Record<string, number>>
  /** Files that are not measured, with the reason. */
  readonly exceptions: Readonly<Record<string, string>>
}

/** Reads the thresholds of the repository at `root`. */
export function readCoverageConfig(root: string): CoverageConfig {
  return JSON.parse(readFileSync(join(root, 'coverage.config.json'), 'utf8')) as CoverageConfig
}

/**
 * One entry a file, of several runs: the one that covered most. Lines that only another run covered
 * count as not covered, so the sum is never too high.
 */
export function bestOf(files: readonly FileCoverage[]): FileCoverage[] {
  const best = new Map<string, FileCoverage>()
  for (const file of files) {
    const known = best.get(file.path)
    if (known === undefined || file.covered > known.covered) best.set(file.path, file)
  }
  return [...best.values()]
}

/**
 * Sums the files of each package. A source file that no test loaded counts with all its lines as not
 * covered, because the runtime reports only what it loaded; files that hold types alone count nothing.
 */
export function coverageByPackage(
  root: string,
  files: readonly FileCoverage[],
  config: CoverageConfig,
): PackageCoverage[] {
  const reported = new Map(files.map(file => [relative(root, file.path), file]))
  const sums = new Map<string, { total: number; covered: number; gaps: [number, string][] }>()
  for (const path of globSync('packages/*/src/**/*.ts', { cwd: root }).toSorted()) {
    if (!isMeasured(path) || config.exceptions[path] !== undefined) continue
    const file = reported.get(path) ?? unloaded(root, path)
    const name = path.split('/')[1] as string
    const sum = sums.get(name) ?? { total: 0, covered: 0, gaps: [] }
    sum.total += file.total
    sum.covered += file.covered
    const percent = percentOf(file)
    if (percent < wantedOf(config, name))
      sum.gaps.push([file.total - file.covered, `${path} ${percent.toFixed(1)} %`])
    sums.set(name, sum)
  }
  return [...sums].map(([name, sum]) => ({
    name,
    total: sum.total,
    covered: sum.covered,
    percent: percentOf(sum),
    wantedPercent: wantedOf(config, name),
    gaps: sum.gaps.toSorted((a, b) => b[0] - a[0]).map(([, text]) => text),
  }))
}

/** Suites run in other processes' tests and are test code; measurements and tests are not measured. */
function isMeasured(path: string): boolean {
  return !/\.(test|bench|test-d)\.ts$|\/suite(\.ts$|\/)|\/(fixtures|testing)\//.test(path)
}

function wantedOf(config: CoverageConfig, name: string): number {
  return config.packages[name] ?? config.linesPercent
}

function percentOf({ covered, total }: { covered: number; total: number }): number {
  return total === 0 ? 100 : (covered / total) * 100
}

function unloaded(root: string, path: string): FileCoverage {
  const text = readFileSync(join(root, path), 'utf8')
  const total = hasCode(path, text) ? text.split('\n').length - 1 : 0
  return { path, total, covered: 0 }
}

function hasCode(path: string, text: string): boolean {
  return parseSync(path, text).program.body.some(statement => {
    if (statement.type === 'ExportNamedDeclaration') {
      return statement.declaration !== null && !statement.declaration.type.startsWith('TS')
    }
    return !/^(TS|ImportDeclaration|ExportAllDeclaration)/.test(statement.type)
  })
}
