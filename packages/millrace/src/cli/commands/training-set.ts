/** `features training-set`: rows as they were known, in a Parquet file. */
import { resolve } from 'node:path'
import { compileFeatures } from '@millrace/features'
import { makeTrainingSet, type Manifest } from '@millrace/features/training'
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { openBeside } from '../../wiring/backends.ts'
import { openTrainingThreads } from '../../wiring/training-threads.ts'
import { appOf } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { count } from '../output.ts'
import { createProgress } from '../progress.ts'
import type { Run } from '../run-command.ts'

interface TrainingSetOptions {
  readonly to: string
  readonly observations?: string
  readonly threads: string
  readonly memory: string
}

const MIB = 1024 * 1024

/** Registers `features training-set`. */
export function addTrainingSet(group: Command, run: Run): void {
  group
    .command('training-set')
    .summary('rows of features as they were known, with their labels, as Parquet')
    .description(
      'Makes a training set that the app declares: each row has the features as they were known at ' +
        'its moment, by the code that serves them, and the label that came of it. Reads the log beside ' +
        'a running server, or the data directory. A manifest is written beside the file. Killed at any ' +
        'moment it leaves no half of a file; run again it goes on.',
    )
    .argument('<name>', 'one of `trainingSets` of the app definition')
    .requiredOption('--to <file>', 'the file to write, .parquet')
    .option(
      '--observations <file>',
      'CSV or Parquet with a column for each entity, `time` and perhaps `label`, instead of events',
    )
    .option('--threads <number>', 'threads that fold', '2')
    .option('--memory <MiB>', 'memory that sorting and joining may take, in all', '2048')
    .action(run<[string, TrainingSetOptions]>(makeSet))
}

async function makeSet(
  context: CommandContext,
  name: string,
  options: TrainingSetOptions,
): Promise<void> {
  const { data, clock, cwd, environment } = context
  const { app, file: appFile } = await appOf(context)
  if (data === 'memory' || appFile === undefined) {
    throw cliErrors.create('CLI_USAGE', {
      reason: 'A training set is made of a data directory, by an app definition in a file.',
      next: 'Name them with --data and --app.',
    })
  }
  const threads = wholeOf('--threads', options.threads, 64)
  const { database } = readConfig({}, environment)
  const beside = await openBeside({ app, data, database, clock })
  const ends = new Map(beside.log.ends())
  await beside.close()
  const pool = openTrainingThreads({ appFile, data, database }, threads)
  const progress = createProgress(context.output, clock)
  progress.begin('Making', 'rows')
  const startMs = clock.monotonicMs()
  let manifest: Manifest
  try {
    manifest = await makeTrainingSet(
      { run: job => pool.run(job), threads, ends, features: compileFeatures(app) },
      {
        app,
        trainingSet: name,
        file: resolve(cwd, options.to),
        ...(options.observations === undefined ? {} : { observations: resolve(cwd, options.observations) }), // prettier-ignore
        memoryBytesMax: wholeOf('--memory', options.memory, 1_048_576) * MIB,
        nowMs: clock.nowMs(),
        onProgress: ({ done, total }) => progress.update(done, total),
      },
    )
  } finally {
    progress.end()
    await pool.close()
  }
  const seconds = (clock.monotonicMs() - startMs) / 1000
  const { rows, observations } = manifest
  const left = [
    observations.immature > 0 ? `${count(observations.immature)} too young for a label` : '',
    observations.withoutEntity > 0 ? `${count(observations.withoutEntity)} without an entity` : '',
  ].filter(text => text !== '')
  const learnt = manifest.fitted === undefined ? '' : `\nWhat the steps have learnt is in ${options.to}.fitted.json: give it to the service as \`fitted\`.` // prettier-ignore
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  context.output.result(
    {
      ...manifest,
      seconds,
      cpuMs: (userCPUTime + systemCPUTime) / 1000,
      memoryBytesMax: maxRSS * 1024,
    },
    `Wrote ${count(rows)} rows of ${Object.keys(manifest.features).length} features to ${options.to}` +
      `${left.length === 0 ? '' : ` (left out: ${left.join(', ')})`}; ${options.to}.json says what they are made of.${learnt}`,
  )
}

function wholeOf(option: string, value: string, max: number): number {
  const number = Number(value)
  if (Number.isInteger(number) && number >= 1 && number <= max) return number
  throw cliErrors.create('CLI_USAGE', {
    reason: `${option} ${value} is no whole number from 1 to ${max}.`,
    next: `Write ${option} with a number from 1 to ${max}.`,
  })
}
