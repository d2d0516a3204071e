/** The erasure module: people are erased, and a report says what was and what could not be. */
import { invariant } from '@millrace/core'
import { defineModule, type ProductModule } from '../module.ts'
import { ErasureBook } from './book.ts'
import { ErasureRunner, type Erasures } from './erasures.ts'
import { erasureErrors } from './errors.ts'
import { erasureStreams } from './events.ts'
import { erasureRoutes } from './routes.ts'

/** The erasure module. */
export function createErasure(): ProductModule<Erasures> {
  return defineModule<Erasures>({
    name: 'erasure',
    errors: erasureErrors,
    uses: ['recommendations'],
    streams: () => erasureStreams,
    async open(context) {
      const { privacy } = context
      invariant(privacy !== undefined, 'whoever opens modules gives the keys of people')
      const book = await ErasureBook.open({ ...context, shut: people => privacy.shut(people), follow: people => privacy.follow(people) }) // prettier-ignore
      const { identities } = context.streams
      // Who was merged is one person: all ids of it, whichever was named.
      const idsOf = (people: readonly string[]): readonly string[] => [
        ...new Set(
          people.flatMap(id => {
            const person = identities.canonical(id)
            return [id, person, ...identities.members(person)]
          }),
        ),
      ]
      const runner = new ErasureRunner({ ...context, book, privacy, idsOf })
      // A log from before an erasure serves nothing of whom it does not know to be erased.
      await runner.beginAgain([...privacy.destroyed()])
      runner.resume()
      return {
        api: runner,
        routes: erasureRoutes(runner),
        metrics: [
          {
            name: 'millrace_erasures_count',
            help: 'Erasures of people, by whether they have ended.',
            type: 'gauge',
            collect() {
              const counts = { running: 0, ended: 0 }
              for (const { report } of book.all()) counts[report === undefined ? 'running' : 'ended'] += 1 // prettier-ignore
              return Object.entries(counts).map(([state, value]) => ({ labels: { state }, value }))
            },
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
