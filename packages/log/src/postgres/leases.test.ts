/** How often a process that the others forgot asks to be admitted again, while it is refused. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { silentLogger } from '@millrace/core'
import { createSimClock } from '@millrace/sim'
import type { Database } from './database.ts'
import { PostgresLeases } from './leases.ts'

const MINUTE_MS = 60_000

it('a process that is not admitted asks ever more rarely, one attempt at a time, and is back when it may', async () => {
  const clock = createSimClock({ seed: 1 })
  const tried = { entries: 0, beats: 0 }
  let isForgotten = false
  let isRefused = false
  const sight = JSON.stringify({ members: [], leases: [] })
  const database: Pick<Database, 'query'> = {
    async query(text) {
      if (text.startsWith('INSERT')) {
        tried.entries += 1
        isForgotten = isRefused
        return [[`m${tried.entries}`]]
      }
      if (!text.includes('beat')) return []
      tried.beats += 1
      return [[isForgotten ? null : sight]]
    },
  }
  const leases = await PostgresLeases.enter({
    database: database as Database,
    clock,
    random: undefined,
    logger: silentLogger,
    leaseMs: 2_000,
    admit: async () => {
      if (isRefused) throw new Error('the data was moved')
    },
    refresh: async () => undefined,
    notify: () => undefined,
  })
  leases.start()
  await clock.runUntil(10_000)
  assert.deepEqual(tried, { entries: 1, beats: 40 })

  isForgotten = isRefused = true
  Object.assign(tried, { entries: 0, beats: 0 })
  await clock.runUntil(10_000 + MINUTE_MS)
  assert.ok(tried.entries >= 6 && tried.entries <= 12, `${tried.entries} entries were tried`)
  assert.equal(tried.beats, tried.entries)
  await assert.rejects(leases.enterAgain(leases.member), /the data was moved/)
  assert.equal(tried.beats, tried.entries, 'whoever asks meanwhile hears of the last refusal')

  isRefused = false
  await clock.runUntil(20_000 + MINUTE_MS)
  Object.assign(tried, { entries: 0, beats: 0 })
  await clock.runUntil(30_000 + MINUTE_MS)
  assert.deepEqual(tried, { entries: 0, beats: 40 })
  await leases.close()
})
