/** What the compiler makes of a feature view: how each feature takes an event, and in which tiles. */
import {
  deriveId,
  tiledWindow,
  type AnyFeatureView,
  type AnyTables,
  type EventDefinition,
  type EventValue,
  type FeatureDefinition,
  type FeatureValue,
  type FoldEvent,
} from '@millrace/core'
import { sourceOf } from '@millrace/streams'
import type { Aggregation } from './aggregations/aggregation.ts'
import { aggregationOf } from './aggregations/index.ts'

/** An event as the functions of a view see it. */
export type AnyEvent = FoldEvent<EventDefinition>
type Compute = (event: AnyEvent, tables: AnyTables) => unknown

/** A feature, compiled. */
export interface PlannedFeature {
  readonly index: number
  readonly name: string
  /** `<view>.<feature>`. */
  readonly fullName: string
  readonly definition: FeatureDefinition
  readonly aggregation: Aggregation
  readonly where: Compute | undefined
  /** Undefined where events are counted. */
  readonly of: Compute | undefined
  readonly over: Compute | undefined
  /** Index of its group of tiles. */
  readonly group: number
  /** Its first cell within a row of the group, behind the tile. */
  readonly offset: number
  /** Its object within those of the row; 0 where its partial is cells. */
  readonly slot: number
  /** Of a window of a session: the cells of the first and the last moment of its events in the tile. */
  readonly moments: number | undefined
  /** Length of its tiles. */
  readonly stepMs: number
  /** True when its value changes with every moment, not from tile to tile alone. */
  readonly isContinuous: boolean
  /** Tiles of its window. */
  readonly tiles: number
  readonly default: FeatureValue
  /** What the value depends on: a hash of what is declared and of the source text of functions. */
  readonly fingerprint: string
}

/** Features whose tiles have the same step: they share rows. */
export interface TileGroup {
  /** Infinity: one tile for all of time. */
  readonly stepMs: number
  /** Tiles that some feature reads. */
  readonly tiles: number
  /** Numbers of a row, without the tile. */
  readonly cells: number
  /** Objects of a row. */
  readonly slots: number
  readonly features: readonly PlannedFeature[]
}

/** A feature view, compiled. */
export interface FeaturePlan {
  readonly name: string
  readonly view: AnyFeatureView
  /** Kind of the entity. */
  readonly entity: string
  readonly source: string
  readonly isRekeyed: boolean
  readonly features: readonly PlannedFeature[]
  readonly groups: readonly TileGroup[]
  readonly version: string
}

/** Which values of one entity are read. */
export interface FeatureReading {
  /**
   * The plan that the features are of; default: that of the shard. While another version is served,
   * what has another meaning in it is stale, and what it does not have is a default.
   */
  readonly plan?: FeaturePlan
  readonly key: string
  /** '' without pairs. */
  readonly subKey: string
  /** By index in the plan. */
  readonly features: readonly number[]
  /** Not before the watermark of the shard. */
  readonly tMs: number
}

/** Compiles a view that was checked by `defineApp`. */
export function planView(name: string, view: AnyFeatureView): FeaturePlan {
  const [first] = view.from as readonly [EventDefinition]
  const source = sourceOf(view.from, view.key)
  const groups = new Map<number, { tiles: number; cells: number; slots: number; features: PlannedFeature[] }>() // prettier-ignore
  const base = baseOf(view)
  const features = Object.entries(view.definitions).map(([featureName, definition], index) => {
    const { stepMs, count: tiles, gapMs } = tiledWindow(definition.window)
    const aggregation = aggregationOf(definition, `${name}.${featureName}`)
    const group = groups.get(stepMs) ?? { tiles: 0, cells: 0, slots: 0, features: [] }
    groups.set(stepMs, group)
    const feature: PlannedFeature = {
      index,
      name: featureName,
      fullName: `${name}.${featureName}`,
      definition,
      aggregation,
      where: definition.where,
      of: computeOf(definition.of),
      over: computeOf(definition.over),
      group: [...groups.keys()].indexOf(stepMs),
      offset: group.cells + 1,
      slot: group.slots,
      moments: gapMs === undefined ? undefined : group.cells + 1 + cellsOf(aggregation),
      stepMs,
      isContinuous: gapMs !== undefined || aggregation.isContinuous === true,
      tiles,
      default: definition.default,
      fingerprint: hash([base, featureText(definition, view.version)]),
    }
    group.tiles = Math.max(group.tiles, tiles)
    group.cells += cellsOf(aggregation) + (gapMs === undefined ? 0 : MOMENTS)
    group.slots += aggregation.isObject === undefined ? 0 : 1
    group.features.push(feature)
    return feature
  })
  const planned = [...groups].map(([stepMs, group]) => ({ stepMs, ...group }))
  const version = hash([base, features.map(feature => [feature.name, feature.fingerprint])])
  return {
    name,
    view,
    entity: first.fields[view.key]?.ref as string,
    source,
    isRekeyed: source !== first.stream,
    features,
    groups: planned,
    version,
  }
}

/** Cells of the first and the last moment of a tile. */
const MOMENTS = 2

/** Cells of a partial; one that is an object has the number of its events. */
export function cellsOf(aggregation: Aggregation): number {
  return aggregation.isObject === undefined ? aggregation.cells : 1
}

function computeOf(value: EventValue | undefined): Compute | undefined {
  if (typeof value !== 'string') return value
  return event => (event.data as Readonly<Record<string, unknown>>)[value]
}

/** What all features of a view depend on. */
function baseOf({ from, key, join, pair, version, freshness, ttl }: AnyFeatureView): unknown {
  return [
    from.map(event => event.name),
    key,
    Object.entries(join).map(([alias, item]) => [alias, item.name]),
    pair === undefined ? null : [pair.name, pair.max, version ?? String(pair.of)],
    freshness ?? null,
    ttl ?? null,
    version ?? null,
  ]
}

function featureText(definition: FeatureDefinition, version: string | undefined): unknown {
  const { aggregation, window, of, over, where, default: fallback } = definition
  // A declared version stands for the text of functions; it is a part of the base.
  const text = (value: unknown): unknown =>
    typeof value === 'function' && version !== undefined ? 'function' : String(value)
  const made = aggregation.kind === 'custom' ? [aggregation.init, aggregation.add, aggregation.merge, aggregation.read].map(text) : aggregation // prettier-ignore
  return [made, window, text(of), text(over), text(where), fallback]
}

function hash(content: unknown): string {
  return deriveId(0, JSON.stringify(content)).slice(-12)
}
