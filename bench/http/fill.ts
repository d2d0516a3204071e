/** Fills a data directory with a product's history: items, and events with the skew of MovieLens-1M. */
import { createSeededRandom, silentLogger } from '@millrace/core'
import { openMillrace } from 'millrace'
import { product } from './product.ts'

/** People in the history, as in MovieLens-1M. */
export const PEOPLE = 6040
/** Items in the history, as in MovieLens-1M. */
export const ITEMS = 3706
const BATCH = 5000
const START_MS = 1_700_000_000_000

/** Writes `count` events and the items that they are about. */
export async function fillProduct(directory: string, count: number): Promise<void> {
  const millrace = await openMillrace({ app: product, data: directory, logger: silentLogger })
  const random = createSeededRandom(5)
  for (let index = 0; index < ITEMS; index++) {
    await millrace.items('clip').put(`c${index}`, {
      title: `Clip ${index}`,
      topics: [`topic ${index % 18}`],
      creator: `m${index % 400}`,
    })
  }
  for (let done = 0; done < count; done += BATCH) {
    const size = Math.min(BATCH, count - done)
    const events = Array.from({ length: size }, (_, place) => ({
      type: 'watched' as const,
      at: START_MS + done + place,
      data: {
        // Squares and cubes of uniform numbers: few people and items have most of the events.
        viewer: `p${Math.floor(random.next() ** 2 * PEOPLE)}`,
        clip: `c${Math.floor(random.next() ** 3 * ITEMS)}`,
        watchedMs: Math.floor(random.next() * 60_000),
      },
    }))
    await millrace.trackMany(events, { isHistory: true })
  }
  await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 600_000 })
  await millrace.close()
}
