/** What the view of comments should say, computed from the log in the naive way. */
import assert from 'node:assert/strict'
import type { LogRecord } from '@millrace/log'
import { REBUILDS_STREAM } from '@millrace/streams'
import type { Millrace } from '../millrace.ts'

/** The fold of the view that comes in two versions. */
export const FOLD = 'view.comments'
const PEOPLE = 12
const BATCH = 24

/** A batch of comments; every other person writes short ones. */
export function commentsFrom(
  first: number,
): { type: string; id: string; data: Record<string, unknown> }[] {
  return Array.from({ length: BATCH }, (_, at) => {
    const number = first + at
    const body = number % 2 === 0 ? 'a comment of some length' : 'short'
    const data = { author: `p${number % PEOPLE}`, post: `x${number % 3}`, body }
    return { type: 'commented', id: `c${number}`, data }
  })
}

/** The build that the log names is served, and each of its rows is what its version makes of the log. */
export async function assertServed(millrace: Millrace): Promise<void> {
  const { log, streams } = millrace
  await millrace.reached(new Map(log.ends()), { timeoutMs: 60_000 })
  const decisions = await recordsOf(millrace, REBUILDS_STREAM)
  const switched = decisions.findLast(({ type }) => type === 'rebuild.switched')
  const named = switched?.data as { build: number; version: string } | undefined
  const status = streams.rebuilds.status(FOLD)
  assert.equal(status.live.build, named?.build ?? 0)
  if (named !== undefined) assert.equal(status.live.version, named.version)
  const counts = new Map<string, number>()
  const { definition, shardOf } = streams.fold(FOLD)
  // The second version is the one that replaces another.
  const isLong = definition.replaces !== undefined
  for (const { type, key, data } of await recordsOf(millrace, definition.source)) {
    if (type !== 'commented') continue
    const isCounted = !isLong || (data as { body: string }).body.length >= 10
    counts.set(key, (counts.get(key) ?? 0) + Number(isCounted))
  }
  for (const [key, count] of counts) {
    // A row that says nothing is kept by no snapshot.
    const row = definition.readKey?.(shardOf(key), key) as { count: number } | undefined
    assert.equal(row?.count ?? 0, count, `${key} in build ${status.live.build}`)
  }
}

/** All records of a stream. */
export async function recordsOf({ log }: Millrace, stream: string): Promise<readonly LogRecord[]> {
  const all: LogRecord[] = []
  for (const [name, end] of log.ends()) {
    const [own, partition] = name.split('/')
    if (own !== stream) continue
    for (let from = 0; from < end;) {
      const records = await log.read({ stream, partition: Number(partition), from })
      all.push(...records)
      from += records.length
    }
  }
  return all
}
