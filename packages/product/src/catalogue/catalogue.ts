/** The catalogue module: items of all declared kinds, changed by events, read in O(1). */
import type { CompiledTable } from '@millrace/core'
import { tableFold } from '@millrace/streams'
import { productErrors } from '../errors.ts'
import { defineModule, type ModuleContext, type ProductModule } from '../module.ts'
import { TableWriter, type RowPut, type RowsWritten } from '../table-writer.ts'
import { ItemIndex, type Attributes } from './item-index.ts'
import { itemKey } from './item-space.ts'
import { catalogueRoutes } from './routes.ts'
import { noteChanges } from './table-changes.ts'

/** An item as reads give it. */
export interface ItemView {
  readonly kind: string
  readonly id: string
  readonly attributes: Attributes
}

/** What other modules and the host process may call. */
export interface Catalogue {
  /** The dense index, brought up to date. */
  index(): ItemIndex
  /** A current item; undefined when there is none. Throws KIND_UNKNOWN. */
  get(kind: string, id: string): ItemView | undefined
  /** Items after `after` in the order of their ids. */
  page(
    kind: string,
    options: { after?: string | undefined; prefix?: string | undefined; limit: number },
  ): readonly ItemView[]
  /** Puts items; each is refused for itself. */
  put(kind: string, rows: readonly RowPut[]): Promise<RowsWritten>
  remove(kind: string, row: Omit<RowPut, 'attributes'>): Promise<RowsWritten>
}

/** The catalogue module. */
export function createCatalogue(): ProductModule<Catalogue> {
  return defineModule<Catalogue>({
    name: 'catalogue',
    errors: productErrors,
    folds: app =>
      (app.options.items ?? []).map(({ name }) => noteChanges(app, name, tableFold(name))),
    open(context) {
      const index = new ItemIndex(context)
      const api = createApi(context, index)
      return {
        api,
        routes: catalogueRoutes(context, api),
        metrics: [
          {
            name: 'millrace_catalogue_items',
            help: 'Listed items by kind.',
            type: 'gauge',
            collect() {
              index.refresh()
              return [...index.kinds()].map(({ name }) => ({
                labels: { kind: name },
                value: index.countOf(name),
              }))
            },
          },
        ],
        close: async () => index.close(),
      }
    },
  })
}

function createApi(context: ModuleContext, index: ItemIndex): Catalogue {
  const { app } = context
  const writer = new TableWriter(context)
  const tableOf = (kind: string): CompiledTable => {
    const table = app.tables.get(kind)
    if (table?.definition.kind !== 'item') {
      const known = (app.options.items ?? []).map(({ name }) => name).join(', ')
      throw productErrors.create('KIND_UNKNOWN', { kind: kind.slice(0, 64), known })
    }
    return table
  }
  const view = (kind: string, id: string): ItemView | undefined => {
    const number = index.space.find(itemKey(kind, id))
    const attributes = number < 0 ? undefined : index.attributesOf(number)
    return attributes === undefined ? undefined : { kind, id, attributes }
  }
  return {
    index() {
      index.refresh()
      return index
    },
    get(kind, id) {
      tableOf(kind)
      index.refresh()
      return view(kind, id)
    },
    page(kind, options) {
      tableOf(kind)
      index.refresh()
      return index.page(kind, options).map(id => view(kind, id) as ItemView)
    },
    put: async (kind, rows) => writer.put(tableOf(kind), rows),
    remove: async (kind, row) => writer.remove(tableOf(kind), row),
  }
}
