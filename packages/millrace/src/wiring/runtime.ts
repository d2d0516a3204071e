/** Puts the house together: log, folds and modules of one app over one set of backends. */
import {
  createIdSource,
  type App,
  type Clock,
  type Logger,
  type Position,
  type Random,
} from '@millrace/core'
import type { ProductModule } from '@millrace/product'
import { openStreams, type Streams } from '@millrace/streams'
import type { Limits } from '../config.ts'
import { createIngest, type Ingest } from '../ingest/ingest.ts'
import { openBackends, type Backends } from './backends.ts'
import {
  closeModules,
  foldsOf,
  openModules,
  orderModules,
  streamsOf,
  type OpenedModule,
} from './modules.ts'

/** An app over its backends, running. */
export interface Runtime {
  readonly backends: Backends
  readonly streams: Streams
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
  readonly limits: Limits
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Opens an app; what was opened is closed again when a later part refuses. */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { app, clock, random, logger, limits } = options
  const declared = orderModules([...((app.options.modules ?? []) as readonly ProductModule[])])
  const backends = await openBackends(options)
  const { log, snapshots, identity } = backends
  const newId = createIdSource({ clock, random })
  let streams: Streams | undefined
  try {
    await log.declare(streamsOf(app, declared))
    streams = await openStreams({ log, snapshots, clock, logger, folds: foldsOf(app, declared) })
    const running = streams
    const modules = await openModules(declared, {
      app,
      log,
      streams,
      clock,
      random,
      logger,
      newId,
      secret: identity.secret,
    })
    return {
      backends,
      streams,
      modules,
      newId,
      ingest: createIngest({ app, log, clock, newId, limits }),
      reflected: () => running.reflected(),
      async close() {
        await closeModules(modules, logger)
        await running.close()
        await backends.close()
      },
    }
  } catch (error) {
    await streams?.close()
    await backends.close()
    throw error
  }
}
