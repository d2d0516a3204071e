/** How often a process looks for a database that is away, and that it hears of one that is back. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { silentLogger } from '@millrace/core'
import { createSimClock } from '@millrace/sim'
import { StepBook } from '../step-book.ts'
import { Catalog } from './catalog.ts'
import type { Database } from './database.ts'
import { Tail } from './tail.ts'

const MINUTE_MS = 60_000

it('looks for a database that is away a bounded number of times, and hears when it is back', async () => {
  const clock = createSimClock({ seed: 1 })
  const tried = { listens: 0, queries: 0 }
  let isAway = false
  let end = (): void => undefined
  let notice = (_text: string): void => undefined
  const refuse = (): void => {
    if (isAway) throw new Error('connect ECONNREFUSED')
  }
  const database: Pick<Database, 'schema' | 'query' | 'listen'> = {
    schema: 'millrace',
    async query(text, parameters = []) {
      tried.queries += 1
      refuse()
      if (text.includes('pg_notify')) notice(parameters[1] as string)
      return [['[]', '[]', '1']]
    },
    async listen(_channel, onNotice, onEnd) {
      tried.listens += 1
      // Some drivers tell both ways that there is no session.
      if (isAway) onEnd()
      refuse()
      notice = onNotice
      end = onEnd
      return async () => undefined
    },
  }
  const tail = new Tail({
    database: database as Database,
    catalog: new Catalog(),
    steps: new StepBook(),
    clock,
    logger: silentLogger,
    member: () => 'me',
    pollMs: 250,
    onAdvance: () => undefined,
    onLeases: () => undefined,
  })
  tail.start()
  await clock.runUntil(1_000)
  assert.deepEqual([tail.isHearing, tail.awayReason], [true, undefined])

  isAway = true
  end()
  Object.assign(tried, { listens: 0, queries: 0 })
  await clock.runUntil(MINUTE_MS)
  assert.ok(tried.listens >= 5 && tried.listens <= 12, `${tried.listens} sessions were tried`)
  assert.ok(tried.queries >= 25 && tried.queries <= 40, `${tried.queries} reads were tried`)
  assert.equal(tail.isHearing, false)
  assert.match(tail.awayReason ?? '', /ECONNREFUSED/)

  isAway = false
  await clock.runUntil(MINUTE_MS + 2_500)
  assert.equal(tail.awayReason, undefined)
  await clock.runUntil(MINUTE_MS + 15_000)
  assert.equal(tail.isHearing, true)
  await tail.close()
  const { queries } = tried
  await clock.runUntil(2 * MINUTE_MS)
  assert.equal(tried.queries, queries, 'a closed one asks no more')
})
