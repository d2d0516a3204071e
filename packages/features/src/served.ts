/**
 * What a request was served, and the same computed again: from the log alone, up to the offsets that
 * the state had, with the corrections that were in force, and by the code that serves. Nothing of the
 * live state is read, so a cell of it that is wrong shows.
 */
import { decodePosition, encodePosition, invariant } from '@millrace/core'
import { tableFoldName, type Streams } from '@millrace/streams'
import { CELL_STATUSES } from './cell-row.ts'
import { featureFoldName, type CompiledFeatures } from './compile.ts'
import { featuresErrors } from './errors.ts'
import { KeyedState } from './keyed-state.ts'
import { createFeatureReader, type FeatureRows, type RowEntities, type RowsRequest } from './reader.ts' // prettier-ignore
import type { ServicePlan } from './row-plan.ts'

/** The state of one fold when rows were read: consumed ends of its source, and how many records of corrections it reflected. */
export type NotedFold = readonly [fold: string, position: string, corrected: number]

/** Data of a `served` record; short names, since there is one for every request. */
export interface Served {
  /** Service. */
  readonly s: string
  /** Fingerprint of what the values depend on. */
  readonly f: string
  /** The moment of the windows, milliseconds since the epoch. */
  readonly t: number
  /** The entities of each row, under the ids that they were read by. */
  readonly e: readonly RowEntities[]
  /** What the request told. */
  readonly c?: Readonly<Record<string, unknown>>
  /** The numbers, as base64 of little-endian doubles, and the statuses as base64 of bytes. */
  readonly v: string
  readonly u: string
  /** Texts and lists by cell. */
  readonly o?: readonly (readonly [cell: number, value: unknown])[]
  /** The state that was read. */
  readonly k: readonly NotedFold[]
}

/** A value that was served and is not what the log gives. */
export interface Mismatch {
  readonly row: number
  readonly entities: RowEntities
  /** Column of the service. */
  readonly feature: string
  readonly served: unknown
  readonly servedStatus: string
  readonly recomputed: unknown
  readonly recomputedStatus: string
}

/** What a check found. */
export interface ParityCheck {
  readonly service: string
  readonly atMs: number
  /** The fingerprint that the values were served with, and that of now: when they differ, the definition has changed and values may. */
  readonly fingerprint: { readonly was: string; readonly now: string }
  readonly rows: number
  /** Values that were compared. */
  readonly values: number
  readonly mismatches: readonly Mismatch[]
}

/** Notes rows with the state that they were read from, in the same turn of the loop. */
export function noteServed(
  streams: Pick<Streams, 'fold' | 'identities'>,
  compiled: CompiledFeatures,
  { rows, context }: Pick<RowsRequest, 'rows' | 'context'>,
  read: FeatureRows,
): Served {
  const plan = compiled.services.get(read.service) as ServicePlan
  const others = Object.entries(read.others).map(([cell, value]) => [Number(cell), value] as const)
  return {
    s: read.service,
    f: read.fingerprint,
    t: read.atMs,
    e: rows.map(row => readAs(streams, row)),
    ...(context === undefined ? {} : { c: context }),
    v: Buffer.from(read.values.buffer, read.values.byteOffset, read.values.byteLength).toString('base64'), // prettier-ignore
    u: Buffer.from(read.statuses).toString('base64'),
    ...(others.length === 0 ? {} : { o: others }),
    k: foldsOf(streams, compiled, plan).map(name => {
      const fold = streams.fold(name)
      return [name, encodePosition(fold.position()), fold.corrected()]
    }),
  }
}

/** A person who was merged into another one is read as that one. */
function readAs({ identities }: Pick<Streams, 'identities'>, row: RowEntities): RowEntities {
  const { person } = row
  return person === undefined ? row : { ...row, person: identities.canonical(person) }
}

/** Folds that rows of a service are made from: its views, the tables that they join, and those of its entities. */
function foldsOf(
  streams: Pick<Streams, 'fold'>,
  { plans }: CompiledFeatures,
  { viewNames, service }: ServicePlan,
): readonly string[] {
  const joined = viewNames.flatMap(name =>
    Object.values(plans.get(name)?.view.join ?? {}).map(item => item.name),
  )
  const tables = [...new Set([...joined, ...service.entities])].map(tableFoldName)
  return [...viewNames.map(featureFoldName), ...tables.filter(name => isRunning(streams, name))]
}

function isRunning(streams: Pick<Streams, 'fold'>, name: string): boolean {
  try {
    streams.fold(name)
    return true
  } catch {
    return false
  }
}

/** Computes served rows again, and compares them to the bit. Rejects with SERVICE_UNKNOWN, and as `Past.noted`. */
export async function checkServed(
  streams: Pick<Streams, 'fold' | 'past' | 'status'>,
  compiled: CompiledFeatures,
  served: Served,
): Promise<ParityCheck> {
  const again = await readAgain(streams, compiled, served)
  const { columns } = again
  const values = Buffer.from(served.v, 'base64')
  const statuses = Buffer.from(served.u, 'base64')
  const others = new Map(served.o)
  const cells = served.e.length * columns.length
  invariant(statuses.length === cells && values.length === cells * 8, 'served rows have all cells')
  const mismatches: Mismatch[] = []
  for (let cell = 0; cell < cells; cell++) {
    const was = others.get(cell) ?? values.readDoubleLE(cell * 8)
    const is = again.others[cell] ?? again.values[cell]
    if (isSame(was, is) && statuses[cell] === again.statuses[cell]) continue
    const row = Math.floor(cell / columns.length)
    mismatches.push({
      row,
      entities: served.e[row] as RowEntities,
      feature: columns[cell % columns.length] as string,
      served: was,
      servedStatus: CELL_STATUSES[statuses[cell] as number] as string,
      recomputed: is,
      recomputedStatus: CELL_STATUSES[again.statuses[cell] as number] as string,
    })
  }
  return {
    service: served.s,
    atMs: served.t,
    fingerprint: { was: served.f, now: again.fingerprint },
    rows: served.e.length,
    values: cells,
    mismatches,
  }
}

function isSame(was: unknown, is: unknown): boolean {
  if (Array.isArray(was) && Array.isArray(is)) {
    return was.length === is.length && was.every((each, at) => Object.is(each, is[at]))
  }
  return Object.is(was, is)
}

/** Reads rows by the code that serves, from states that are folded from the log. */
async function readAgain(
  streams: Pick<Streams, 'fold' | 'past' | 'status'>,
  compiled: CompiledFeatures,
  served: Served,
): Promise<FeatureRows> {
  const past = notedState(streams, served.k)
  const reader = createFeatureReader(past, compiled)
  for (;;) {
    const { s: service, e: rows, t: atMs, c: context } = served
    const read = reader.read({ service, rows, atMs, ...(context === undefined ? {} : { context }) })
    if (!(await past.load())) return read
  }
}

/** The folds as they were when it was noted how far they were. */
function notedState(
  streams: Pick<Streams, 'fold' | 'past'>,
  folds: readonly NotedFold[],
): KeyedState {
  const noted = new Map(
    folds.map(([name, position, corrected]) => [
      name,
      { position: decodePosition(position), corrected },
    ]),
  )
  return new KeyedState({
    folds: [...noted.keys()],
    definitionOf: name => streams.fold(name).definition,
    stateOf(fold, key) {
      const own = noted.get(fold)
      // The definition has changed: the service read nothing of it then.
      if (own === undefined) throw featuresErrors.create('FEATURE_STATE_NOT_NOTED', { fold })
      const tables = [...noted].filter(([name]) => name !== fold).flatMap(([, { position }]) => [...position]) // prettier-ignore
      const position = new Map([...tables, ...own.position])
      return streams.past.noted({ fold, key, position, corrected: own.corrected })
    },
  })
}
