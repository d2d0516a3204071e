/** The changesets module: the one way to change many things, planned, approved, applied, undone. */
import { defineModule, type ProductModule } from '../module.ts'
import { ChangesetBook } from './book.ts'
import { branchPlanRoute } from './branch-routes.ts'
import { createCatalogueKind } from './catalogue-kind.ts'
import type { ChangeKind } from './change-kind.ts'
import { createCorrectionsKind } from './corrections-kind.ts'
import { createCommands, type Changesets } from './changesets.ts'
import { changesetErrors } from './errors.ts'
import { changesetStreams } from './events.ts'
import { changesetRoutes } from './routes.ts'
import { Runner } from './runner.ts'

/** The changesets module. Others bring kinds of change: `uses: ['changesets']`, then `api.register(kind)` when they open. */
export function createChangesets(): ProductModule<Changesets> {
  return defineModule<Changesets>({
    name: 'changesets',
    errors: changesetErrors,
    streams: () => changesetStreams,
    async open(context) {
      const book = await ChangesetBook.open(context)
      const kinds = new Map<string, ChangeKind>()
      const leads = context.leads ?? (() => true)
      const runner = new Runner({ ...context, book, kinds, leads })
      const api = createCommands({ context, book, kinds, onRegister: () => runner.wake() })
      api.register(createCatalogueKind(context))
      api.register(createCorrectionsKind(context))
      return {
        api,
        routes: [
          ...changesetRoutes(api),
          branchPlanRoute(context.app, api, context.streams.branches),
        ],
        metrics: [
          {
            name: 'millrace_changesets_count',
            help: 'Changesets by state.',
            type: 'gauge',
            collect() {
              const counts = new Map<string, number>()
              for (const { state } of book.all()) counts.set(state, (counts.get(state) ?? 0) + 1)
              return [...counts].map(([state, value]) => ({ labels: { state }, value }))
            },
          },
          {
            name: 'millrace_changesets_written_total',
            help: 'Values that runs of changesets wrote in this process.',
            type: 'counter',
            collect: () => [{ value: runner.written }],
          },
        ],
        async close() {
          await runner.close()
          book.close()
        },
      }
    },
  })
}
