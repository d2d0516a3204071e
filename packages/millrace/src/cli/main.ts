/** The command line: `millrace <command>`. */
import { MessageChannel } from 'node:worker_threads'
import { isError, systemClock, systemRandom } from '@millrace/core'
import type { ProductModule } from '@millrace/product'
import { Command, CommanderError, Option } from 'commander'
import { processEnvironment } from '../config.ts'
import { VERSION } from '../version.ts'
import { standardModules } from '../wiring/modules.ts'
import { findAppFile, loadApp } from './app-file.ts'
import { addBackup } from './commands/backup.ts'
import { addBacktest } from './commands/backtest.ts'
import { addChecks } from './commands/checks.ts'
import { addChangeset } from './commands/changeset.ts'
import { addChanges } from './commands/changes.ts'
import { addData } from './commands/data.ts'
import { addCorrections } from './commands/corrections.ts'
import { addDeadLetters } from './commands/dead-letters.ts'
import { addDev } from './commands/dev.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEvaluate } from './commands/evaluate.ts'
import { addErase } from './commands/erase.ts'
import { addExport } from './commands/export.ts'
import { addFeatures } from './commands/features.ts'
import { addImport } from './commands/import.ts'
import { addInit } from './commands/init.ts'
import { addKeys } from './commands/keys.ts'
import { addLog } from './commands/log.ts'
import { addMove } from './commands/move.ts'
import { addModuleCommand } from './commands/module-commands.ts'
import { addRebuild } from './commands/rebuild.ts'
import { addReplay } from './commands/replay.ts'
import { addSchemas } from './commands/schemas.ts'
import { addStandby } from './commands/standby.ts'
import { addStart } from './commands/start.ts'
import { addTrack } from './commands/track.ts'
import { addView } from './commands/view.ts'
import { addWhatChanged } from './commands/what-changed.ts'
import { addWhatIf } from './commands/what-if.ts'
import { createContext, type CliPorts, type GlobalOptions } from './context.ts'
import { cliErrors } from './errors.ts'
import { EXIT_CODES, EXIT_OK, EXIT_USAGE, exitCodeOf } from './exit-codes.ts'
import { createOutput } from './output.ts'
import type { Run } from './run-command.ts'

/** Runs a command line on this process's terminal; resolves to the exit code. */
export async function main(words: readonly string[]): Promise<number> {
  // Timers of the clock do not keep a process alive; a command that waits must.
  const alive = new MessageChannel()
  alive.port1.ref()
  const exitCode = await runCommand(words, {
    terminal: {
      out: text => void process.stdout.write(text),
      err: text => void process.stderr.write(text),
      isInteractive: process.stderr.isTTY,
      columns: process.stdout.columns ?? 80,
    },
    cwd: process.cwd(),
    environment: processEnvironment,
    clock: systemClock,
    random: systemRandom,
    stopped: untilSignal,
    modules: standardModules(),
  })
  alive.port1.close()
  return exitCode
}

function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  return promise
}

/** Runs a command line; resolves to the exit code. Never throws. */
export async function runCommand(words: readonly string[], ports: CliPorts): Promise<number> {
  let exitCode = EXIT_OK
  const isJson = words.includes('--json')
  const run: Run =
    action =>
    async (...given) => {
      const command = given.at(-1) as Command
      const options = command.optsWithGlobals<GlobalOptions>()
      const output = createOutput(ports.terminal, options.json === true, options.verbose === true)
      try {
        const context = createContext(ports, options, output, code => (exitCode = code))
        await action(context, ...(given.slice(0, -1) as never))
      } catch (error) {
        exitCode = exitCodeOf(error)
        output.failure(error, exitCode)
      }
    }
  const modules = [...ports.modules, ...(await modulesOfApp(words, ports))]
  const program = createProgram({ ...ports, modules }, run, isJson)
  let at = program
  everyCommand(program, command =>
    command.exitOverride(error => {
      at = command
      throw error
    }),
  )
  try {
    await program.parseAsync([...words], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return EXIT_OK
    exitCode = EXIT_USAGE
    if (isJson) {
      const next = `See: ${pathOf(at)} --help`
      const failure = cliErrors.create('CLI_USAGE', { reason: usageReason(error, at), next })
      createOutput(ports.terminal, true, false).failure(failure, exitCode)
    }
  }
  return exitCode
}

/**
 * The modules of the app of the working directory, when the command is none of the known ones: a
 * team's own modules bring verbs too. An app that cannot be loaded has none; the commands that need
 * it say why.
 */
async function modulesOfApp(
  words: readonly string[],
  ports: CliPorts,
): Promise<readonly ProductModule[]> {
  const [first = ''] = words
  const program = createProgram(ports, () => async () => undefined, false)
  const isKnown = program.commands.some(command => command.name() === first)
  if (isKnown || !/^[a-z]/.test(first) || first === 'help') return []
  const at = words.indexOf('--app')
  try {
    const file = findAppFile(ports.cwd, at < 0 ? undefined : words[at + 1])
    const app = file === undefined ? undefined : await loadApp(file)
    return (app?.options.modules ?? []) as readonly ProductModule[]
  } catch (error) {
    if (!isError(error)) throw error
    return []
  }
}

/** The options that every command takes. */
const GLOBAL_OPTIONS: readonly Option[] = [
  new Option('--data <folder>', 'data directory; MILLRACE_DATA, or .millrace').helpGroup(
    'Everywhere:',
  ),
  new Option('--port <number>', 'port of the server; PORT, or 4321').helpGroup('Everywhere:'),
  new Option('--app <file>', 'app definition; default: app.ts of the folder').helpGroup(
    'Everywhere:',
  ),
  new Option('--json', 'print one JSON object and nothing else').helpGroup('Everywhere:'),
  new Option('--verbose', 'show where an error comes from').helpGroup('Everywhere:'),
]

/** All commands; also what the reference is made from. */
export function createProgram(ports: CliPorts, run: Run, isJson: boolean): Command {
  const program = new Command('millrace')
  program
    .description(
      'The backend of a personalised content product: event log, views, recommendations.',
    )
    .version(VERSION, '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureHelp({ helpWidth: Math.min(ports.terminal.columns, 100), showGlobalOptions: false })
    .addHelpText('after', exitCodeText())
  addInit(program, run)
  addDev(program, run)
  addStart(program, run)
  addImport(program, run)
  addTrack(program, run)
  for (const { commands } of ports.modules) {
    for (const definition of commands ?? []) addModuleCommand(program, definition, run)
  }
  addView(program, run)
  addChanges(program, run)
  addWhatChanged(program, run)
  addLog(program, run)
  addChangeset(program, run)
  addChecks(program, run)
  addDeadLetters(program, run)
  addCorrections(program, run)
  addErase(program, run)
  addFeatures(program, run)
  addRebuild(program, run)
  addReplay(program, run)
  addWhatIf(program, run)
  addBacktest(program, run)
  addEvaluate(program, run)
  addKeys(program, run)
  addSchemas(program, run)
  addMove(program, run)
  addBackup(program, run)
  addStandby(program, run)
  addExport(program, run)
  addData(program, run)
  addDoctor(program, run)
  everyCommand(program, command => {
    command.configureOutput({
      writeOut: text => ports.terminal.out(text),
      writeErr: text => (isJson ? undefined : ports.terminal.err(text)),
    })
    if (command !== program && command.commands.length === 0) {
      for (const option of GLOBAL_OPTIONS) command.addOption(option)
    }
    command.showHelpAfterError(`See: ${pathOf(command)} --help`)
  })
  return program
}

function everyCommand(command: Command, visit: (command: Command) => void): void {
  visit(command)
  for (const child of command.commands) everyCommand(child, visit)
}

/** The words that call a command: `millrace log tail`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

/** A group without a command takes no options, and commander would complain of `--json` first. */
function usageReason(error: CommanderError, at: Command): string {
  const names = at.commands.map(command => command.name())
  return names.length > 0 && error.code !== 'commander.unknownCommand'
    ? `A command is missing: ${names.join(', ')}.`
    : error.message.replace(/^error: /, '')
}

function exitCodeText(): string {
  const rows = EXIT_CODES.map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`)
  return `\nExit codes:\n${rows.join('\n')}\n`
}
