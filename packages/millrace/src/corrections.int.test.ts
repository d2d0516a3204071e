/**
 * Changesets of corrections, and of merges and splits, applied and taken back by two processes over one
 * PostgreSQL while events arrive, one of which dies at a named step: the one that carries them out, or
 * the other one. Whoever lives goes on; nothing is written twice; afterwards both have the same, which
 * is what a rebuild gives and what anybody would count, and taken back it is what it was, to the byte.
 *
 * MILLRACE_CRASH_RUNS of 100 and more: each step, in both directions.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ChangesetView } from '@millrace/product'
import { clips, openForTest, watchedBy } from './testing/clips.ts'
import { withDatabase } from './testing/database.ts'
import { isFlowing, Pair, pause, until, type Told } from './testing/shared.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'

type Who = 'leader' | 'other'

/** Who dies at which step. */
type Death = readonly [who: Who, step: string]

/** What is applied in one round is taken back in the next. */
const DEATHS: readonly Death[] = [
  ['leader', 'written'],
  ['other', 'folded'],
  ['other', 'carried'],
  ['leader', 'decided'],
]
const LEADING = ['unwritten', 'written', 'undecided', 'decided', 'unnoted', 'noted', 'unended', 'ended'] // prettier-ignore
const FOLLOWING = ['folded', 'followedInPart', 'unmarked', 'marked']
const ALL_DEATHS: readonly Death[] = [
  ...LEADING.flatMap(step => [['leader', step] as const, ['leader', step] as const]),
  ...FOLLOWING.flatMap(step => (['leader', 'leader', 'other', 'other'] as const).map(who => [who, step] as const)), // prettier-ignore
]
const isLong = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 1) >= 100
const deaths = isLong ? ALL_DEATHS : DEATHS

const WINDOWED = 'view.recent'
const AT_MS = 1_700_000_000_000
/** Of every partition some. */
const PEOPLE = Array.from({ length: 12 }, (_, number) => `p${number}`)
const CLIPS = ['c0', 'c1', 'c2', 'c3', 'c4']
const FLOWING = { people: ['flow0', 'flow1', 'flow2', 'flow-visitor'], clips: ['flow-a', 'flow-b'] } // prettier-ignore
const KINDS = ['corrections', 'identities'] as const
const FOR_IDENTITIES = ['undecided', 'decided', 'uncarried', 'carried']
const LINKS = [
  { from: 'p10', into: 'p0' },
  { from: 'flow-visitor', into: 'flow0' },
]
/** Merged before, split by the changeset. */
const WAS = { from: 'p11', into: 'p1' }

interface Sent {
  readonly viewer: string
  readonly clip: string
  readonly watchedMs: number
}

type Counted = Readonly<Record<'plays' | 'time', ReadonlyMap<string, number>>>

/** What is sent, and what the changesets make of it. */
class World {
  readonly sent = new Map<string, Sent>()
  /** What the changeset of corrections says, undefined for what it retracts. */
  readonly corrections = new Map<string, Sent | undefined>()

  events(count: number, { people, clips: of }: typeof FLOWING): readonly object[] {
    return Array.from({ length: count }, (_, at) => {
      const id = `e${this.sent.size}`
      const viewer = people[at % people.length] as string
      const clip = of[(at * 7 + Math.floor(at / people.length)) % of.length] as string
      const data = { viewer, clip, watchedMs: 100 + at }
      this.sent.set(id, data)
      return watchedBy(viewer, clip, { id, at: AT_MS + at, watchedMs: data.watchedMs })
    })
  }

  /** Plans to retract the first event of each person, and to correct the second. */
  correctionRows(): readonly object[] {
    const seen = new Map<string, number>()
    for (const [id, sent] of this.sent) {
      const nth = (seen.get(sent.viewer) ?? 0) + 1
      seen.set(sent.viewer, nth)
      if (nth === 1) this.corrections.set(id, undefined)
      // Of those who flow no clip of the others: their neighbours change with what arrives.
      const clip = isFlowing(sent.clip) ? sent.clip : 'c0'
      if (nth === 2) this.corrections.set(id, { ...sent, clip, watchedMs: 7_000 })
    }
    return [...this.corrections].map(([id, data]) =>
      data === undefined ? { id, do: 'retract' } : { id, do: 'correct', data },
    )
  }

  /** Plays by clip and time by person, one by one. */
  counted(isApplied: boolean): Counted {
    const links = new Map((isApplied ? LINKS : [WAS]).map(({ from, into }) => [from, into]))
    const plays = new Map<string, number>()
    const time = new Map<string, number>([...links.keys()].map(id => [id, 0]))
    for (const [id, sent] of this.sent) {
      const data = isApplied && this.corrections.has(id) ? this.corrections.get(id) : sent
      if (data === undefined) continue
      const person = links.get(data.viewer) ?? data.viewer
      plays.set(data.clip, (plays.get(data.clip) ?? 0) + 1)
      time.set(person, (time.get(person) ?? 0) + data.watchedMs)
    }
    // Whoever asks for one of two who are one hears of both.
    for (const [from, into] of links) time.set(from, time.get(into) ?? 0)
    return { plays, time }
  }
}

if (server === undefined) {
  test('corrections on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  test('corrections, merges and splits go on in another process when one dies, and are taken back to the byte', () =>
    withDatabase(server, async directory => {
      const pair = new Pair(directory)
      try {
        await assertHolds(pair, directory)
      } finally {
        await pair.each(one => one.kill())
      }
    }))
}

async function assertHolds(pair: Pair, directory: string): Promise<void> {
  const world = new World()
  await pair.start()
  const send = (count: number, of: typeof FLOWING): Promise<unknown> =>
    pair.send('/v1/events', world.events(count, of))
  await send(10 * PEOPLE.length, { people: PEOPLE, clips: CLIPS })
  await send(20, FLOWING)
  await pair.send(`/v1/people/${WAS.from}/merge`, { into: WAS.into })
  const requests = {
    corrections: { rows: world.correctionRows() },
    identities: { rows: [...LINKS, { from: WAS.from }] },
  }
  for (const kind of KINDS) {
    await pair.send('/v1/changesets', { id: kind, kind, request: requests[kind] })
  }
  const first = still(await pair.tell())
  let applied: typeof first | undefined
  for (const [round, death] of deaths.entries()) {
    const isApplied = round % 2 === 0
    await die(pair, death, isApplied ? 'apply' : 'undo', () => send(FLOWING.people.length * 2, FLOWING)) // prettier-ignore
    const place = `round ${round}, in which the ${death[0]} died at ${death[1]}`
    const told = still(await pair.tell())
    if (isApplied) applied ??= told
    assert.deepEqual(told, isApplied ? applied : first, place)
    await assertCounted(pair, world.counted(isApplied), place)
  }
  assert.notDeepEqual(applied, first)
  await pair.each(one => one.close())
  await assertOnce(world, join(directory, 'last'))
}

/** What has to come back: windows go on with the time, which ticks bring. */
function still({ still: hashes }: Told): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(hashes).filter(([fold]) => fold !== WINDOWED))
}

/** Runs both changesets while events arrive and one process dies; resolves when they have ended everywhere. */
async function die(
  pair: Pair,
  [who, step]: Death,
  verb: 'apply' | 'undo',
  flow: () => Promise<unknown>,
): Promise<void> {
  const kind = FOR_IDENTITIES.includes(step) ? 'identities' : 'corrections'
  const [leader, other] = await pair.leaderOf(kind, clips.partitions)
  const [victim, survivor] = who === 'leader' ? [leader, other] : [other, leader]
  let isOver = false
  const flowing = (async () => {
    while (!isOver) await Promise.all([flow(), pause(100)])
  })()
  const ended = (): Promise<boolean[]> =>
    Promise.all(
      KINDS.flatMap(name =>
        pair.living.map(async one => {
          const { json } = await one.send(`/v1/changesets/${name}`)
          return (json as unknown as ChangesetView).run?.hasEnded === true
        }),
      ),
    )
  victim.dieAt(step)
  try {
    await Promise.all(KINDS.map(name => pair.send(`/v1/changesets/${name}/${verb}`, {})))
    await victim.died()
    // Either whoever is left goes on alone, or the one that died comes back in the middle of it.
    if (verb === 'undo') await pair.start()
    await until(async () => (await ended()).every(Boolean), `${verb} ends after ${step}`)
    await pair.start()
    await until(async () => (await ended()).every(Boolean), `${verb} has ended everywhere`)
  } finally {
    isOver = true
    await flowing
  }
  assert.ok(!survivor.isGone)
  for (const name of KINDS) {
    const { json } = await pair.send(`/v1/changesets/${name}`)
    const { state, run } = json as unknown as ChangesetView
    assert.deepEqual([state, run?.refused], [verb === 'apply' ? 'applied' : 'undone', 0])
  }
}

async function assertCounted(pair: Pair, expected: Counted, place: string): Promise<void> {
  for (const [view, values] of Object.entries(expected)) {
    for (const one of pair.servers) {
      const found = await Promise.all(
        [...values.keys()].map(async key => {
          const { json } = await one.send(`/v1/views/${view}/${key}`)
          return [key, json['value']] as const
        }),
      )
      assert.deepEqual(new Map(found), values, `${view} after ${place}`)
    }
  }
}

/** Of each event and each person the log has as many decisions as there were runs. */
async function assertOnce({ corrections }: World, data: string): Promise<void> {
  const millrace = await openForTest({ data })
  const { streams } = millrace
  for (const id of corrections.keys()) {
    assert.equal(streams.corrections.of(id).length, deaths.length, id)
  }
  for (const { from } of LINKS) assert.equal(streams.identities.history(from).length, deaths.length)
  assert.equal(streams.identities.history(WAS.from).length, 1 + deaths.length)
  await millrace.close()
}
