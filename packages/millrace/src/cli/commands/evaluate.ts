/** `evaluate`: how good the lists are that a training on one file gives for another. */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { evaluate, type Evaluation, type Measured } from '../../evaluate/evaluate.ts'
import type { EventFormat } from '../../evaluate/read.ts'
import { openKernelThreads } from '../../wiring/kernel-threads.ts'
import type { CommandContext } from '../context.ts'
import { cliErrors } from '../errors.ts'
import { bytes, count, table } from '../output.ts'
import type { Run } from '../run-command.ts'

interface EvaluateCliOptions {
  readonly format: EventFormat
  readonly train: string
  readonly test: string
  readonly k: string
  readonly seed: string
  readonly threads?: string
  readonly fast?: boolean
}

const HELP = `
Examples:
  millrace evaluate --format lightgcn --train train.txt.gz --test test.txt.gz
  millrace evaluate --format csv --train train.csv --test test.csv --k 10,20 --json
`
/** Lists longer than this are no recommendations. */
const K_MAX = 1000

/** Registers `evaluate`. */
export function addEvaluate(program: Command, run: Run): void {
  program
    .command('evaluate')
    .summary('train on one file of events, measure the lists on another')
    .description(
      'Trains retrieval models on the events of one file and measures the lists of all unseen items on those of another, beside popularity and item-to-item. Families, settings and the blend are chosen by a validation split inside the training file, in time where it has times; the test file is never looked at before. Nothing is written.',
    )
    .addOption(
      new Option('--format <format>', 'lightgcn: a person and the items on a line; csv: columns person, item, and at, weight if there are') // prettier-ignore
        .choices(['lightgcn', 'csv'])
        .makeOptionMandatory(),
    )
    .requiredOption('--train <file>', 'events to learn from, plain or gzip')
    .requiredOption('--test <file>', 'events to predict, plain or gzip')
    .option('--k <lengths>', 'lengths of lists, separated by commas', '10,20')
    .option('--fast', 'try less: a fraction of the time')
    .option('--seed <number>', 'of the validation split and of random starts', '1')
    .option('--threads <number>', 'threads that compute; default: one for each core')
    .addHelpText('after', HELP)
    .action(run<[EvaluateCliOptions]>(evaluateFiles))
}

async function evaluateFiles(context: CommandContext, options: EvaluateCliOptions): Promise<void> {
  const { clock, cwd, output } = context
  const ks = options.k.split(',').map(part => whole('--k', part, K_MAX))
  const seed = whole('--seed', options.seed, 2 ** 31 - 1)
  const asked = options.threads ?? String(availableParallelism())
  const threads = await openKernelThreads(whole('--threads', asked, 64))
  let found: Evaluation
  try {
    found = await evaluate({
      format: options.format,
      train: resolve(cwd, options.train),
      test: resolve(cwd, options.test),
      ks,
      seed,
      isFast: options.fast === true,
      clock,
      threads,
      ...(output.terminal.isInteractive ? { onProgress: output.note } : {}),
    })
  } finally {
    await threads.close()
  }
  const { report } = found
  const peakMemoryBytes = process.resourceUsage().maxRSS * 1024
  const trainSeconds = report.chooseSeconds + report.fitSeconds
  output.result(
    {
      ...found.all.measures,
      trainSeconds,
      chooseSeconds: report.chooseSeconds,
      fitSeconds: report.fitSeconds,
      scoreSeconds: found.scoreSeconds,
      readSeconds: found.readSeconds,
      peakMemoryBytes,
      threads: threads.count,
      kernels: threads.build,
      isOrdered: found.isOrdered,
      sizes: found.sizes,
      intervals: found.all.intervals,
      baselines: found.baselines,
      slices: found.slices,
      settings: { seed, isFast: options.fast === true, ...report },
    },
    text(found, { ks, trainSeconds, peakMemoryBytes }),
  )
}

function text(
  { all, baselines, sizes, report, scoreSeconds }: Evaluation,
  {
    ks,
    trainSeconds,
    peakMemoryBytes,
  }: {
    readonly ks: readonly number[]
    readonly trainSeconds: number
    readonly peakMemoryBytes: number
  },
): string {
  const columns = ks.flatMap(k => [`recall@${k}`, `ndcg@${k}`])
  const row = (name: string, { measures }: Measured): string[] => [
    name,
    ...columns.map(column => (measures[column] ?? 0).toFixed(4)),
  ]
  const lines = [row('chosen', all), ...Object.entries(baselines).map(([name, one]) => row(name, one))] // prettier-ignore
  const blend = report.blend.map(({ family, weight }) => `${weight.toPrecision(2)} ${family}`)
  return [
    table([['', ...columns], ...lines], 100),
    `Chosen: ${blend.join(' + ')}, on what ${count(report.validation.people)} people did ` +
      `(${report.validation.split}), by ${report.trials.length} trials.`,
    `${count(sizes['trainEvents'] ?? 0)} events to learn from, ${count(sizes['testPeople'] ?? 0)} people measured; ` +
      `trained in ${trainSeconds.toFixed(1)} s, lists in ${scoreSeconds.toFixed(1)} s, ${bytes(peakMemoryBytes)} of memory at most.`,
  ].join('\n')
}

function whole(option: string, value: string, max: number): number {
  const number = Number(value)
  if (value.trim() !== '' && Number.isInteger(number) && number >= 1 && number <= max) return number
  throw cliErrors.create('CLI_USAGE', {
    reason: `${option} ${value} is no whole number from 1 to ${max}.`,
    next: 'See: millrace evaluate --help',
  })
}
