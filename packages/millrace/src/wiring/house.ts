/** What an app runs: the streams to declare, the folds of its views and modules, its tables. */
import { createHash } from 'node:crypto'
import type { App } from '@millrace/core'
import { compileFeatures } from '@millrace/features'
import type { StreamSpec } from '@millrace/log'
import { planChecks, type ProductModule } from '@millrace/product'
import { compileViews, viewFoldName, type FoldDefinition } from '@millrace/streams'

/** The plan of an app. */
export interface HousePlan {
  readonly streams: readonly StreamSpec[]
  readonly folds: readonly FoldDefinition[]
  /** Fold of the versioned table of each item kind. */
  readonly tables: Readonly<Record<string, string>>
  /** Streams that get ticks while nothing happens: windows close on them and timers fire. */
  readonly timedStreams: readonly string[]
}

/** Plans an app with its modules. Throws DEFINITION_INVALID. */
export function planHouse(app: App, modules: readonly ProductModule[]): HousePlan {
  const views = app.options.views ?? {}
  const features = compileFeatures(app)
  const compiled = compileViews({
    views,
    partitions: app.partitions,
    latenessMs: app.latenessMs,
    tableKinds: [...app.tables.keys()],
    rekeyed: features.rekeyed,
  })
  const own = modules.flatMap(module => module.folds?.(app) ?? [])
  // A module may bring the fold of a table itself, to hear of its changes.
  const brought = new Set(own.map(fold => fold.name))
  const declared = [...compiled.folds, ...features.folds]
  const folds = [...declared.filter(fold => !brought.has(fold.name)), ...own]
  const upcasters = upcastersByStream(app)
  const sources = new Map(folds.map(fold => [fold.name, fold.source]))
  const timed = Object.entries(views)
    .filter(([, view]) => view.window !== undefined || view.onTimer !== undefined)
    .map(([name]) => sources.get(viewFoldName(name)) as string)
  return {
    streams: [
      ...app.streams,
      ...compiled.streams,
      ...modules.flatMap(module => module.streams?.(app) ?? []),
    ],
    folds: folds.map(fold => withUpcasters(fold, upcasters)),
    tables: compiled.tables,
    timedStreams: [
      ...new Set([
        ...timed,
        ...features.folds.map(fold => fold.source),
        // A window is over, and a silence heard, while nothing comes.
        ...planChecks(app).byStream.keys(),
      ]),
    ],
  }
}

/** What the upcasters of the events of each stream are, as a text. */
function upcastersByStream(app: App): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const { definition } of app.events.values()) {
    for (const { schema, up } of definition.upcasters ?? []) {
      const before = texts.get(definition.stream) ?? ''
      const text = JSON.stringify([definition.name, schema, String(up)])
      texts.set(definition.stream, before + text)
    }
  }
  return texts
}

/**
 * How old events are read is a part of what a fold computes: state that was folded from them before
 * an upcaster was declared is built again.
 */
function withUpcasters(
  fold: FoldDefinition,
  upcasters: ReadonlyMap<string, string>,
): FoldDefinition {
  const text = upcasters.get(fold.source)
  if (text === undefined) return fold
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12)
  return { ...fold, version: `${fold.version}/${hash}` }
}
