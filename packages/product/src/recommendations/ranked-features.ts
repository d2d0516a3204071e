/** Which feature services the surfaces of an app rank by, and the folds that they read. */
import type { App } from '@millrace/core'
import {
  compileFeatures,
  createFeatureReader,
  featureFoldName,
  type CompiledFeatures,
  type FeatureReader,
  type FeatureStreams,
} from '@millrace/features'
import { tableFoldName } from '@millrace/streams'

/** A fold that rows are read from, beside the tables of items. */
export interface RankedFold {
  readonly name: string
  /** True where a request reads the key of its person alone. */
  readonly isOfPerson: boolean
}

/** See the head of the file. */
export interface RankedFeatures {
  /** The services of the surfaces, and the views that these read. */
  readonly compiled: CompiledFeatures
  /** By the name of the service. */
  readonly folds: ReadonlyMap<string, readonly RankedFold[]>
  /** The folds of all tables of entities. */
  readonly tables: readonly string[]
}

/** Compiles what the surfaces of an app rank by; undefined where none names a service. */
export function rankedFeatures(app: App): RankedFeatures | undefined {
  const surfaces = Object.values(app.options.surfaces ?? {})
  const named = new Set(surfaces.flatMap(({ ranker }) => ranker?.service ?? []))
  if (named.size === 0) return undefined
  const all = compileFeatures(app)
  const services = new Map([...all.services].filter(([, { service }]) => named.has(service)))
  const read = new Set([...services.values()].flatMap(({ viewNames }) => viewNames))
  const plans = new Map([...all.plans].filter(([name]) => read.has(name)))
  const folds = [...services].map(([name, { viewNames, service }]) => {
    const views = viewNames.map(view => ({
      name: featureFoldName(view),
      isOfPerson: plans.get(view)?.entity === 'person',
    }))
    const hasPeople = app.tables.has('person') && service.entities.includes('person')
    const people = hasPeople ? [{ name: tableFoldName('person'), isOfPerson: true }] : []
    return [name, [...views, ...people]] as const
  })
  const tables = [...app.tables.keys()].map(tableFoldName)
  return { compiled: { ...all, services, plans }, folds: new Map(folds), tables }
}

/** All folds that any of the services reads. */
export function foldsOf(ranked: RankedFeatures | undefined): readonly RankedFold[] {
  const byName = new Map([...(ranked?.folds.values() ?? [])].flat().map(fold => [fold.name, fold]))
  return [...byName.values()]
}

/** Reads rows from such folds, wherever they stand; people are read by the ids that they have there. */
export function rowReader(
  { compiled, tables }: RankedFeatures,
  fold: FeatureStreams['fold'],
): Pick<FeatureReader, 'readKind'> {
  const known = tables.map(name => ({ name }))
  const identities = { canonical: (id: string) => id }
  return createFeatureReader({ fold, identities, reflected: () => new Map(), status: () => known }, compiled) // prettier-ignore
}
