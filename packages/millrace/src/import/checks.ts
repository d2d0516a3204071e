/**
 * The checks of the app over the rows of an import. Rules of a row that refuse refuse their row, with
 * its line. What is known only when everything was read - items that are named, windows, values that
 * repeat - refuses the import as a whole, before anything is appended. Rows that a check holds are
 * appended marked, and held when the views are brought up to date.
 */
import type { App, CompiledCheck } from '@millrace/core'
import { CheckRun, planChecks, rowFault, type CheckReport } from '@millrace/product'
import { importErrors } from './errors.ts'
import type { MappedRow } from './mapping.ts'

/** Ids of all items of a kind that the log knows. */
export type KnownIds = (kind: string) => Promise<ReadonlySet<string>>

/** Items that rows name and nobody knows, by kind. */
export type UnknownItems = Readonly<Record<string, readonly string[]>>

type Data = Readonly<Record<string, unknown>>

/** See the head of the file. */
export class ImportChecks {
  readonly #run: CheckRun
  readonly #byType: ReadonlyMap<string, readonly CompiledCheck[]>
  readonly #refersTo: ReadonlySet<string>
  /** Ids that rows of the files put, and that rows name, by kind. */
  readonly #put = new Map<string, Set<string>>()
  readonly #named = new Map<string, Set<string>>()

  constructor(app: App) {
    const { all, byType } = planChecks(app)
    this.#run = new CheckRun(all)
    this.#byType = byType
    this.#refersTo = this.#run.refersTo
  }

  /** Takes a row; why it is refused, or undefined. */
  take(
    { event, json, key, eventTimeMs: atMs }: MappedRow,
    place: () => string,
  ): string | undefined {
    const { name, stream } = event.definition
    if (event.isTableChange && this.#refersTo.has(stream)) setOf(this.#put, stream).add(key)
    const checks = this.#byType.get(name)
    if (checks === undefined) return undefined
    const data = JSON.parse(json) as Data
    this.#run.take(name, data, { atMs, place })
    for (const check of checks) {
      if (check.severity !== 'refuse' || !check.isRow) continue
      const reason = rowFault(check, data, () => undefined)
      if (reason !== undefined) return `check ${check.name}: ${reason}`
    }
    for (const { refersTo, definition } of checks) {
      const id = refersTo === undefined ? undefined : data[definition.field ?? '']
      for (const each of [id ?? []].flat()) setOf(this.#named, refersTo as string).add(each as string) // prettier-ignore
    }
    return undefined
  }

  /** What all checks say once every row was read, and the items that nobody knows. */
  async finish(
    knownIds: KnownIds,
  ): Promise<{ reports: readonly CheckReport[]; unknown: UnknownItems }> {
    // prettier-ignore
    const unknown: Record<string, readonly string[]> = {}
    for (const [kind, named] of this.#named) {
      const missing = named.difference(this.#put.get(kind) ?? new Set())
      unknown[kind] = missing.size === 0 ? [] : [...missing.difference(await knownIds(kind))]
    }
    const sets = setsOf(unknown)
    this.#run.resolve((kind, id) => sets.get(kind)?.has(id) !== true)
    return { reports: this.#run.reports(), unknown }
  }
}

/** Refuses an import of which a check that refuses says no, where no single row could be refused. Throws IMPORT_CHECK_FAILED. */
export function assertChecks(app: App, reports: readonly CheckReport[]): void {
  const { byName } = planChecks(app)
  for (const { name, state, severity, examples, failed, judged, unit } of reports) {
    const check = byName.get(name)
    const isOfRow = check?.isRow === true && check.refersTo === undefined
    if (state !== 'failing' || severity !== 'refuse' || isOfRow) continue
    const [first = { place: '', reason: '' }] = examples
    throw importErrors.create('IMPORT_CHECK_FAILED', { check: name, failed, judged, unit, place: first.place, reason: first.reason }) // prettier-ignore
  }
}

/** Says which check holds a row; undefined for nearly all. */
export function rowMarker(
  app: App,
  unknown: UnknownItems,
): (type: string, payload: Uint8Array) => string | undefined {
  const { all } = planChecks(app)
  const held = all.filter(({ severity }) => severity === 'quarantine')
  const byType = Map.groupBy(held, ({ definition }) => definition.of.name)
  const sets = setsOf(unknown)
  const isKnown = (kind: string, id: string): boolean => sets.get(kind)?.has(id) !== true
  return (type, payload) => {
    const checks = byType.get(type)
    if (checks === undefined) return undefined
    const data = JSON.parse(Buffer.from(payload).toString('utf8')) as Data
    return checks.find(check => rowFault(check, data, isKnown) !== undefined)?.name
  }
}

function setsOf(items: UnknownItems): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(Object.entries(items).map(([kind, ids]) => [kind, new Set(ids)]))
}

function setOf(sets: Map<string, Set<string>>, kind: string): Set<string> {
  let set = sets.get(kind)
  if (set === undefined) sets.set(kind, (set = new Set()))
  return set
}
