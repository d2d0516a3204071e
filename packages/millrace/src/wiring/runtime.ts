/** Puts the house together: log, folds and modules of one app over one set of backends. */
import { availableParallelism } from 'node:os'
import type { Checks } from '@millrace/product'
import {
  createIdSource,
  partitionOf,
  type App,
  type Clock,
  type Logger,
  type Position,
  type Random,
} from '@millrace/core'
import type { SchemaHistory } from '@millrace/log/schemas'
import {
  openStreams,
  personEvents,
  startTicker,
  type PersonEvent,
  type Streams,
} from '@millrace/streams'
import type { Limits } from '../config.ts'
import { createIngest, type Ingest } from '../ingest/ingest.ts'
import { personalTypes } from '../http/mask.ts'
import { buildThreads } from './build-threads.ts'
import { differencesIn } from './differences.ts'
import { openBackends, type Backends } from './backends.ts'
import { planHouse } from './house.ts'
import { admitDefinition } from './schemas.ts'
import { correctionCheck } from './correction-check.ts'
import { closeModules, modulesOf, openModules, orderModules, type OpenedModule } from './modules.ts'

/** An app over its backends, running. */
export interface Runtime {
  readonly backends: Backends
  readonly streams: Streams
  /** What the log remembers of its definitions, this one included. */
  readonly schemas: SchemaHistory
  readonly modules: readonly OpenedModule[]
  readonly ingest: Ingest
  readonly newId: () => string
  reflected(): Position
  /** Folds what is durable, then closes everything, in the reverse order of opening. */
  close(): Promise<void>
}

/** What a runtime is made from. */
export interface RuntimeOptions {
  readonly app: App
  readonly data: string
  readonly database?: string
  /** See `MillraceOptions`. */
  readonly appFile?: string
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const TICK_EVERY_MS = 1000
/** One core is left to those who wait for an answer. */
const BUILD_THREADS = Math.max(1, availableParallelism() - 1)

function peopleOf(app: App): readonly PersonEvent[] {
  return personEvents([...app.events.values()].map(({ definition }) => definition))
}

function checksOf(modules: readonly OpenedModule[]): Checks {
  return modules.find(({ module }) => module.name === 'checks')?.instance.api as Checks
}

/** Opens an app; what was opened is closed again when a later part refuses. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { app, clock, random, logger, limits } = options
  const declared = orderModules(modulesOf(app))
  const house = planHouse(app, declared)
  const opened = await openBackends(options)
  const { snapshots, identity, leases } = opened
  const newId = createIdSource({ clock, random })
  let streams: Streams | undefined
  try {
    const { log, schemas } = await admitDefinition(opened.log, app, clock)
    await log.declare(house.streams)
    const { folds, tables } = house
    const shared = leases === undefined ? {} : { leases }
    const owns = (partition: number): boolean =>
      leases === undefined || leases.tokenOf(partition) !== undefined
    const { data, database = '', appFile } = options
    streams = await openStreams({
      log,
      snapshots,
      clock,
      random,
      logger,
      folds,
      tables,
      definition: app.fingerprint,
      personalTypes: personalTypes(schemas),
      people: peopleOf(app),
      checkCorrection: correctionCheck(app),
      ...shared,
      differences: differencesIn(data, app),
      ...(appFile === undefined || data === 'memory'
        ? {}
        : { openBuilder: buildThreads({ appFile, data, database }, BUILD_THREADS) }),
    })
    const running = streams
    const { secret } = identity
    const leads = (name: string): boolean => owns(partitionOf(name, app.partitions))
    const privacy = opened.privacy(running)
    const ports = { app, log, clock, random, logger, newId }
    const modules = await openModules(declared, { ...ports, streams, secret, leads, privacy })
    const ticks = { streams: house.timedStreams, intervalMs: TICK_EVERY_MS, owns }
    const ticker = startTicker({ log, clock, logger, ...ticks })
    const backends = { ...opened, log }
    return {
      backends,
      streams,
      schemas,
      modules,
      newId,
      ingest: createIngest({ app, log, clock, newId, limits, checks: checksOf(modules) }),
      reflected: () => running.reflected(),
      async close() {
        await ticker.stop()
        await closeModules(modules, logger)
        await running.close()
        await backends.close()
      },
    }
  } catch (error) {
    await streams?.close()
    await opened.close()
    throw error
  }
}
