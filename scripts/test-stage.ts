/**
 * A stage of the CI that runs tests and, where its tests judge a change and not luck, runs a file that
 * failed once more, alone, when the stage is over. A file that passes then counts as passed and is
 * reported as unstable: one test in a thousand that meets a busy machine must not hide what the CI
 * says of a change, and must not hide itself either.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runStage, type Stage } from './stages.ts'
import type { TestReport } from './test-run.ts'

/** So many unstable files of a whole CI run are borne; a stage in which more files fail has failed. */
export const UNSTABLE_MAX = 2

/** A stage whose command writes the report of its tests. */
export interface TestStage extends Stage {
  /**
   * Runs one file of the stage alone. Absent where what fails once is a finding: a process was killed
   * at another moment, a random input met a fault.
   */
  readonly again?: (file: string) => Stage['command']
}

/** How a stage ended. */
export interface TestStageResult {
  /** Of the stage, with what the second runs changed; absent when it ended without one. */
  readonly report: TestReport | undefined
  /** A line for each file that failed and then passed: the file, the test, its first error. */
  readonly unstable: readonly string[]
  /** What went wrong beside the tests. */
  readonly fault?: string
}

/** Runs a stage, and those of its files again that failed. */
export async function runTestStage(root: string, stage: TestStage): Promise<TestStageResult> {
  const first = await runForReport(root, stage)
  let { report } = first
  const unstable: string[] = []
  if (report === undefined) return { report, unstable, fault: 'ended without a report' }
  if (report.failed === 0 && !first.isPassed) return { report, unstable, fault: 'failed' }
  const failed = Object.entries(report.files).filter(([, counts]) => counts.failed > 0)
  if (stage.again === undefined || failed.length > UNSTABLE_MAX) return { report, unstable }
  for (const [file] of failed) {
    console.log(`\n--- ${file} failed and runs once more, alone`)
    const second = await runForReport(root, { ...stage, command: stage.again(file) })
    if (!second.isPassed || second.report === undefined) continue
    const cause = report.failures.find(failure => failure.file === file)
    unstable.push(`${file}: ${cause?.name}: ${cause?.why.split(/\s*\n\s*/).join(' ')}`)
    report = withSecond(report, file, second.report)
  }
  return { report, unstable }
}

async function runForReport(
  root: string,
  stage: Stage,
): Promise<{ readonly isPassed: boolean; readonly report: TestReport | undefined }> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-stage-'))
  const path = join(folder, 'report.json')
  try {
    const env = { ...stage.env, MILLRACE_TEST_REPORT: path }
    const { isPassed } = await runStage(root, { ...stage, env })
    const report = existsSync(path)
      ? (JSON.parse(readFileSync(path, 'utf8')) as TestReport)
      : undefined
    return { isPassed, report }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The second run stands for the first of its file. Covered lines are those of the whole stage. */
function withSecond(report: TestReport, file: string, second: TestReport): TestReport {
  const before = report.files[file] ?? { passed: 0, failed: 0 }
  return {
    ...report,
    passed: report.passed - before.passed + second.passed,
    failed: report.failed - before.failed,
    failures: report.failures.filter(failure => failure.file !== file),
    files: { ...report.files, ...second.files },
    skipped: [...report.skipped.filter(test => test.file !== file), ...second.skipped],
  }
}
