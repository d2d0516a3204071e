/** `schemas`: how definitions changed, and whether old events stay readable. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { CompatibilityLevel } from '@millrace/core'
import {
  COMPATIBILITY_LEVELS,
  checkCompatibility,
  planEvolution,
  type DeclaredEvent,
  type SchemaFormat,
  type SchemaHistory,
  type SchemaRefusal,
  type SchemaVersion,
} from '@millrace/log/schemas'
import type { Trial } from '@millrace/log/schemas/trial'
import { Option, type Command } from 'commander'
import { declaredEvents } from '../../wiring/schemas.ts'
import { appOf } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { EXIT_REFUSED } from '../exit-codes.ts'
import { table } from '../output.ts'
import type { Run } from '../run-command.ts'
import { readHistory } from '../schema-history.ts'

const levels = Object.keys(COMPATIBILITY_LEVELS) as CompatibilityLevel[]

/** `schemas`: compatibility of schemas. */
export function addSchemas(program: Command, run: Run): void {
  const group = program
    .command('schemas')
    .summary('how definitions changed, and what stays readable')
    .description('Shows whether events written under earlier schemas stay readable.')
  group
    .command('list')
    .summary('event types and their versions')
    .description('Lists the event types that the log knows, with the number of their versions.')
    .action(run<[object]>(list))
  group
    .command('history')
    .summary('the versions of an event type')
    .description('Shows every version of an event type: when it came, and its schema.')
    .argument('<type>', 'the event type, as `schemas list` shows it')
    .action(run<[string]>(showHistory))
  group
    .command('check')
    .summary('the definition against what the log remembers')
    .description(
      'Checks the app definition against every version that the log remembers, and tries its ' +
        'upcasters on generated old events. Changes nothing. Exits with 1 on a fault.',
    )
    .option('--events <count>', 'generated events of each version', '100')
    .action(run<[CheckOptions]>(check))
  group
    .command('compare')
    .summary('a schema file against earlier ones')
    .description(
      'Compares a schema with earlier ones by the rules of Confluent’s registry: JSON Schema ' +
        '(draft-07, 2020-12) or Avro. Exits with 1 when it does not keep the level.',
    )
    .argument('<schema>', 'file of the new schema')
    .argument('<earlier...>', 'files of the earlier ones, oldest first')
    .addOption(
      new Option('--level <level>', 'what must stay readable').choices(levels).default('BACKWARD'),
    )
    .addOption(
      new Option('--format <format>', 'default: avro for .avsc files, else json').choices([
        'json',
        'avro',
      ]),
    )
    .option('--lenient', 'undeclared fields of open objects were never sent')
    .action(run<[string, string[], CompareOptions]>(compare))
}

async function list(context: CommandContext): Promise<void> {
  const { versions } = await readHistory(context, ({ history }) => Promise.resolve(history))
  const types = [...versions].map(([type, of]) => {
    const last = of.at(-1) as SchemaVersion
    const { version, level, definition, registeredMs } = last
    return { type, version, level, definition, registeredMs }
  })
  const rows = types.map(({ type, version, level, definition }) => [
    type,
    String(version),
    level,
    definition,
  ])
  const heading = ['type', 'version', 'level', 'definition']
  context.output.result(
    { types },
    rows.length === 0 ? 'No versions.' : table([heading, ...rows], context.output.terminal.columns),
  )
}

async function showHistory(context: CommandContext, type: string): Promise<void> {
  const history = await readHistory(context, opened => Promise.resolve(opened.history))
  const versions = history.versions.get(type)
  if (versions === undefined) {
    throw cliErrors.create('CLI_REFUSED', {
      reason: `The log knows no event type ${type}.`,
      next: 'Name one that `millrace schemas list` shows.',
    })
  }
  const lines = versions.map(({ version, registeredMs, definition, schema }) => {
    const at = new Date(registeredMs).toISOString()
    return `${version}  ${at}  ${definition}\n   ${JSON.stringify(schema)}`
  })
  context.output.result({ type, versions }, lines.join('\n'))
}

interface CheckOptions {
  readonly events: string
}

async function check(context: CommandContext, options: CheckOptions): Promise<void> {
  const { app } = await appOf(context)
  const declared = declaredEvents(app)
  await readHistory(context, async ({ history, find }) => {
    const broken = await find(planEvolution(declared, history).broken)
    const trial = await tryEvents(declared, history, Number(options.events))
    const refusals = broken.flatMap(({ event, refusals: of }) =>
      of.map(refusal => ({ type: event.type, ...refusal })),
    )
    const isCompatible = refusals.length === 0 && (trial?.faults.length ?? 0) === 0
    const lines = [
      ...refusals.map(
        ({ type, version, path, code, reason }) =>
          `${type} version ${version}  ${path}  ${reason} (${code})`,
      ),
      ...(trial?.faults ?? []).map(
        ({ type, shape, data, reason }) => `${type} ${shape}  ${JSON.stringify(data)}  ${reason}`,
      ),
      trial === undefined
        ? 'Upcasters were not tried: install fast-check beside the app.'
        : `${trial.events} generated old events of ${trial.shapes} shapes were read.`,
      isCompatible
        ? 'Every event of the log is read by this definition.'
        : 'Make added fields optional, or read old events by upcastFrom.',
    ]
    context.output.result({ isCompatible, refusals, trial }, lines.join('\n'))
    if (!isCompatible) context.exitWith(EXIT_REFUSED)
  })
}

/** The trial, where fast-check is installed. */
async function tryEvents(
  declared: readonly DeclaredEvent[],
  history: SchemaHistory,
  events: number,
): Promise<Trial | undefined> {
  try {
    const { tryOldEvents } = await import('@millrace/log/schemas/trial')
    return tryOldEvents(declared, { history, events })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined
    throw error
  }
}

interface CompareOptions {
  readonly level: CompatibilityLevel
  readonly format?: SchemaFormat
  readonly lenient?: boolean
}

async function compare(
  context: CommandContext,
  file: string,
  earlier: readonly string[],
  options: CompareOptions,
): Promise<void> {
  const read = (name: string): Promise<unknown> => readSchema(resolve(context.cwd, name))
  const refusals = checkCompatibility({
    format: options.format ?? (file.endsWith('.avsc') ? 'avro' : 'json'),
    level: options.level,
    schema: await read(file),
    history: await Promise.all(earlier.map(read)),
    policy: options.lenient === true ? 'lenient' : 'strict',
  })
  const isCompatible = refusals.length === 0
  const lines = refusals.map(refusal => refusalLine(refusal, earlier[refusal.version - 1] ?? ''))
  const verdict = isCompatible
    ? `${options.level} is kept: ${COMPATIBILITY_LEVELS[options.level]}.`
    : `${options.level} is not kept (${COMPATIBILITY_LEVELS[options.level]}):`
  context.output.result(
    { isCompatible, level: options.level, refusals },
    [verdict, ...lines].join('\n'),
  )
  if (!isCompatible) context.exitWith(EXIT_REFUSED)
}

function refusalLine({ direction, code, path, reason }: SchemaRefusal, file: string): string {
  const against = direction === 'backward' ? `values of ${file}` : `values for ${file}`
  return `  ${path}  ${reason} (${code}, ${against})`
}

async function readSchema(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown
  } catch (error) {
    throw cliErrors.create('CLI_REFUSED', {
      reason: `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      next: 'Name a file that holds one schema as JSON.',
    })
  }
}
