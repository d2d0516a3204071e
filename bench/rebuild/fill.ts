/** Fills a data directory with events: `node fill.ts <directory> <events> <people>`. */
import { createSeededRandom, deriveId, silentLogger } from '@millrace/core'
import type { NewEvent } from '@millrace/log'
import { openMillrace } from 'millrace'
import { app } from './app.ts'

const BATCH = 1_000
const START_MS = 1_750_000_000_000

const [directory = '', events = '0', people = '1'] = process.argv.slice(2)
const millrace = await openMillrace({ app, data: directory, logger: silentLogger })
const log = millrace.log as unknown as {
  commit(request: { events: readonly NewEvent[] }): Promise<unknown>
}
const random = createSeededRandom(1)
for (let start = 0; start < Number(events); start += BATCH) {
  const batch = Array.from({ length: BATCH }, (_, at): NewEvent => {
    const eventTimeMs = START_MS + (start + at) * 10
    const key = `person-${Math.floor(random.next() * Number(people))}`
    const data = { viewer: key, clip: `clip-${at % 997}`, ms: at * 30 }
    const id = deriveId(eventTimeMs, `${start + at}`)
    return {
      stream: 'person',
      type: 'watched',
      key,
      id,
      eventTimeMs,
      data,
      isUnique: true,
      definition: app.fingerprint,
    }
  })
  await log.commit({ events: batch })
}
await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 600_000 })
await millrace.close()
