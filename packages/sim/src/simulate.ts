/**
 * Runs a scenario under many seeds and says how to replay the one that failed.
 *
 * The seeds are those of the caller and, always, those kept for this scenario in `seeds.json`
 * beside the test: `{"name of the scenario": [17, 4711]}`. A person adds a seed there when its
 * fault is repaired. Two variables of the environment steer a run from outside:
 * `MILLRACE_SIM_SEED=17` runs that seed alone (this is what the replay command sets), and
 * `MILLRACE_SIM_SEEDS=5000` replaces the number of seeds where the caller gave a number. The caller
 * passes the environment on.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createSimClock, type SimClock, type SimClockOptions } from './clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from './disk/disk.ts'
import { simErrors } from './errors.ts'
import { createSimProcess, type SimProcess } from './process.ts'
import { createSimRandom, type SimRandom } from './random.ts'

const TRACE_LINES_SHOWN = 12
const TRACE_LINES_MAX = 100_000

/** One simulated world: everything in it follows from the seed. */
export interface SimWorld {
  readonly seed: number
  readonly random: SimRandom
  readonly clock: SimClock
  readonly disk: SimDisk
  /** Notes what happened, with the virtual time; the last lines are shown when the scenario fails. */
  trace(...facts: readonly unknown[]): void
  /** The lines noted so far, at most the newest 100,000. */
  readonly traced: readonly string[]
  /** A hash over all lines ever noted: equal for two runs that did the same. */
  digest(): string
  /** Starts a process on the world's clock and disk. */
  startProcess(): SimProcess
}

/** What can be set for a world. */
export interface SimWorldOptions {
  readonly clock?: Omit<SimClockOptions, 'seed'>
  readonly disk?: Omit<SimDiskOptions, 'clock' | 'random'>
}

/** Creates the world of a seed. */
export function createSimWorld(seed: number, options: SimWorldOptions = {}): SimWorld {
  const random = createSimRandom(`world/${seed}`)
  const clock = createSimClock({ seed, ...options.clock })
  const disk = createSimDisk({ clock, random: random.fork('disk'), ...options.disk })
  const processes = random.fork('processes')
  const hash = createHash('sha256')
  const traced: string[] = []
  return {
    seed,
    random,
    clock,
    disk,
    traced,
    trace(...facts) {
      const text = facts.map(fact => (typeof fact === 'string' ? fact : JSON.stringify(fact)))
      const line = `${clock.monotonicMs().toFixed(3)} ${text.join(' ')}`
      hash.update(`${line}\n`)
      if (traced.push(line) > TRACE_LINES_MAX) traced.splice(0, TRACE_LINES_MAX / 2)
    },
    digest: () => hash.copy().digest('hex'),
    startProcess: () => createSimProcess({ clock, disk, random: processes }),
  }
}

/** What `simulate` runs. */
export interface Simulation extends SimWorldOptions {
  /** Name of the scenario: the key in `seeds.json`, and what the replay command asks for. Use it as the name of the test. */
  readonly name: string
  /** `import.meta.url` of the test file. */
  readonly file: string
  /** How many seeds, counted from 1, or which. */
  readonly seeds: number | readonly number[]
  /**
   * Pass `process.env`, so that the variables named above choose the seeds. It is a parameter as all
   * that comes from outside; without it they have no effect, and a failure says so.
   */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Runs in a world of its own for each seed, driven by its clock; rejects or throws when something is wrong. */
  readonly scenario: (world: SimWorld) => Promise<void>
  /** Virtual time that a run may take. Default one day. */
  readonly limitMs?: number
  /** Runs each seed twice and fails with SIM_DIVERGED when the traces differ. Default false. */
  readonly isReplayChecked?: boolean
}

/** What was run. */
export interface SimulationReport {
  readonly seeds: readonly number[]
  /** The digest of the trace of each seed. */
  readonly digests: readonly string[]
}

/** Runs a scenario under its seeds, one after the other. Fails with SIM_FAILED at the first seed that fails. */
export async function simulate(simulation: Simulation): Promise<SimulationReport> {
  const seeds = chooseSeeds(simulation)
  const digests: string[] = []
  for (const seed of seeds) {
    const world = await runSeed(simulation, seed)
    if (simulation.isReplayChecked === true) compare(world, await runSeed(simulation, seed))
    digests.push(world.digest())
  }
  return { seeds, digests }
}

async function runSeed(simulation: Simulation, seed: number): Promise<SimWorld> {
  const world = createSimWorld(seed, simulation)
  try {
    const { limitMs } = simulation
    await world.clock.drive(
      () => simulation.scenario(world),
      limitMs === undefined ? {} : { limitMs },
    )
    return world
  } catch (error) {
    throw simErrors.create(
      'SIM_FAILED',
      {
        scenario: simulation.name,
        seed,
        reason: error instanceof Error ? error.message : String(error),
        command:
          (simulation.environment === undefined ? 'pass `environment: process.env`, then ' : '') +
          replayCommand(simulation, seed),
        trace: world.traced
          .slice(-TRACE_LINES_SHOWN)
          .map(line => `  ${line}`)
          .join('\n'),
      },
      error,
    )
  }
}

function compare(first: SimWorld, second: SimWorld): void {
  if (first.digest() === second.digest()) return
  const step = first.traced.findIndex((line, index) => line !== second.traced[index])
  throw simErrors.create('SIM_DIVERGED', {
    seed: first.seed,
    step: step < 0 ? first.traced.length : step,
    first: first.traced[step] ?? 'the end',
    second: second.traced[step < 0 ? first.traced.length : step] ?? 'the end',
  })
}

/** The command that runs one seed of a scenario again, to be typed in the working directory. */
export function replayCommand(simulation: { name: string; file: string }, seed: number): string {
  const path = relative(process.cwd(), fileURLToPath(simulation.file))
  const pattern = simulation.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const quoted = `'${pattern.replaceAll("'", `'\\''`)}'`
  return `MILLRACE_SIM_SEED=${seed} node --test --test-name-pattern=${quoted} ${path}`
}

/** The seeds that `simulate` runs: those of the caller, those kept beside the test, or what the environment says. */
export function chooseSeeds(
  simulation: Pick<Simulation, 'name' | 'file' | 'seeds' | 'environment'>,
): readonly number[] {
  const { environment = {} } = simulation
  const only = wholeNumber(environment, 'MILLRACE_SIM_SEED')
  if (only !== undefined) return [only]
  const kept = readKeptSeeds(simulation)
  const { seeds } = simulation
  if (typeof seeds !== 'number') return [...new Set([...kept, ...seeds])]
  const count = wholeNumber(environment, 'MILLRACE_SIM_SEEDS') ?? seeds
  return [...new Set([...kept, ...Array.from({ length: count }, (_, index) => index + 1)])]
}

function readKeptSeeds(simulation: Pick<Simulation, 'name' | 'file'>): readonly number[] {
  const path = new URL('seeds.json', simulation.file)
  if (!existsSync(path)) return []
  const kept: unknown = JSON.parse(readFileSync(path, 'utf8'))
  const seeds = (kept as Readonly<Record<string, unknown>> | null)?.[simulation.name] ?? []
  if (isListOfSeeds(seeds)) return seeds
  throw simErrors.create('SIM_OPTION_INVALID', {
    option: `seeds.json: ${simulation.name}`,
    reason: 'it must be a list of whole numbers',
  })
}

function isListOfSeeds(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(seed => Number.isSafeInteger(seed))
}

function wholeNumber(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
): number | undefined {
  const text = environment[name]
  if (text === undefined || text === '') return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw simErrors.create('SIM_OPTION_INVALID', {
    option: name,
    reason: 'it must be a whole number',
  })
}
