import type { Command } from 'commander'
import { ask } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { EXIT_REFUSED } from '../exit-codes.ts'
import { count, table } from '../output.ts'
import type { Run } from '../run-command.ts'

interface MismatchJson {
  readonly request?: string
  readonly entities: Readonly<Record<string, string>>
  readonly feature: string
  readonly served: unknown
  readonly servedStatus: string
  readonly recomputed: unknown
  readonly recomputedStatus: string
}

interface CheckJson {
  readonly service: string
  readonly atMs: number
  readonly fingerprint: { readonly was: string; readonly now: string }
  readonly rows: number
  readonly values: number
  readonly mismatches: readonly MismatchJson[]
}

interface ReportJson {
  readonly requests: number
  readonly values: number
  readonly ofOtherDefinitions: number
  readonly mismatches: number
  readonly examples: readonly MismatchJson[]
}

/** `features check`: whether what was served is what the log says. */
export function addFeatureCheck(group: Command, run: Run): void {
  group
    .command('check')
    .summary('whether what requests were served is what the log says')
    .description(
      'Computes what a request was served again, from the log alone, up to the position that it ' +
        'saw, and compares to the bit. Without --request a sample of the newest requests. Exits ' +
        'with 1 when a value differs.',
    )
    .option('--request <id>', 'the requestId of an answer')
    .action(run<[{ request?: string }]>(check))
}

async function check(
  context: CommandContext,
  { request }: { readonly request?: string },
): Promise<void> {
  if (request === undefined) return await sample(context)
  const path = `/v1/features/served/${encodeURIComponent(request)}/check`
  const found = (await ask(context, { method: 'GET', path })) as CheckJson
  const { fingerprint, mismatches } = found
  const isOther = fingerprint.was !== fingerprint.now
  const about = `${found.service}, ${new Date(found.atMs).toISOString()}: ${count(found.values)} values in ${count(found.rows)} rows.` // prettier-ignore
  const verdict = isOther
    ? `The definition has changed since (${fingerprint.was}, now ${fingerprint.now}); by that of now:`
    : ''
  finish(context, found, [about, verdict], mismatches)
}

async function sample(context: CommandContext): Promise<void> {
  const found = (await ask(context, { method: 'POST', path: '/v1/features/parity' })) as ReportJson
  const about = `${count(found.requests)} requests, ${count(found.values)} values.`
  const others =
    found.ofOtherDefinitions === 0
      ? ''
      : `${count(found.ofOtherDefinitions)} more were served by another definition.`
  finish(context, found, [about, others], found.examples)
}

function finish(
  context: CommandContext,
  found: unknown,
  about: readonly string[],
  mismatches: readonly MismatchJson[],
): void {
  const lines = [
    ...about.filter(line => line !== ''),
    mismatches.length === 0 ? 'All are what the log says.' : differing(context, mismatches),
  ]
  context.output.result(found, lines.join('\n'))
  if (mismatches.length > 0) context.exitWith(EXIT_REFUSED)
}

function differing(context: CommandContext, mismatches: readonly MismatchJson[]): string {
  const rows = mismatches.map(found => [
    ...(found.request === undefined ? [] : [found.request]),
    found.feature,
    Object.entries(found.entities)
      .map(([kind, id]) => `${kind} ${id}`)
      .join(', '),
    cell(found.served, found.servedStatus),
    cell(found.recomputed, found.recomputedStatus),
  ])
  const head = ['FEATURE', 'OF', 'SERVED', 'THE LOG SAYS']
  const isOfMany = mismatches[0]?.request !== undefined
  return table([[...(isOfMany ? ['REQUEST'] : []), ...head], ...rows], context.output.terminal.columns) // prettier-ignore
}

const cell = (value: unknown, status: string): string =>
  `${JSON.stringify(value)}${status === 'value' ? '' : ` (${status})`}`
