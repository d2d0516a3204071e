/** What an import says: what it is going to do, and what it did. */
import { join } from 'node:path'
import type { App } from '@millrace/core'
import type { ImportReport, MappedInput } from '../import/index.ts'
import { shortPath, suggestions } from './commands/start.ts'
import { describeChecks } from './check-report.ts'
import type { CommandContext } from './context.ts'
import { count, table } from './output.ts'
import { duration } from './progress.ts'
import { wrap } from './wrap.ts'

/** What was done. */
export interface ImportFacts {
  readonly app: App
  readonly report: ImportReport
  readonly seconds: number
  /** What it took to bring the views up to date afterwards. */
  readonly viewsSeconds: number
  /** The most memory that the process held while it read and appended. */
  readonly memoryBytesMax: number
  readonly work: string
  readonly plan: readonly MappedInput[]
  /** Nothing was appended, nor was it to be. */
  readonly isDryRun: boolean
}

/** What the columns become, before anything is read. */
export function describePlan(
  app: App,
  inputs: readonly MappedInput[],
  ignored: readonly string[],
  columns: number,
): string {
  const width = Math.min(columns, 100)
  const lines = [`Importing into the app ${app.name}:`]
  for (const { input, target, summary, ignored: unused, isGuessed } of inputs) {
    lines.push(wrap(`  ${input.label} -> ${target}: ${summary.join(', ')}`, width, '    '))
    if (isGuessed) lines.push('    Guessed from the names of the columns; --map says otherwise.')
    if (unused.length > 0) {
      lines.push(wrap(`    Columns that are not imported: ${unused.join(', ')}`, width, '      '))
    }
  }
  if (ignored.length > 0) lines.push(wrap(`  Not imported: ${ignored.join(', ')}`, width, '    '))
  return lines.join('\n')
}

/** What was done, for people. */
export function describeReport(facts: ImportFacts, context: CommandContext): string {
  const { report, seconds } = facts
  const { columns } = context.output.terminal
  const rate = `${count(report.rows)} rows in ${duration(seconds)} (${count(report.rows / Math.max(0.001, seconds))} rows/s)`
  const fit = report.rows - report.refused
  const became = facts.isDryRun
    ? `${count(fit)} fit, ${count(report.refused)} are refused. Nothing was appended.`
    : `${count(report.appended)} appended, ${count(report.duplicates)} there before, ${count(report.refused)} refused.`
  const lines = [
    `${rate}: ${became}`,
    table(
      Object.entries(report.byType).map(([type, rows]) => [`  ${type}`, count(rows)]),
      columns,
    ),
  ]
  const { firstAtMs, lastAtMs } = report
  if (firstAtMs !== undefined && lastAtMs !== undefined) {
    lines.push(`  from ${day(firstAtMs)} to ${day(lastAtMs)}`)
  }
  if (facts.viewsSeconds >= 1)
    lines.push(`  views up to date after another ${duration(facts.viewsSeconds)}`)
  if (report.resumedAt > 0) {
    lines.push(`  went on behind row ${count(report.resumedAt)} of an interrupted import`)
  }
  if (report.latinLines > 0) {
    lines.push(`  ${count(report.latinLines)} lines were not UTF-8 and were read as Windows-1252`)
  }
  const checks = facts.isDryRun ? report.checks : report.checks.filter(({ judged }) => judged > 0)
  if (checks.length > 0) lines.push('', describeChecks(checks, columns))
  if (facts.isDryRun) lines.push('', ...describeSamples(report, columns))
  if (report.refused > 0) lines.push(...describeRefused(facts, context))
  if (report.appended + report.duplicates > 0) {
    lines.push('', 'Try next:', ...nextSteps(facts, context).map(line => `  ${line}`))
  }
  return lines.join('\n')
}

function describeSamples(report: ImportReport, columns: number): readonly string[] {
  const lines = report.samples.flatMap(({ type, file, line, atMs, data }) => [
    wrap(`  ${type}, from ${file} line ${line}:`, Math.min(columns, 100), '    '),
    wrap(
      `    at ${new Date(atMs).toISOString()} ${JSON.stringify(data)}`,
      Math.min(columns, 100),
      '    ',
    ),
  ])
  return ['The first of each:', ...lines]
}

function describeRefused(facts: ImportFacts, context: CommandContext): readonly string[] {
  const { report } = facts
  const { columns } = context.output.terminal
  const lines = [
    '',
    `Refused rows${report.refused > report.refusedFirst.length ? ', the first' : ''}:`,
  ]
  for (const { file, line, code, reason } of report.refusedFirst) {
    lines.push(wrap(`  ${file} line ${line}: ${code} ${reason}`, Math.min(columns, 100), '    '))
  }
  if (facts.isDryRun) return lines
  const path = join(facts.work, report.refusedFile ?? '')
  lines.push(`All of them, as they were read: ${shortPath(context.cwd, path)}`)
  return lines
}

function nextSteps({ app, report }: ImportFacts, context: CommandContext): readonly string[] {
  const data = context.options.data === undefined ? '' : ` --data ${context.options.data}`
  const person = report.samples.map(sample => personOf(app, sample)).find(id => id !== undefined)
  const recommend = suggestions(app, context, person).filter(line => line.includes('recommend'))
  return [...recommend, `npx millrace start${data}`]
}

/** The person of an imported row, where the id needs no quotes in a shell. */
function personOf(app: App, { type, data }: ImportReport['samples'][number]): string | undefined {
  const fields = Object.entries(app.events.get(type)?.definition.fields ?? {})
  const [name] = fields.find(([, field]) => field.ref === 'person') ?? []
  const id = name === undefined ? undefined : (data as Record<string, unknown>)[name]
  return typeof id === 'string' && /^[\w.@:-]+$/.test(id) ? id : undefined
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

/** What was done, as data. */
export function reportJson(facts: ImportFacts, context: CommandContext): unknown {
  const { report, seconds, plan, app } = facts
  const { refusedFile, firstAtMs, lastAtMs, ...rest } = report
  return {
    app: app.name,
    data: context.data,
    files: plan.map(({ input, target, summary, ignored, isGuessed }) => ({
      file: input.label,
      target,
      mapping: summary,
      ignoredColumns: ignored,
      isGuessed,
    })),
    ...rest,
    isDryRun: facts.isDryRun,
    refusedFile: refusedFile === undefined || facts.isDryRun ? null : join(facts.work, refusedFile),
    firstAt: firstAtMs === undefined ? null : new Date(firstAtMs).toISOString(),
    lastAt: lastAtMs === undefined ? null : new Date(lastAtMs).toISOString(),
    seconds,
    viewsSeconds: facts.viewsSeconds,
    memoryBytesMax: facts.memoryBytesMax,
    rowsPerSecond: Math.round(report.rows / Math.max(0.001, seconds)),
  }
}
