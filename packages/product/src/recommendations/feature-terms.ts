/**
 * Scores of candidates from a feature service: one read of all rows, at one position, and the terms
 * of the surface's ranker over each. A term that throws, or gives a number that is not finite, adds
 * nothing and is counted; a feature whose code fails is served as its default by the reader.
 */
import type { RankerDefinition } from '@millrace/core'
import type { FeatureReader, FeatureRows, RowEntities, ServicePlan } from '@millrace/features'
import { partsOfKey, type ItemIndex } from '../catalogue/index.ts'

/** A ranker, compiled for its surface. */
export interface CompiledRanker {
  readonly plan: ServicePlan
  readonly candidates: number
  readonly terms: readonly (readonly [name: string, term: RankerDefinition['terms'][string]])[]
  /** Kind of the items. */
  readonly kind: string
}

/** For whom and when rows are read. */
export interface RowsOf {
  readonly person: string | undefined
  readonly atMs: number
  readonly told: Readonly<Record<string, unknown>> | undefined
}

/** The rows that were read last, in the order of the candidates. */
export interface ReadRows {
  readonly rows: FeatureRows
  readonly told: Readonly<Record<string, unknown>> | undefined
  readonly kind: string
  readonly ids: readonly string[]
  /** The person, where the service is about people. */
  readonly shared: RowEntities
  /** Numbers of the candidates; those of another request after the next `score`. */
  readonly items: Int32Array
}

/** The entities of a row that was read. */
export const entitiesOf = ({ kind, ids, shared }: ReadRows, row: number): RowEntities => ({
  ...shared,
  [kind]: ids[row] as string,
})

/** One row after the other, as terms see it: a property for each column. */
class RowView {
  #rows: FeatureRows | undefined
  #base = 0
  /** Columns that were looked at. */
  #noted: Set<string> | undefined

  constructor(columns: readonly string[]) {
    for (const [cell, column] of columns.entries()) {
      Object.defineProperty(this, column, {
        enumerable: true,
        get: () => {
          this.#noted?.add(column)
          const { others, values } = this.#rows as FeatureRows
          return others[this.#base + cell] ?? values[this.#base + cell]
        },
      })
    }
  }

  at(rows: FeatureRows, row: number, noted?: Set<string>): this {
    this.#rows = rows
    this.#base = row * rows.columns.length
    this.#noted = noted
    return this
  }
}

/** See the head of the file. */
export class FeatureTerms {
  /** Rows for which a term failed, by `<surface>.<term>`, since the process started. */
  readonly failures = new Map<string, number>()
  /** What `score` read last. */
  last: ReadRows | undefined
  readonly #reader: Pick<FeatureReader, 'readKind'>
  readonly #index: ItemIndex
  readonly #views = new Map<ServicePlan, RowView>()
  /** Ids by item number: a text that was made once has its hash, and is found without another. */
  readonly #ids: string[] = []

  constructor(ports: {
    readonly reader: Pick<FeatureReader, 'readKind'>
    readonly index: ItemIndex
  }) {
    this.#reader = ports.reader
    this.#index = ports.index
  }

  /** Puts the terms of the first `size` candidates into `terms`, by term and item, and their sums into `totals`. */
  score(
    { plan, terms, kind }: CompiledRanker,
    of: RowsOf & { readonly surface: string },
    candidates: { readonly pool: Int32Array; readonly size: number },
    to: { readonly totals: Float64Array; readonly terms: readonly Float64Array[] },
  ): void {
    const { pool, size } = candidates
    const ids: string[] = []
    for (let at = 0; at < size; at++) ids.push(this.#idOf(pool[at] as number))
    const shared: Record<string, string> = plan.service.entities.includes('person')
      ? { person: of.person ?? '' }
      : {}
    const context = of.told === undefined ? {} : { context: of.told }
    const rows = this.#reader.readKind({ service: plan.name, kind, ids, shared, atMs: of.atMs, ...context }) // prettier-ignore
    this.last = { rows, kind, ids, shared, items: pool.subarray(0, size), told: of.told }
    const view = this.#viewOf(plan)
    for (let at = 0; at < size; at++) {
      const item = pool[at] as number
      view.at(rows, at)
      let total = 0
      for (let place = 0; place < terms.length; place++) {
        const [name, term] = terms[place] as CompiledRanker['terms'][number]
        const value = this.#valueOf(term, view, `${of.surface}.${name}`)
        ;(to.terms[place] as Float64Array)[item] = value
        total += value
      }
      to.totals[item] = total
    }
  }

  /** The columns that each term looks at in the row of a candidate. */
  columnsOf({ plan, terms }: CompiledRanker, item: number): readonly ReadonlySet<string>[] {
    const { rows, items } = this.last as ReadRows
    const row = items.indexOf(item)
    return terms.map(([, term]) => {
      const noted = new Set<string>()
      const view = this.#viewOf(plan).at(rows, row, noted)
      try {
        term(view as never)
      } catch {
        // It was counted when it scored.
      }
      return noted
    })
  }

  #valueOf(term: CompiledRanker['terms'][number][1], view: RowView, name: string): number {
    try {
      const value = term(view as never)
      if (Number.isFinite(value)) return value
    } catch {
      // Counted like a value that is none.
    }
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1)
    return 0
  }

  #idOf(item: number): string {
    return (this.#ids[item] ??= partsOfKey(this.#index.space.keyOf(item)).id)
  }

  #viewOf(plan: ServicePlan): RowView {
    const known = this.#views.get(plan)
    if (known !== undefined) return known
    const view = new RowView(plan.columns)
    this.#views.set(plan, view)
    return view
  }
}
