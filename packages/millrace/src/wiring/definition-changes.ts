/**
 * Another definition beside the one that is served: which of its folds and surfaces are others, told
 * by their fingerprints, and which cannot be tried because the log has not what they read.
 */
import type { App } from '@millrace/core'
import type { FoldDefinition } from '@millrace/streams'
import { planHouse } from './house.ts'
import { modulesOf, orderModules } from './modules.ts'

/** What differs, by the names of folds (`view.plays`) and surfaces. */
export interface DefinitionChanges {
  /** Folds that compute otherwise: they take the place of those of their names. */
  readonly folds: readonly FoldDefinition[]
  readonly surfaces: readonly string[]
  /** Folds that only the other definition has: there is no state of them until it is deployed. */
  readonly added: readonly string[]
  /** Folds that it has no more. */
  readonly removed: readonly string[]
}

/** Compares definitions. Throws DEFINITION_INVALID. */
export function changesBetween(served: App, other: App): DefinitionChanges {
  const [live, own] = [foldsOf(served), foldsOf(other)]
  const names = (folds: ReadonlyMap<string, FoldDefinition>): readonly string[] => [...folds.keys()]
  return {
    folds: [...own.values()].filter(({ name, version }) => {
      const known = live.get(name)
      return known !== undefined && known.version !== version
    }),
    surfaces: changedSurfaces(served, other),
    added: names(own).filter(name => !live.has(name)),
    removed: names(live).filter(name => !own.has(name)),
  }
}

/** Why the log cannot be read by another definition as if it were served; undefined when it can. */
export function readsOtherwise(served: App, other: App): string | undefined {
  if (served.partitions !== other.partitions) return 'its streams have another number of partitions'
  for (const [type, { definition }] of other.events) {
    const known = served.events.get(type)
    if (known === undefined) continue
    const [was, is] = [known.definition, definition].map(({ stream, key, upcasters = [] }) =>
      JSON.stringify([stream, key, upcasters.map(({ schema, up }) => [schema, String(up)])]),
    )
    if (was !== is) return `${type} has another key, or old ones are read by other upcasters: deploy it beside a copy of the log` // prettier-ignore
  }
  return undefined
}

function foldsOf(app: App): ReadonlyMap<string, FoldDefinition> {
  const { folds } = planHouse(app, orderModules(modulesOf(app)))
  return new Map(folds.map(fold => [fold.name, fold]))
}

/** The names of surfaces that are not the same in both. */
function changedSurfaces(served: App, other: App): readonly string[] {
  const texts = [served, other].map(
    ({ options }) =>
      new Map(Object.entries(options.surfaces ?? {}).map(([name, each]) => [name, textOf(each)])),
  ) as [Map<string, string>, Map<string, string>]
  const names = new Set(texts.flatMap(each => [...each.keys()]))
  return [...names].filter(name => texts[0].get(name) !== texts[1].get(name)).sort()
}

/** A surface as a text: its data, and the source of its stages. Items are told by their names. */
function textOf(surface: object): string {
  return JSON.stringify(surface, (name, value: unknown) => {
    if (name === 'items') return (value as readonly { readonly name: string }[]).map(item => item.name) // prettier-ignore
    return typeof value === 'function' ? String(value) : value
  })
}
