/** What checks said of many events, for people. */
import { count, table } from './output.ts'
import { wrap } from './wrap.ts'

/** What a check said, as data. */
export interface ReportJson {
  readonly name: string
  readonly rule: string
  readonly severity: string
  readonly of: string
  readonly field: string | null
  readonly judged: number
  readonly failed: number
  readonly unit: string
  readonly state: string
  readonly examples: readonly { readonly place: string; readonly reason: string }[]
}

/** The checks in a table, then examples of what they do not like. */
export function describeChecks(checks: readonly ReportJson[], columns: number): string {
  if (checks.length === 0) return 'The definition has no checks.'
  const rows = checks.map(({ name, rule, severity, of, field, judged, failed, unit, state }) => [
    name,
    field === null ? of : `${of}.${field}`,
    rule,
    severity,
    state,
    `${count(failed)} of ${count(judged)} ${unit}`,
  ])
  const head = ['CHECK', 'OF', 'RULE', 'SEVERITY', 'STATE', 'FAILED']
  const examples = checks.flatMap(
    ({ name, examples: found }) =>
    found.map(({ place, reason }) => wrap(`  ${name}: ${place}: ${reason}`, Math.min(columns, 100), '    ')), // prettier-ignore
  )
  const shown = examples.length === 0 ? [] : ['', 'The first of each:', ...examples]
  return [table([head, ...rows], columns), ...shown].join('\n')
}
