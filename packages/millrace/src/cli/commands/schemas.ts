/** `schemas`: how definitions changed, and whether old events stay readable. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  COMPATIBILITY_LEVELS,
  checkCompatibility,
  type CompatibilityLevel,
  type SchemaFormat,
  type SchemaRefusal,
} from '@millrace/log/schemas'
import { Option, type Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { EXIT_REFUSED } from '../exit-codes.ts'
import type { Run } from '../run-command.ts'

const levels = Object.keys(COMPATIBILITY_LEVELS) as CompatibilityLevel[]

/** `schemas`: compatibility of schemas. */
export function addSchemas(program: Command, run: Run): void {
  const group = program
    .command('schemas')
    .summary('how definitions changed, and what stays readable')
    .description('Shows whether events written under earlier schemas stay readable.')
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
