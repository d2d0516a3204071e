import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isError, silentLogger, type App } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openNodeDisk } from '@millrace/log/disk'
import { Option, type Command } from 'commander'
import { readConfig } from '../../config.ts'
import {
  IMPORT_LIMITS,
  TIME_FORMATS,
  builtInApp,
  createLogSink,
  importErrors,
  listSources,
  movielensInputs,
  planFile,
  readTimeText,
  runImport,
  type FileOptions,
  type ImportReport,
  type ImportSink,
  type MappedInput,
  type TimeFormat,
} from '../../import/index.ts'
import { openBackends, openBeside } from '../../wiring/backends.ts'
import { planHouse } from '../../wiring/house.ts'
import { modulesOf, orderModules } from '../../wiring/modules.ts'
import { openRuntime } from '../../wiring/runtime.ts'
import { appOf, findServer, type Server } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { EXIT_PARTIAL } from '../exit-codes.ts'
import { catchUp } from '../catch-up.ts'
import { createCollector } from '../garbage.ts'
import { createHttpSink } from '../http-sink.ts'
import { describePlan, describeReport, reportJson } from '../import-report.ts'
import { createProgress, type Progress } from '../progress.ts'
import type { Run } from '../run-command.ts'
import { addImportExport } from './import-export.ts'

type Format = 'movielens' | 'csv' | 'jsonl'

interface ImportOptions {
  readonly map?: string
  readonly event?: string
  readonly items?: string
  readonly at?: string
  readonly timeFormat?: string
  readonly listSeparator?: string
  readonly delimiter?: string
  readonly header?: boolean
  readonly quotes?: boolean
  readonly latin1?: boolean
  readonly decimalComma?: boolean
  readonly dryRun?: boolean
  readonly check?: boolean
}

const CSV_HELP = `
Columns are named by their header or numbered from 1. Without --map they are
guessed from their names, and the guess is shown. Examples:
  millrace import csv clicks.csv.gz --map person=userId,item=movieId,at=timestamp
  millrace import csv courses.csv --items course --map id=course_id,title=course_title
  millrace import csv news.tsv --no-header --items item --map id=1,title=4,topics=2
With --dry-run the first event that comes of the rows is shown, and nothing appended.
`
const JSONL_HELP = `
Lines {"type": ..., "at": ..., "data": {...}} are events as they are. Any other
objects are mapped; members of members are written a.b. Example:
  millrace import jsonl log.jsonl --event watched --map viewer=user.id,clip=clip,at=ts
`

/** `import`: history from files. */
export function addImport(program: Command, run: Run): void {
  const group = program
    .command('import')
    .summary('history from files: MovieLens, CSV, JSON Lines, an export')
    .description(
      'Imports history: sorted by event time whatever the order of the file, repeatable, resumable. ' +
        'Files may be packed by gzip or zip. Rows that do not fit are named, counted and written to a file.',
    )
  group
    .command('movielens')
    .summary('a MovieLens data set, as GroupLens publishes it')
    .description(
      'Imports a folder or zip archive of MovieLens: ratings, movies, users, tags, links.',
    )
    .argument('<path>', 'folder or zip archive')
    .addOption(dryRunOption())
    .addOption(checkOption())
    .action(
      run<[string, ImportOptions]>((context, path, options) =>
        importFiles(context, 'movielens', path, options),
      ),
    )
  const csv = group
    .command('csv')
    .summary('a delimited file: commas, semicolons, tabs, pipes, ::')
    .description('Imports a delimited file into events or items of the app.')
    .argument('<path>', 'file, plain or packed')
    .option('--delimiter <text>', 'between cells; default: judged from the file')
    .option('--no-header', 'the first line is a row, not the names of the columns')
    .option('--no-quotes', 'a " is an ordinary character')
    .option('--latin1', 'the file is Windows-1252 or Latin-1, not UTF-8')
    .option('--decimal-comma', 'numbers are written 1.234,50')
  mappingOptions(csv)
    .addHelpText('after', CSV_HELP)
    .action(
      run<[string, ImportOptions]>((context, path, options) =>
        importFiles(context, 'csv', path, options, headerOf(csv)),
      ),
    )
  const jsonl = group
    .command('jsonl')
    .summary('a file with one JSON object a line')
    .description('Imports a file with one JSON object a line.')
    .argument('<path>', 'file, plain or packed')
  mappingOptions(jsonl)
    .addHelpText('after', JSONL_HELP)
    .action(
      run<[string, ImportOptions]>((context, path, options) =>
        importFiles(context, 'jsonl', path, options),
      ),
    )
  addImportExport(group, run)
}

const checkOption = (): Option =>
  new Option('--check', 'like --dry-run; the exit code is 3 when a check of the app fails')
const dryRunOption = (): Option =>
  new Option('--dry-run', 'read and map everything, show what would be appended, append nothing')

function mappingOptions(command: Command): Command {
  return command
    .option('--map <field=column,...>', 'which column fills which field; `at` is the time')
    .option('--event <name>', 'the rows are this event of the app')
    .option('--items <kind>', 'the rows are items of this kind, or `person`')
    .option('--at <time>', 'the time of all rows, when no column tells it')
    .option('--time-format <name>', Object.keys(TIME_FORMATS).join(', '))
    .option('--list-separator <text>', 'between the values of a list in a cell; default |')
    .addOption(dryRunOption())
    .addOption(checkOption())
}

/** Whether the user said something about the header: `--no-header` has a default of its own. */
function headerOf(command: Command): boolean | undefined {
  return command.getOptionValueSource('header') === 'cli' ? false : undefined
}

async function importFiles(
  context: CommandContext,
  format: Format,
  path: string,
  options: ImportOptions,
  hasHeader?: boolean,
): Promise<void> {
  const isDryRun = options.dryRun === true || options.check === true
  if (context.data === 'memory' && !isDryRun) {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'What is imported into memory is gone when the command ends.',
      next: 'Name a data directory with --data.',
    })
  }
  const fileOptions = readOptions(options, hasHeader)
  const app = await importApp(context, format)
  const plan = await planImport(app, format, resolve(context.cwd, path), fileOptions)
  context.output.note(describePlan(app, plan.inputs, plan.ignored, context.output.terminal.columns))
  const progress = createProgress(context.output, context.clock)
  const opening = isDryRun ? openNowhere(context, app) : openTarget(context, app, progress)
  const target = await opening
  const startMs = context.clock.monotonicMs()
  let seconds = 0
  let memoryBytesMax = 0
  const collect = createCollector()
  let report: ImportReport
  try {
    let phase = ''
    report = await runImport({
      app,
      inputs: plan.inputs.map(({ input }) => input),
      disk: openNodeDisk(target.work),
      sink: target.sink,
      clock: context.clock,
      limits: IMPORT_LIMITS,
      knownIds: kind => target.knownIds(kind),
      isDryRun,
      onProgress({ phase: now, done, total, rows }) {
        if (now !== phase)
          progress.begin(
            now === 'read' ? 'Reading' : 'Appending',
            now === 'read' ? 'bytes' : 'rows',
          )
        phase = now
        progress.update(done, total, rows)
        collect(now === 'read' ? rows : done)
      },
    })
    progress.end()
    seconds = (context.clock.monotonicMs() - startMs) / 1000
    memoryBytesMax = process.resourceUsage().maxRSS * 1024
    await target.settle()
  } finally {
    progress.end()
    await target.close()
  }
  const viewsSeconds = (context.clock.monotonicMs() - startMs) / 1000 - seconds
  if (report.refused > 0 || (options.check === true && isFailing(report))) context.exitWith(EXIT_PARTIAL) // prettier-ignore
  const facts = {
    app,
    report,
    seconds,
    viewsSeconds,
    memoryBytesMax,
    work: target.work,
    plan: plan.inputs,
    isDryRun,
  }
  context.output.result(reportJson(facts, context), describeReport(facts, context))
}

function isFailing({ checks }: ImportReport): boolean {
  return checks.some(({ state }) => state === 'failing')
}

/** `--app` or the app of the working directory, else what the directory holds, else a built-in one. */
async function importApp(context: CommandContext, format: Format): Promise<App> {
  try {
    return (await appOf(context)).app
  } catch (error) {
    if (!isError(error, 'CLI_APP_MISSING') || context.options.app !== undefined) throw error
    return builtInApp(format === 'movielens' ? 'movielens' : 'interactions') as App
  }
}

async function planImport(
  app: App,
  format: Format,
  path: string,
  options: FileOptions,
): Promise<{ readonly inputs: readonly MappedInput[]; readonly ignored: readonly string[] }> {
  const limits = IMPORT_LIMITS
  const { files, isSingle } = await listSources(path, limits)
  if (format === 'movielens') return movielensInputs(app, files, { path, limits })
  const [file, another] = files
  if (file === undefined || another !== undefined) {
    const names = files.slice(0, 10).map(({ label }) => label)
    throw importErrors.create('IMPORT_NOT_RECOGNISED', {
      path,
      reason:
        isSingle || file === undefined
          ? 'it holds no file'
          : `it holds several files: ${names.join(', ')}`,
      next: 'Name one file.',
    })
  }
  return { inputs: [await planFile({ app, file, format, options, limits })], ignored: [] }
}

function readOptions(options: ImportOptions, hasHeader: boolean | undefined): FileOptions {
  const refuse = (reason: string, next: string): never => {
    throw cliErrors.create('CLI_USAGE', { reason, next })
  }
  const { event, items, timeFormat } = options
  if (event !== undefined && items !== undefined) {
    refuse('--event and --items exclude each other.', 'A file holds events or items.')
  }
  if (timeFormat !== undefined && !Object.hasOwn(TIME_FORMATS, timeFormat)) {
    refuse(
      `${timeFormat} is no time format.`,
      `Use one of ${Object.keys(TIME_FORMATS).join(', ')}.`,
    )
  }
  return {
    ...(event === undefined ? {} : { target: { kind: 'event', name: event } }),
    ...(items === undefined ? {} : { target: { kind: 'items', name: items } }),
    ...(options.map === undefined ? {} : { map: readMap(options.map) }),
    ...(options.at === undefined ? {} : { atMs: readAt(options.at) }),
    ...(timeFormat === undefined ? {} : { timeFormat: timeFormat as TimeFormat }),
    ...(options.listSeparator === undefined ? {} : { listSeparator: options.listSeparator }),
    ...(options.delimiter === undefined ? {} : { delimiter: readDelimiter(options.delimiter) }),
    ...(hasHeader === undefined ? {} : { hasHeader }),
    ...(options.quotes === false ? { isQuoted: false } : {}),
    ...(options.latin1 === true ? { isLatin1: true } : {}),
    ...(options.decimalComma === true ? { hasDecimalComma: true } : {}),
  }
}

/** `field=column,field=column`; a column whose name holds a comma is numbered instead. */
export function readMap(text: string): Record<string, string> {
  const map = new Map<string, string>()
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    const field = part.slice(0, at).trim()
    const column = part.slice(at + 1).trim()
    if (at < 1 || column === '' || field === '') {
      throw cliErrors.create('CLI_USAGE', {
        reason: `${part === '' ? 'An empty part' : part} in --map is not field=column.`,
        next: 'Write --map person=userId,item=movieId,at=timestamp; columns also by number, from 1.',
      })
    }
    if (map.has(field)) {
      throw cliErrors.create('CLI_USAGE', {
        reason: `${field} is mapped twice in --map.`,
        next: 'Name each field once.',
      })
    }
    map.set(field, column)
  }
  // Any name may be a field here, `__proto__` too: what does not exist is refused by its name later.
  return Object.fromEntries(map)
}

function readAt(text: string): number {
  const atMs = readTimeText(text, /^\d+$/.test(text) ? 'ms' : 'iso')
  if (atMs !== undefined) return atMs
  throw cliErrors.create('CLI_USAGE', {
    reason: `--at ${text} is no time.`,
    next: 'Use milliseconds since 1970, or a date such as 2024-01-31T00:00:00Z.',
  })
}

function readDelimiter(text: string): string {
  const named: Readonly<Record<string, string>> = { tab: '\t', '\\t': '\t', comma: ',', space: ' ' }
  if (text === '') {
    throw cliErrors.create('CLI_USAGE', {
      reason: '--delimiter is empty.',
      next: 'Name what stands between cells: --delimiter comma, tab, space, ";" or any other text.',
    })
  }
  return named[text] ?? text
}

/** Where an import goes. */
interface Target {
  readonly sink: ImportSink
  /** Folder for sorted runs and refused rows. */
  readonly work: string
  /** Ids of the items of a kind that the log has. */
  knownIds(kind: string): Promise<ReadonlySet<string>>
  /** Resolves when the views reflect what was imported. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** Ids of the items of a kind that were ever put. */
async function idsOf(
  log: Pick<EventLog, 'read' | 'ends'>,
  kind: string,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  for (const [name, end] of log.ends()) {
    if (!name.startsWith(`${kind}/`)) continue
    const partition = Number(name.slice(kind.length + 1))
    for (let from = 0; from < end;) {
      const records = await log.read({ stream: kind, partition, from })
      if (records.length === 0) break
      for (const { type, key } of records) if (type === `${kind}.put`) ids.add(key)
      from += records.length
    }
  }
  return ids
}

/** The same beside whoever owns the log; none where there is no log yet. */
async function idsBeside(
  { data, clock, environment }: CommandContext,
  app: App,
  kind: string,
): Promise<ReadonlySet<string>> {
  const { database } = readConfig({}, environment)
  if (database === '' && (data === 'memory' || !existsSync(join(data, 'log')))) return new Set()
  const { log, close } = await openBeside({ app, data, database, clock })
  try {
    return await idsOf(log, kind)
  } finally {
    await close()
  }
}

/** A folder of its own, removed afterwards, and no log. */
async function openNowhere(context: CommandContext, app: App): Promise<Target> {
  const work = await mkdtemp(join(tmpdir(), 'millrace-dry-run-'))
  return {
    sink: { append: () => Promise.resolve([]) },
    work,
    knownIds: kind => idsBeside(context, app, kind),
    settle: () => Promise.resolve(),
    close: () => rm(work, { recursive: true, force: true }),
  }
}

async function openTarget(context: CommandContext, app: App, progress: Progress): Promise<Target> {
  const server = await findServer(context)
  return server === undefined ? openLocal(context, app, progress) : openRemote(context, app, server)
}

/**
 * Opens the log alone: the views are brought up to date afterwards, in one go, which leaves the
 * machine to reading and appending first and makes the progress of both plain.
 */
async function openLocal(context: CommandContext, app: App, progress: Progress): Promise<Target> {
  const { data, clock, random, environment } = context
  const { limits, database } = readConfig({}, environment)
  const options = { app, data, database, limits, clock, random, logger: silentLogger }
  const backends = await openBackends(options)
  let isOpen = true
  const close = async (): Promise<void> => {
    if (isOpen) await backends.close()
    isOpen = false
  }
  await backends.log.declare(planHouse(app, orderModules(modulesOf(app))).streams)
  return {
    sink: createLogSink({ log: backends.log, app, clock }),
    work: data,
    close,
    knownIds: kind => idsOf(backends.log, kind),
    async settle() {
      await close()
      const runtime = await openRuntime(options)
      try {
        await catchUp(runtime, context, progress)
      } finally {
        await runtime.close()
      }
    },
  }
}

async function openRemote(context: CommandContext, app: App, server: Server): Promise<Target> {
  const work = context.data === 'memory' ? join(tmpdir(), 'millrace') : context.data
  await mkdir(work, { recursive: true })
  context.output.note(`Through the server at ${server.url}.`)
  return {
    sink: createHttpSink(server, context.clock),
    work,
    knownIds: kind => idsBeside(context, app, kind),
    settle: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
