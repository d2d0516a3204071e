/**
 * Rows of a feature service for requests: many entities in one call, all at one position, since it
 * runs between two steps of the view loop. What is read is the state that the folds keep; nothing
 * is looked up outside of the process.
 */
import type { Position } from '@millrace/core'
import {
  tableFoldName,
  type FoldHandle,
  type FoldShard,
  type Streams,
  type VersionedTable,
} from '@millrace/streams'
import { CELL_STATUS, createCellRow, putCell, type CellRow } from './cell-row.ts'
import { featureFoldName, type CompiledFeatures } from './compile.ts'
import { featuresErrors, invalidValue } from './errors.ts'
import type { FeatureShard } from './feature-shard.ts'
import type { FeaturePlan } from './plan.ts'
import type { CrossedNode, DerivedNode, ServicePlan, ViewNodes } from './row-plan.ts'

/** The entities that a row is about: an id by kind. */
export type RowEntities = Readonly<Record<string, string>>

/** What rows are asked for. */
export interface RowsRequest {
  readonly service: string
  readonly rows: readonly RowEntities[]
  /** What the request tells, by the names of the service's context features. */
  readonly context?: Readonly<Record<string, unknown>>
  /** The moment, milliseconds since the epoch; the watermark of a key's partition where that is later. */
  readonly atMs: number
}

/** Rows of a service. */
export interface FeatureRows extends CellRow {
  readonly service: string
  /** What the values depend on. */
  readonly fingerprint: string
  /** Names of the columns. Cell `row * columns.length + column` has the value. */
  readonly columns: readonly string[]
  readonly rows: number
  readonly atMs: number
}

/** Reads rows from the live state. */
export interface FeatureReader {
  /** Throws SERVICE_UNKNOWN, FEATURE_ROW_INVALID, FEATURE_CONTEXT_INVALID. */
  read(request: RowsRequest): FeatureRows
  /** What rows of a service reflect, in terms of the streams that come from outside. */
  reflected(service: string): Position
  /** How often a derived feature failed, by name. */
  readonly failures: ReadonlyMap<string, number>
}

/** Texts that a crossed feature is read for, at most. */
const TEXTS_MAX = 1_000

/** The state that rows are read from: that of the runtime, or one that was folded again. */
export interface FeatureStreams extends Pick<Streams, 'reflected'> {
  fold<Shard extends FoldShard>(name: string): Pick<FoldHandle<Shard>, 'shardOf' | 'isParked'>
  readonly identities: Pick<Streams['identities'], 'canonical'>
  status(): readonly { readonly name: string }[]
}

type Folded<Shard extends FoldShard> = Pick<FoldHandle<Shard>, 'shardOf' | 'isParked'>

/** Creates the reader of all services of an app. */
export function createFeatureReader(
  streams: FeatureStreams,
  compiled: CompiledFeatures,
): FeatureReader {
  const views = new Map<FeaturePlan, Folded<FeatureShard>>()
  for (const plan of compiled.plans.values()) {
    views.set(plan, streams.fold<FeatureShard>(featureFoldName(plan.name)))
  }
  const known = new Set(streams.status().map(({ name }) => name))
  const kinds = new Set([...compiled.services.values()].flatMap(({ service }) => service.entities))
  const tables = new Map<string, Folded<VersionedTable>>()
  for (const kind of kinds) {
    const fold = tableFoldName(kind)
    if (known.has(fold)) tables.set(kind, streams.fold<VersionedTable>(fold))
  }
  const failures = new Map<string, number>()
  const serviceOf = (name: string): ServicePlan => {
    const plan = compiled.services.get(name)
    if (plan === undefined) throw featuresErrors.create('SERVICE_UNKNOWN', { service: name })
    return plan
  }
  const scratch = new Map<ServicePlan, CellRow>()
  return {
    failures,
    reflected: name => {
      const { viewNames } = serviceOf(name)
      return streams.reflected(viewNames.map(featureFoldName))
    },
    read(request) {
      const plan = serviceOf(request.service)
      check(plan, request)
      const width = plan.columns.length
      const rows = createCellRow(request.rows.length * width)
      const row = scratch.get(plan) ?? createCellRow(plan.cells)
      scratch.set(plan, row)
      const work = new RowReader({ plan, row, views, tables, streams, failures, request })
      for (const [index, entities] of request.rows.entries()) {
        work.read(entities)
        for (let cell = 0; cell < width; cell++) {
          const to = index * width + cell
          rows.values[to] = row.values[cell] as number
          rows.statuses[to] = row.statuses[cell] as number
          if (row.others[cell] !== undefined) rows.others[to] = row.others[cell]
        }
      }
      const { name: service, fingerprint, columns } = plan
      const { atMs } = request
      return { ...rows, service, fingerprint, columns, rows: request.rows.length, atMs }
    },
  }
}

function check({ name, service, contextValidator }: ServicePlan, request: RowsRequest): void {
  for (const [index, row] of request.rows.entries()) {
    for (const kind of service.entities) {
      if (typeof row[kind] === 'string') continue
      const reason = `row ${index} names no ${kind}`
      throw featuresErrors.create('FEATURE_ROW_INVALID', { service: name, reason })
    }
  }
  const [issue] = contextValidator.issues(request.context ?? {})
  if (issue === undefined) return
  const reason = `${issue.path.slice(1) || 'it'}: ${issue.reason}`
  throw featuresErrors.create('FEATURE_CONTEXT_INVALID', { service: name, reason })
}

interface RowWork {
  readonly plan: ServicePlan
  readonly row: CellRow
  readonly views: ReadonlyMap<FeaturePlan, Folded<FeatureShard>>
  readonly tables: ReadonlyMap<string, Folded<VersionedTable>>
  readonly streams: FeatureStreams
  readonly failures: Map<string, number>
  readonly request: RowsRequest
}

/** Reads one row after the other into `row`. */
class RowReader {
  readonly #work: RowWork
  /** Where one feature of a pair is read. */
  readonly #one = createCellRow(1)
  /** What the cells of each view were read of. */
  readonly #before: { readonly asked: string; readonly subKey: string }[] = []

  constructor(work: RowWork) {
    this.#work = work
  }

  read(entities: RowEntities): void {
    const { plan, request } = this.#work
    for (const [place, nodes] of plan.views.entries()) this.#readView(nodes, place, entities)
    for (const { cell, kind, field, default: fallback } of plan.attributes) {
      const attributes = this.#attributesOf(kind, entities[kind] as string)
      const value = attributes?.[field]
      if (value !== undefined) this.#put(cell, value, CELL_STATUS.value)
      else this.#put(cell, fallback, attributes === undefined ? CELL_STATUS.missing : CELL_STATUS.default) // prettier-ignore
    }
    for (const { cell, name, default: fallback } of plan.context) {
      const value = request.context?.[name]
      this.#put(cell, value ?? fallback, value === undefined ? CELL_STATUS.default : CELL_STATUS.value) // prettier-ignore
    }
    for (const node of plan.made) {
      if (node.made === 'derived') this.#derive(node)
      else this.#cross(node, entities)
    }
  }

  #readView(
    { plan, pair, features, cells }: ViewNodes,
    place: number,
    entities: RowEntities,
  ): void {
    const { row, views, tables, request } = this.#work
    const handle = views.get(plan) as Folded<FeatureShard>
    const asked = entities[plan.entity] as string
    const key = this.#idOf(plan.entity, asked)
    const shard = handle.shardOf(key)
    const tMs = Math.max(request.atMs, shard.watermarkMs)
    const subKey = pair === undefined ? '' : (entities[pair] as string)
    // Rows mostly share a person: their cells hold what the row before had.
    const before = this.#before[place]
    if (before?.asked === asked && before.subKey === subKey) return
    this.#before[place] = { asked, subKey }
    shard.read({ plan, key, subKey, features, tMs }, row, cells)
    const isParked = handle.isParked(key)
    let isMissing: boolean | undefined
    for (const cell of cells) {
      const status = row.statuses[cell]
      // A key that waits for a repair has older values than it seems.
      if (isParked && status === CELL_STATUS.value) row.statuses[cell] = CELL_STATUS.stale
      if (status !== CELL_STATUS.default || !tables.has(plan.entity)) continue
      isMissing ??= this.#attributesOf(plan.entity, asked) === undefined
      if (isMissing) row.statuses[cell] = CELL_STATUS.missing
    }
  }

  #derive({ cell, inputs, compute, default: fallback, fullName }: DerivedNode): void {
    const { row, request, failures } = this.#work
    const values: Record<string, unknown> = {}
    let isFailed = false
    for (const [name, input] of inputs) {
      values[name] = row.others[input] ?? row.values[input]
      isFailed ||= row.statuses[input] === CELL_STATUS.failed
    }
    if (isFailed) {
      this.#put(cell, fallback, CELL_STATUS.failed)
      return
    }
    try {
      const value = compute(values as never, { atMs: request.atMs })
      if (typeof value === 'number' && !Number.isFinite(value)) throw invalidValue(fullName, value)
      this.#put(cell, value, CELL_STATUS.value)
    } catch {
      failures.set(fullName, (failures.get(fullName) ?? 0) + 1)
      this.#put(cell, fallback, CELL_STATUS.failed)
    }
  }

  #cross({ cell, plan, feature, over, reduce }: CrossedNode, entities: RowEntities): void {
    const { row, views, request } = this.#work
    const told = row.others[over]
    const texts = (typeof told === 'string' ? [told] : (told ?? [])) as readonly string[]
    const key = this.#idOf(plan.entity, entities[plan.entity] as string)
    const shard = (views.get(plan) as Folded<FeatureShard>).shardOf(key)
    const tMs = Math.max(request.atMs, shard.watermarkMs)
    const asked = { plan, key, features: [feature], tMs }
    const { values, statuses } = this.#one
    let served = 0
    let sum = 0
    let greatest = -Infinity
    let status: number = CELL_STATUS.stale
    for (const subKey of texts.slice(0, TEXTS_MAX)) {
      shard.read({ ...asked, subKey }, this.#one, [0])
      const found = statuses[0] as number
      if (found === CELL_STATUS.failed) {
        this.#put(cell, values[0], CELL_STATUS.failed)
        return
      }
      if (found !== CELL_STATUS.value && found !== CELL_STATUS.stale) continue
      if (found === CELL_STATUS.value) status = found
      served += 1
      sum += values[0] as number
      greatest = Math.max(greatest, values[0] as number)
    }
    if (served === 0) {
      const fallback = plan.features[feature]?.default
      this.#put(cell, fallback, CELL_STATUS.default)
      return
    }
    const reduced = { max: greatest, sum, mean: sum / served }
    this.#put(cell, reduced[reduce], status)
  }

  /** A person who was merged into another one is read as that one. */
  #idOf(kind: string, id: string): string {
    return kind === 'person' ? this.#work.streams.identities.canonical(id) : id
  }

  #attributesOf(kind: string, asked: string): Readonly<Record<string, unknown>> | undefined {
    const id = this.#idOf(kind, asked)
    const table = this.#work.tables.get(kind)?.shardOf(id)
    return table?.asOf(id, this.#work.request.atMs) as Readonly<Record<string, unknown>> | undefined
  }

  #put(cell: number, value: unknown, status: number): void {
    putCell(this.#work.row, cell, value, status)
  }
}
