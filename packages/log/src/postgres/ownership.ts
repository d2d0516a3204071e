/**
 * One process at a time writes to the log, when it is opened so. The row of a process in `members` is
 * its lease: it is renewed while the process lives, and whoever wants to own the log removes rows that
 * were not. Every commit locks the row of its process, so the name in it is a fencing token: a process
 * that was paused or cut off for longer than its lease finds its row gone, and cannot commit late.
 * Only the clock of the database counts.
 */
import type { Clock } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { Database } from './database.ts'

/** How often a process that waits looks whether the owner is gone. */
const LOOK_EVERY_MS = 100

/** The database gives the name: it is new, whatever the randomness of a process is worth. */
const ENTER = 'INSERT INTO $schema.members (member) VALUES (gen_random_uuid()) RETURNING member'

/** Enters a process that shares the log with others; gives its name. */
export async function join(database: Database): Promise<string> {
  const [row] = await database.query(ENTER)
  return row?.[0] as string
}

/**
 * Enters a process as the owner; gives its name. Waits for an owner that is silent until its lease is over; refuses
 * when it turns out to live (DATABASE_OWNED).
 */
export async function own(
  database: Database,
  { leaseMs, clock }: { readonly leaseMs: number; readonly clock: Clock },
): Promise<string> {
  const giveUpAtMs = clock.monotonicMs() + leaseMs + 2 * LOOK_EVERY_MS
  for (;;) {
    const { member, other } = await tryToOwn(database, leaseMs)
    if (member !== undefined) return member
    if (clock.monotonicMs() >= giveUpAtMs) {
      const { schema } = database
      throw logErrors.create('DATABASE_OWNED', { schema, member: other })
    }
    await new Promise<void>(resolve => clock.after(LOOK_EVERY_MS, resolve))
  }
}

/** Our name when the log is ours now, or that of the living member that is in the way. */
async function tryToOwn(
  database: Database,
  leaseMs: number,
): Promise<{ readonly member?: string; readonly other?: string }> {
  return database.transaction(async query => {
    const lock = `millrace ${database.schema} owner`
    await query('SELECT pg_advisory_xact_lock(hashtext($1))', [lock])
    // A commit under way holds its row: it is waited for, and is seen by whoever reads afterwards.
    await query(
      `DELETE FROM $schema.members
        WHERE seen_at < clock_timestamp() - $1::double precision * interval '1 millisecond'`,
      [leaseMs],
    )
    const [other] = await query('SELECT member FROM $schema.members LIMIT 1')
    if (other !== undefined) return { other: other[0] as string }
    const [entered] = await query(ENTER)
    return { member: entered?.[0] as string }
  })
}
