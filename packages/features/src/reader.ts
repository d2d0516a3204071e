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
import { featuresErrors } from './errors.ts'
import type { FeatureShard } from './feature-shard.ts'
import { Crossing, Deriving, Preparing, putContext, type Pairs } from './made-cells.ts'
import type { FeaturePlan } from './plan.ts'
import type { AttributeNode, CrossedNode, DerivedNode, ServicePlan, ViewNodes } from './row-plan.ts'

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

/** Rows about one entity of a kind each, which share all else: what a list of candidates asks for, without an object for each. */
export interface RowsOfKind extends Omit<RowsRequest, 'rows'> {
  readonly kind: string
  readonly ids: readonly string[]
  /** The other entities of the service. */
  readonly shared: RowEntities
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
  /** Throws SERVICE_UNKNOWN, SERVICE_UNFITTED, FEATURE_ROW_INVALID, FEATURE_CONTEXT_INVALID. */
  read(request: RowsRequest): FeatureRows
  /** As `read`. */
  readKind(request: RowsOfKind): FeatureRows
  /** What rows of a service reflect, in terms of the streams that come from outside. */
  reflected(service: string): Position
  /** How often a derived feature failed, by name. */
  readonly failures: ReadonlyMap<string, number>
}

const FIRST = [0] as const

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
  const failures = new Map<string, number>()
  const serviceOf = (name: string): ServicePlan => {
    const plan = compiled.services.get(name)
    if (plan === undefined) throw featuresErrors.create('SERVICE_UNKNOWN', { service: name })
    return plan
  }
  const tableOf = (kind: string): Folded<VersionedTable> | undefined => {
    const fold = tableFoldName(kind)
    return known.has(fold) ? streams.fold<VersionedTable>(fold) : undefined
  }
  const readers = new Map<ServicePlan, ServiceReader>()
  const readerOf = (plan: ServicePlan): ServiceReader => {
    let reader = readers.get(plan)
    if (reader === undefined) {
      reader = new ServiceReader(plan, { views, tableOf, streams, failures })
      readers.set(plan, reader)
    }
    return reader
  }
  return {
    failures,
    reflected: name => {
      const { viewNames } = serviceOf(name)
      return streams.reflected(viewNames.map(featureFoldName))
    },
    read(request) {
      const plan = serviceOf(request.service)
      check(plan, request)
      return readerOf(plan).read(request)
    },
    readKind(request) {
      const plan = serviceOf(request.service)
      const { kind, ids, shared } = request
      // Rows differ in this entity alone, so one of them stands for all.
      check(plan, { ...request, rows: ids.slice(0, 1).map(id => ({ ...shared, [kind]: id })) })
      return readerOf(plan).readKind(request)
    },
  }
}

function check(plan: ServicePlan, request: RowsRequest): void {
  const { name, service, contextValidator } = plan
  if (plan.isUnfitted) throw featuresErrors.create('SERVICE_UNFITTED', { service: name })
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

interface ReaderPorts {
  readonly views: ReadonlyMap<FeaturePlan, Folded<FeatureShard>>
  readonly tableOf: (kind: string) => Folded<VersionedTable> | undefined
  readonly streams: FeatureStreams
  readonly failures: Map<string, number>
}

/** The entity of one kind that the row at hand is about: rows mostly share one. */
class RowEntity {
  readonly kind: string
  /** True where there may be a table of the kind. */
  readonly hasTable: boolean
  /** As the request has it, and as it is known: a person who was merged into another one is that one. */
  asked: string | undefined
  id = ''
  /** The row before was about another one. */
  isNew = true
  readonly #table: Folded<VersionedTable> | undefined
  readonly #streams: FeatureStreams
  #attributes: Readonly<Record<string, unknown>> | undefined
  #isRead = false

  constructor(kind: string, { tableOf, streams }: ReaderPorts) {
    this.kind = kind
    this.#table = tableOf(kind)
    this.hasTable = this.#table !== undefined
    this.#streams = streams
  }

  take(asked: string): void {
    this.isNew = asked !== this.asked
    if (!this.isNew) return
    this.asked = asked
    this.id = this.kind === 'person' ? this.#streams.identities.canonical(asked) : asked
    this.#isRead = false
  }

  /** Its row in the table of its kind, as of a moment. */
  attributes(atMs: number): Readonly<Record<string, unknown>> | undefined {
    if (!this.#isRead) {
      this.#isRead = true
      this.#attributes = this.#table?.shardOf(this.id).asOf(this.id, atMs) as Readonly<Record<string, unknown>> | undefined // prettier-ignore
    }
    return this.#attributes
  }
}

/** Nodes of a plan with what they read. */
interface AttributeReading extends AttributeNode {
  readonly entity: RowEntity
}
interface StateReading {
  readonly entity: RowEntity
  readonly handle: Folded<FeatureShard>
}
interface ViewReading extends ViewNodes, StateReading {
  readonly paired: RowEntity | undefined
}
/** A cell that is made from others. */
interface Making {
  put(row: CellRow, atMs: number): void
}

/** A feature of pairs as the live state has it. */
class LivePairs implements Pairs, Making {
  readonly #asked: {
    plan: FeaturePlan
    key: string
    subKey: string
    features: number[]
    tMs: number
  }
  readonly #crossing: Crossing
  readonly #state: StateReading
  #shard: FeatureShard | undefined

  constructor(node: CrossedNode, state: StateReading) {
    const { plan, feature } = node
    // One object for all texts.
    this.#asked = { plan, key: '', subKey: '', features: [feature], tMs: 0 }
    this.#crossing = new Crossing(node)
    this.#state = state
  }

  put(row: CellRow, atMs: number): void {
    const { entity, handle } = this.#state
    const shard = handle.shardOf(entity.id)
    this.#shard = shard
    this.#asked.key = entity.id
    this.#asked.tMs = Math.max(atMs, shard.watermarkMs)
    this.#crossing.put(row, this)
  }

  read(text: string, into: CellRow): void {
    this.#asked.subKey = text
    this.#shard?.read(this.#asked, into, FIRST)
  }
}

/** Reads rows of one service, one after the other through one row. */
class ServiceReader {
  readonly #plan: ServicePlan
  readonly #failures: Map<string, number>
  readonly #entities: readonly RowEntity[]
  readonly #views: readonly ViewReading[]
  readonly #attributes: readonly AttributeReading[]
  readonly #made: readonly Making[]
  readonly #row: CellRow

  constructor(plan: ServicePlan, ports: ReaderPorts) {
    const { service, cells } = plan
    this.#plan = plan
    this.#failures = ports.failures
    this.#entities = service.entities.map(kind => new RowEntity(kind, ports))
    const entityOf = (kind: string): RowEntity =>
      this.#entities[service.entities.indexOf(kind)] as RowEntity
    const shardsOf = (view: FeaturePlan): StateReading => ({
      entity: entityOf(view.entity),
      handle: ports.views.get(view) as Folded<FeatureShard>,
    })
    this.#views = plan.views.map(nodes => ({
      ...nodes,
      ...shardsOf(nodes.plan),
      paired: nodes.pair === undefined ? undefined : entityOf(nodes.pair),
    }))
    this.#attributes = plan.attributes.map(node => ({ ...node, entity: entityOf(node.kind) }))
    this.#made = plan.made.map(node => {
      if (node.made === 'prepared') return new Preparing(node)
      return node.made === 'derived' ? this.#derivingOf(node) : new LivePairs(node, shardsOf(node.plan)) // prettier-ignore
    })
    this.#row = createCellRow(cells)
  }

  read(request: RowsRequest): FeatureRows {
    const { rows: asked } = request
    return this.#readAll(request, asked.length, index => {
      const row = asked[index] as RowEntities
      for (const entity of this.#entities) entity.take(row[entity.kind] as string)
    })
  }

  readKind(request: RowsOfKind): FeatureRows {
    const { kind, ids, shared } = request
    const own = this.#entities.find(entity => entity.kind === kind)
    return this.#readAll(request, ids.length, index => {
      for (const entity of this.#entities) {
        entity.take((entity === own ? ids[index] : shared[entity.kind]) as string)
      }
    })
  }

  #readAll(
    { atMs, context }: Pick<RowsRequest, 'atMs' | 'context'>,
    rows: number,
    take: (row: number) => void,
  ): FeatureRows {
    const { name: service, fingerprint, columns } = this.#plan
    const width = columns.length
    const { values, statuses, others } = createCellRow(rows * width)
    for (const entity of this.#entities) entity.asked = undefined
    putContext(this.#row, this.#plan.context, context)
    const own = this.#row
    for (let row = 0, to = 0; row < rows; row++, to += width) {
      take(row)
      this.#readRow(atMs)
      for (let cell = 0; cell < width; cell++) {
        values[to + cell] = own.values[cell] as number
        statuses[to + cell] = own.statuses[cell] as number
        const other = own.others[cell]
        if (other !== undefined) others[to + cell] = other
      }
    }
    return { values, statuses, others, service, fingerprint, columns, rows, atMs }
  }

  /** Reads the row of the entities that were taken. */
  #readRow(atMs: number): void {
    for (const nodes of this.#views) {
      // Otherwise its cells hold what the row before had.
      if (nodes.entity.isNew || nodes.paired?.isNew === true) this.#readView(nodes, atMs)
    }
    for (const { cell, field, default: fallback, entity } of this.#attributes) {
      if (!entity.isNew) continue
      const attributes = entity.attributes(atMs)
      const value = attributes?.[field]
      if (value !== undefined) this.#put(cell, value, CELL_STATUS.value)
      else this.#put(cell, fallback, attributes === undefined ? CELL_STATUS.missing : CELL_STATUS.default) // prettier-ignore
    }
    for (const making of this.#made) making.put(this.#row, atMs)
  }

  #readView({ plan, features, cells, entity, paired, handle }: ViewReading, atMs: number): void {
    const row = this.#row
    const { id: key } = entity
    const shard = handle.shardOf(key)
    const tMs = Math.max(atMs, shard.watermarkMs)
    shard.read({ plan, key, subKey: paired?.asked ?? '', features, tMs }, row, cells)
    const isParked = handle.isParked(key)
    if (!isParked && !entity.hasTable) return
    for (let index = 0; index < cells.length; index++) {
      const cell = cells[index] as number
      const status = row.statuses[cell]
      // A key that waits for a repair has older values than it seems.
      if (isParked && status === CELL_STATUS.value) row.statuses[cell] = CELL_STATUS.stale
      if (status !== CELL_STATUS.default || !entity.hasTable) continue
      if (entity.attributes(atMs) === undefined) row.statuses[cell] = CELL_STATUS.missing
    }
  }

  /** A derived cell; its failures are counted. */
  #derivingOf(node: DerivedNode): Making {
    const deriving = new Deriving(node)
    const { fullName } = node
    return {
      put: (row, atMs) => {
        if (deriving.put(row, atMs)) return
        this.#failures.set(fullName, (this.#failures.get(fullName) ?? 0) + 1)
      },
    }
  }

  #put(cell: number, value: unknown, status: number): void {
    putCell(this.#row, cell, value, status)
  }
}
