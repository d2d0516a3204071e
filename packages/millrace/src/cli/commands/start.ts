import { relative } from 'node:path'
import type { App } from '@millrace/core'
import { Option, type Command } from 'commander'
import { openMillrace } from '../../millrace.ts'
import { createLogger } from '../../wiring/logger.ts'
import { readConfig } from '../../config.ts'
import { appOf } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { count } from '../output.ts'
import type { Run } from '../run-command.ts'

/** `start`: the server. */
export function addStart(program: Command, run: Run): void {
  program
    .command('start')
    .summary('serve the product over HTTP until it is stopped')
    .addOption(new Option('--again').hideHelp())
    .description(
      'Opens the data directory and serves the product on 127.0.0.1 until it is stopped.',
    )
    .action(run<[{ again?: boolean }]>(start))
}

async function start(
  context: CommandContext,
  { again: isAgain }: { again?: boolean },
): Promise<void> {
  const { app, file } = await appOf(context)
  const { data, clock, random, output, environment } = context
  const config = readConfig({}, environment)
  const level =
    config.logLevel === 'info' && output.terminal.isInteractive ? 'warn' : config.logLevel
  const millrace = await openMillrace({
    app,
    ...(file === undefined ? {} : { appFile: file }),
    data,
    clock,
    random,
    logger: createLogger(level),
  })
  try {
    const { url, port } = await millrace.listen({ host: config.host, port: context.port.number })
    const own = new Set(app.streams.map(({ name }) => name))
    const records = millrace.log
      .stats()
      .streams.filter(({ stream }) => own.has(stream))
      .flatMap(({ partitions }) => partitions)
      .reduce((sum, { start: first, end }) => sum + end - first, 0)
    output.result(
      { url, port, pid: process.pid, app: app.name, data, records },
      isAgain === true
        ? `${app.name} answers at ${url}`
        : [
            `${app.name} answers at ${url}`,
            `  definition  ${file === undefined ? 'built in' : shortPath(context.cwd, file)}`,
            `  data        ${data === 'memory' ? 'in memory, kept until it stops' : shortPath(context.cwd, data)}, ${count(records)} records`,
            `  documents   ${url}/docs`,
            '',
            'Try next, in another terminal:',
            ...suggestions(app, context).map(line => `  ${line}`),
            '',
            'Ctrl+C stops it; nothing that was acknowledged is lost.',
          ].join('\n'),
    )
    await context.stopped()
    if (isAgain !== true) output.note('Stopping: finishing what is in flight ...')
  } finally {
    await millrace.close()
  }
}

/** A path as the user would write it. */
export function shortPath(cwd: string, path: string): string {
  const short = relative(cwd, path)
  return short === '' ? '.' : short.startsWith('..') ? path : short
}

/** Commands that make sense for this app; `person` is one that it knows. */
export function suggestions(app: App, context: CommandContext, person = '1'): readonly string[] {
  const data = context.options.data === undefined ? '' : ` --data ${context.options.data}`
  const lines: string[] = []
  const event = app.options.events[0]
  if (event !== undefined) {
    const fields = Object.entries(event.fields).filter(([, field]) => !field.isOptional)
    const example = fields.map(([name, field]) => `${name}=${exampleOf(field.schema)}`)
    lines.push(`npx millrace track ${event.name} ${example.join(' ')}${data}`)
  }
  const surface = Object.keys(app.options.surfaces ?? {})[0]
  if (surface !== undefined)
    lines.push(`npx millrace recommend --surface ${surface} --person ${person} --explain${data}`)
  lines.push(`npx millrace log stats${data}`)
  return lines
}

function exampleOf(schema: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(schema['enum'])) return String(schema['enum'][0])
  if (schema['type'] === 'integer' || schema['type'] === 'number') return '1'
  if (schema['type'] === 'boolean') return 'true'
  if (schema['type'] === 'array') return "'[]'"
  return '1'
}
