/** The modules over a log in memory, for tests: what the server wires, without a server. */
import {
  createIdSource,
  createSeededRandom,
  silentLogger,
  systemClock,
  type App,
  type Clock,
  type Position,
  type Random,
} from '@millrace/core'
import { compileFeatures } from '@millrace/features'
import type { EventLog, NewEvent } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import type { SnapshotStore } from '@millrace/store'
import { createMemorySnapshotStore } from '@millrace/store/memory'
import {
  compileViews,
  openStreams,
  personEvents,
  tableFoldName,
  type FoldDefinition,
  type Streams,
} from '@millrace/streams'

import { createCatalogue, type Catalogue } from '../catalogue/index.ts'
import { createChecks } from '../checks/index.ts'
import { createChangesets, type Changesets } from '../changesets/index.ts'
import { createFeatures } from '../features/index.ts'
import { createIdentity } from '../identity/index.ts'
import type { ModuleContext, ModuleInstance, ProductModule, RouteDefinition } from '../module.ts'
import { createPeople, type People } from '../people/index.ts'
import { createRecommendations, type Recommendations } from '../recommendations/index.ts'

/** A clock whose time stands still until it is set; its timers are the machine's. */
export interface TestClock extends Clock {
  timeMs: number
}

/** Creates a clock at `timeMs`. */
export function createTestClock(timeMs: number): TestClock {
  const clock: TestClock = {
    timeMs,
    nowMs: () => clock.timeMs,
    monotonicMs: () => clock.timeMs,
    after: (delayMs, task) => systemClock.after(delayMs, task),
    soon: task => systemClock.soon(task),
  }
  return clock
}

/** The product, opened. */
export interface TestProduct {
  readonly app: App
  readonly log: EventLog
  readonly streams: Streams
  readonly clock: TestClock
  readonly catalogue: Catalogue
  readonly people: People
  readonly changesets: Changesets
  readonly recommendations: Recommendations
  readonly routes: readonly RouteDefinition[]
  readonly modules: ReadonlyMap<string, ModuleInstance>
  /** Appends events of the app, as ingest does; resolves with their position. */
  track(events: readonly TrackedEvent[]): Promise<Position>
  /** Waits until all folds have what is durable now, and lets cached lists be made anew. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** An event to track. */
export interface TrackedEvent {
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  readonly atMs?: number
  readonly id?: string
  readonly isHistory?: boolean
}

/** The folds of an app, as the server plans them. */
export function testFolds(
  app: App,
  modules: readonly ProductModule[] = [createCatalogue(), createRecommendations(), createPeople()],
): readonly FoldDefinition[] {
  const { folds, rekeyed } = compileFeatures(app)
  const { partitions, latenessMs } = app
  const rekeying = compileViews({ views: {}, partitions, latenessMs, tableKinds: [], rekeyed })
  return [...rekeying.folds, ...folds, ...modules.flatMap(module => module.folds?.(app) ?? [])]
}

/** Opens the modules of the product over memory. */
export async function openTestProduct(
  app: App,
  options: {
    random?: Random
    clock?: TestClock
    log?: EventLog
    snapshots?: SnapshotStore
  } = {},
): Promise<TestProduct> {
  const clock = options.clock ?? createTestClock(1_800_000_000_000)
  const random = options.random ?? createSeededRandom(1)
  const log = options.log ?? openMemoryLog({ clock })
  const declared: readonly ProductModule[] = [
    createCatalogue(),
    createFeatures(),
    createRecommendations(),
    createPeople(),
    createChangesets(),
    createIdentity(),
    createChecks(),
  ]
  const features = compileFeatures(app)
  const rekeying = compileViews({
    views: {},
    partitions: app.partitions,
    latenessMs: app.latenessMs,
    tableKinds: [],
    rekeyed: features.rekeyed,
  })
  await log.declare([
    ...rekeying.streams,
    ...app.streams,
    ...[...app.tables.keys()].map(name => ({ name, partitions: app.partitions })),
    ...declared.flatMap(module => module.streams?.(app) ?? []),
  ])
  const kinds = (app.options.items ?? []).map(({ name }) => name)
  const streams = await openStreams({
    log,
    snapshots: options.snapshots ?? createMemorySnapshotStore(),
    clock,
    logger: silentLogger,
    folds: testFolds(app, declared),
    tables: Object.fromEntries(kinds.map(kind => [kind, tableFoldName(kind)])),
    people: personEvents([...app.events.values()].map(({ definition }) => definition)),
  })
  const newId = createIdSource({ clock, random: createSeededRandom(2) })
  const modules = new Map<string, ModuleInstance>()
  const context: ModuleContext = {
    app,
    log,
    streams,
    clock,
    random,
    logger: silentLogger,
    newId,
    secret: new Uint8Array(32).fill(7),
    modules,
  }
  try {
    for (const module of declared) modules.set(module.name, await module.open(context))
  } catch (error) {
    await streams.close()
    throw error
  }
  return {
    app,
    log,
    streams,
    clock,
    catalogue: modules.get('catalogue')?.api as Catalogue,
    people: modules.get('people')?.api as People,
    changesets: modules.get('changesets')?.api as Changesets,
    recommendations: modules.get('recommendations')?.api as Recommendations,
    routes: [...modules.values()].flatMap(module => module.routes),
    modules,
    async track(events) {
      const records = events.map(event => toRecord(app, event, clock, newId))
      return (await log.commit({ events: records })).position
    },
    async settle() {
      await streams.reached({ position: new Map(log.ends()), timeoutMs: 60_000 })
      clock.timeMs += 1_000
    },
    async close() {
      for (const module of [...modules.values()].reverse()) await module.close?.()
      await streams.close()
      await log.close()
    },
  }
}

function toRecord(app: App, event: TrackedEvent, clock: Clock, newId: () => string): NewEvent {
  const admitted = app.admit({ type: event.type, data: event.data })
  if (!admitted.ok) throw new Error(JSON.stringify(admitted.issues))
  return {
    stream: admitted.event.definition.stream,
    type: event.type,
    key: admitted.key,
    id: event.id ?? newId(),
    eventTimeMs: event.atMs ?? clock.nowMs(),
    data: admitted.data,
    definition: app.fingerprint,
    ...(event.isHistory === undefined ? {} : { isHistory: event.isHistory }),
  }
}
