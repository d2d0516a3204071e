/** What the compiler makes of a feature service: the columns of a row, and what has to be read for them. */
import {
  compileSchema,
  isUnfitted,
  deriveId,
  objectSchema,
  type AnyFeatureService,
  type AnyFeatureView,
  kindOfColumn,
  type AttributeFeature,
  type ContextFeature,
  type CrossedFeature,
  type DerivedFeature,
  type FeatureKind,
  type Field,
  type PreparedFeature,
  type PrepareStep,
  type StepFit,
  type RowFeature,
  type Validator,
  type ViewFeature,
} from '@millrace/core'
import { featuresErrors } from './errors.ts'
import type { FeaturePlan } from './plan.ts'

interface Node {
  /** Its cell in a row. */
  readonly cell: number
  readonly values: FeatureKind
}

/** Features of one view that are read of one key. */
export interface ViewNodes {
  readonly plan: FeaturePlan
  /** What the view's entity is paired with; undefined without pairs. */
  readonly pair: string | undefined
  readonly features: readonly number[]
  readonly cells: readonly number[]
}

/** An attribute of an entity. */
export interface AttributeNode extends Node, Pick<AttributeFeature, 'field' | 'default'> {
  readonly kind: string
}

/** What the request tells. */
export interface ContextNode extends Node, Pick<ContextFeature, 'name' | 'default'> {}

/** A feature that is computed from others. */
export interface DerivedNode extends Node, Pick<DerivedFeature, 'compute' | 'default'> {
  /** `<service>.<feature>`. */
  readonly fullName: string
  readonly inputs: readonly (readonly [name: string, cell: number])[]
}

/** A feature of pairs, for each text of another feature. */
export interface CrossedNode extends Node, Pick<CrossedFeature, 'reduce'> {
  readonly plan: FeaturePlan
  readonly feature: number
  /** The cell of the texts. */
  readonly over: number
}

/** A column that steps make from another one. */
export interface PreparedNode extends Node {
  readonly input: number
  /** The cell of the group. */
  readonly by: number | undefined
  readonly steps: readonly PrepareStep[]
  /** What the steps have learnt; undefined where nothing can be served yet. */
  readonly fits: readonly StepFit[] | undefined
}

/** A feature that is made from others, each after those that it is made from. */
export type MadeNode =
  | ({ readonly made: 'derived' } & DerivedNode)
  | ({ readonly made: 'crossed' } & CrossedNode)
  | ({ readonly made: 'prepared' } & PreparedNode)

/** A service, compiled. */
export interface ServicePlan {
  readonly name: string
  readonly service: AnyFeatureService
  /** Names of the columns: the first cells of a row, in order. */
  readonly columns: readonly string[]
  /** Cells of a row: the columns, then what they are made from. */
  readonly cells: number
  readonly views: readonly ViewNodes[]
  readonly attributes: readonly AttributeNode[]
  readonly context: readonly ContextNode[]
  readonly made: readonly MadeNode[]
  /** True when steps have learnt nothing: no row can be served. */
  readonly isUnfitted: boolean
  /** Checks what a request tells. */
  readonly contextValidator: Validator
  /** The folds that a row reflects. */
  readonly viewNames: readonly string[]
  /** What the rows depend on: a model pins it. */
  readonly fingerprint: string
}

/** Compiles a service that was checked by `defineApp`. */
export function planService(
  name: string,
  service: AnyFeatureService,
  plans: ReadonlyMap<string, FeaturePlan>,
): ServicePlan {
  const byView = new Map<AnyFeatureView, FeaturePlan>()
  for (const plan of plans.values()) byView.set(plan.view, plan)
  const builder = new RowBuilder(name, byView)
  const columns = Object.entries(service.columns)
  for (const [column, feature] of columns) builder.column(column, feature)
  for (const [cell, [column, feature]] of columns.entries()) builder.fill(cell, column, feature)
  const { views, attributes, context, made, fields } = builder
  const read = new Set([...views.keys(), ...made.flatMap(node => (node.made === 'crossed' ? node.plan : []))]) // prettier-ignore
  return {
    name,
    service,
    columns: columns.map(([column]) => column),
    cells: builder.cells,
    views: [...views].map(([plan, nodes]) => ({ plan, pair: plan.view.pair?.name, ...nodes })),
    attributes,
    context,
    made,
    isUnfitted: isUnfitted(service),
    contextValidator: compileSchema(objectSchema(fields)),
    viewNames: [...read].map(plan => plan.name),
    fingerprint: deriveId(0, JSON.stringify(builder.content)).slice(-12),
  }
}

class RowBuilder {
  readonly views = new Map<FeaturePlan, { features: number[]; cells: number[] }>()
  readonly attributes: AttributeNode[] = []
  readonly context: ContextNode[] = []
  readonly made: MadeNode[] = []
  readonly fields: Record<string, Field<unknown>> = {}
  /** What the rows depend on, in order. */
  readonly content: unknown[] = []
  cells = 0
  readonly #name: string
  readonly #plans: ReadonlyMap<AnyFeatureView, FeaturePlan>
  /** Cells of features that have one. */
  readonly #known = new Map<RowFeature, number>()

  constructor(name: string, plans: ReadonlyMap<AnyFeatureView, FeaturePlan>) {
    this.#name = name
    this.#plans = plans
  }

  /** Gives the next cell to a column. */
  column(name: string, feature: RowFeature): void {
    this.content.push(name)
    if (!this.#known.has(feature)) this.#known.set(feature, this.cells)
    this.cells += 1
  }

  /** The cell of a feature that others are made from; a cell behind the columns where it is none of them. */
  #cellOf(name: string, feature: RowFeature): number {
    const known = this.#known.get(feature)
    if (known !== undefined) {
      // A column that is made may stand behind the one that is made from it.
      if (!this.#filled.has(known)) this.fill(known, name, feature)
      return known
    }
    const cell = this.cells++
    this.#known.set(feature, cell)
    this.fill(cell, name, feature)
    return cell
  }

  readonly #filled = new Set<number>()

  fill(cell: number, name: string, feature: RowFeature): void {
    if (this.#filled.has(cell)) return
    this.#filled.add(cell)
    const values = kindOfColumn(feature) as FeatureKind
    switch (feature.source) {
      case 'view': {
        const { plan, index } = this.#planned(feature as ViewFeature)
        const nodes = this.views.get(plan) ?? { features: [], cells: [] }
        this.views.set(plan, nodes)
        nodes.features.push(index)
        nodes.cells.push(cell)
        return
      }
      case 'attribute': {
        const { of, field, default: fallback } = feature as AttributeFeature
        this.content.push(['attribute', of.name, field, fallback])
        this.attributes.push({ cell, values, kind: of.name, field, default: fallback })
        return
      }
      case 'context': {
        const { name: told, field, default: fallback } = feature as ContextFeature
        this.content.push(['context', told, field.schema, fallback])
        this.fields[told] = field.optional()
        this.context.push({ cell, values, name: told, default: fallback })
        return
      }
      case 'derived': {
        const derived = feature as DerivedFeature
        const inputs = Object.entries(derived.inputs).map(
          ([input, from]) => [input, this.#cellOf(input, from)] as const,
        )
        this.content.push(['derived', inputs, String(derived.compute), derived.default])
        this.made.push({
          made: 'derived',
          cell,
          values,
          fullName: `${this.#name}.${name}`,
          inputs,
          compute: derived.compute,
          default: derived.default,
        })
        return
      }
      case 'crossed': {
        const { feature: of, over, reduce } = feature as CrossedFeature
        const { plan, index } = this.#planned(of)
        this.content.push(['crossed', reduce])
        this.made.push({
          made: 'crossed',
          cell,
          values,
          plan,
          feature: index,
          over: this.#cellOf('over', over),
          reduce,
        })
        return
      }
      case 'prepared': {
        const { input, inputName, by, byName, steps, fitted } = feature as PreparedFeature
        const cells = {
          input: this.#cellOf(inputName, input),
          by: by === undefined ? undefined : this.#cellOf(byName ?? 'by', by),
        }
        this.#assertLearntFrom(name, feature as PreparedFeature)
        this.content.push(['prepared', cells, steps, fitted ?? null])
        this.made.push({ made: 'prepared', cell, values, ...cells, steps, fits: fitted?.fits })
      }
    }
  }

  /** What was learnt of another version of a feature is of no use for this one. */
  #assertLearntFrom(name: string, { input, fitted }: PreparedFeature): void {
    if (fitted === undefined || input.source !== 'view') return
    const { view, name: feature } = input as ViewFeature
    const plan = this.#plans.get(view) as FeaturePlan
    const found = plan.features.find(planned => planned.name === feature)
    if (found?.fingerprint === fitted.input) return
    throw featuresErrors.create('FITTED_OUTDATED', { service: this.#name, column: name, feature: `${plan.name}.${feature}` }) // prettier-ignore
  }

  #planned({ view, name }: ViewFeature): { plan: FeaturePlan; index: number } {
    const plan = this.#plans.get(view) as FeaturePlan
    const found = plan.features.find(feature => feature.name === name)
    this.content.push([plan.name, name, found?.fingerprint])
    return { plan, index: found?.index as number }
  }
}
