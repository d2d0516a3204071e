/** `import export`: what `export` wrote, back into a log. */
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { createIdSource, silentLogger, type App } from '@millrace/core'
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { assertImportable, checkFiles, importExport, readContents, type ExportContents, type ImportedExport } from '../../export/index.ts' // prettier-ignore
import { recordAct } from '../../http/security/audit.ts'
import { openBackends, type Backends } from '../../wiring/backends.ts'
import { planHouse } from '../../wiring/house.ts'
import { modulesOf, orderModules } from '../../wiring/modules.ts'
import { openRuntime } from '../../wiring/runtime.ts'
import { catchUp } from '../catch-up.ts'
import { appOf } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count } from '../output.ts'
import { createProgress, type Progress } from '../progress.ts'
import type { Run } from '../run-command.ts'

/** Registers `import export`. */
export function addImportExport(group: Command, run: Run): void {
  group
    .command('export')
    .summary('all that `millrace export --personal` wrote, into an empty log')
    .description(
      'Appends what an export holds to a data directory or database that holds nothing, and folds ' +
        'it. Interrupted, it goes on when it is run again.',
    )
    .argument('<folder>', 'the folder of the export')
    .action(run<[string]>(importFolder))
}

async function importFolder(context: CommandContext, path: string): Promise<void> {
  const { clock, output, data, environment, random } = context
  const { limits, database } = readConfig({}, environment)
  if (data === 'memory' && database === '') {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'What is imported into memory is gone when the command ends.',
      next: 'Name a data directory with --data.',
    })
  }
  const folder = resolve(context.cwd, path)
  const contents = readContents(folder)
  const { app } = await appOf(context)
  assertImportable({ folder, contents, app: app.name })
  const progress = createProgress(output, clock)
  let imported: ImportedExport
  try {
    await check(folder, contents, progress)
    if (database === '') mkdirSync(data, { recursive: true, mode: 0o700 })
    const options = { app, data, database, limits, clock, random, logger: silentLogger }
    const backends = await openBackends(options)
    try {
      imported = await append(context, { app, folder, contents, backends, progress })
    } finally {
      await backends.close()
    }
    const runtime = await openRuntime(options)
    try {
      await catchUp(runtime, context, progress)
    } finally {
      await runtime.close()
    }
  } finally {
    progress.end()
  }
  const { appended, before, emitted } = imported
  const earlier = before === 0 ? '' : `, ${count(before)} were there`
  output.result(
    { folder, app: contents.app, ...imported },
    `Imported ${count(appended)} records${earlier}; folds emitted ${count(emitted)} again.`,
  )
}

async function check(folder: string, contents: ExportContents, progress: Progress): Promise<void> {
  const total = contents.files.reduce((sum, file) => sum + file.bytes, 0)
  let done = 0
  progress.begin('Checking', 'bytes')
  await checkFiles(folder, contents, read => {
    done += read
    progress.update(done, total)
  })
  progress.end()
}

async function append(
  { clock, random }: CommandContext,
  work: {
    readonly app: App
    readonly folder: string
    readonly contents: ExportContents
    readonly backends: Backends
    readonly progress: Progress
  },
): Promise<ImportedExport> {
  const { app, folder, contents, progress, backends } = work
  const { log } = backends
  progress.begin('Appending', 'rows')
  const imported = await importExport({
    folder,
    contents,
    log,
    clock,
    app: app.name,
    streams: planHouse(app, orderModules(modulesOf(app))).streams,
    onProgress: ({ done, total }) => progress.update(done, total),
  })
  progress.end()
  // Afterwards: until it is whole, the log holds nothing but the export, which is how it goes on.
  const ports = { log, clock, newId: createIdSource({ clock, random }) }
  await recordAct(ports, 'importExport', { position: contents.position }, async () => undefined)
  return imported
}
