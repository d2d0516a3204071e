/** The catalogue module: items of all declared kinds, changed by events, read in O(1). */
import type { CompiledTable, Position } from '@millrace/core'
import {
  tableFold,
  tableFoldName,
  type Branch,
  type Moment,
  type VersionedTable,
} from '@millrace/streams'
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

/** An item as it was. */
export interface PastItem extends ItemView {
  /** The moment as a position of the stream of items. */
  readonly position: Position
}

/** What other modules and the host process may call. */
export interface Catalogue {
  /** The dense index, brought up to date. */
  index(): ItemIndex
  /** A current item; undefined when there is none. Throws KIND_UNKNOWN. */
  get(kind: string, id: string): ItemView | undefined
  /** An item as it was at a moment; undefined when there was none. Throws KIND_UNKNOWN; rejects as `streams.past`. */
  getAt(kind: string, id: string, at: Moment): Promise<PastItem | undefined>
  /** An item as it would be in a branch; undefined when there would be none. Throws KIND_UNKNOWN; rejects as the branch. */
  getIn(branch: Branch, kind: string, id: string): Promise<ItemView | undefined>
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
    async getAt(kind, id, at) {
      tableOf(kind)
      const request = { fold: tableFoldName(kind), key: id, at }
      const { shard, position } = await context.streams.past.state<VersionedTable>(request)
      const attributes = shard.asOf(id, Number.MAX_SAFE_INTEGER) as Attributes | undefined
      return attributes === undefined ? undefined : { kind, id, attributes, position }
    },
    async getIn(branch, kind, id) {
      tableOf(kind)
      const { shard } = await branch.state<VersionedTable>({ fold: tableFoldName(kind), key: id })
      const attributes = shard.asOf(id, Number.MAX_SAFE_INTEGER) as Attributes | undefined
      return attributes === undefined ? undefined : { kind, id, attributes }
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
