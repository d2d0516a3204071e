/** What checks said of many events, for people. */
import type { CheckReport } from '@millrace/product'
import { count, table } from './output.ts'
import { wrap } from './wrap.ts'

/** The checks in a table, then examples of what they do not like. */
export function describeChecks(checks: readonly CheckReport[], columns: number): string {
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
