/**
 * Erasures by two processes over one PostgreSQL, one of which dies at a named step: the one that
 * erases, or the other one. Whoever lives ends it; the key of the person is gone then, and nothing of
 * theirs is in the tables or the views, which are what a rebuild gives in both.
 *
 * MILLRACE_CRASH_RUNS of 100 and more: each step of both.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '@millrace/core'
import { Database } from '@millrace/log/postgres'
import { withDatabase } from './testing/database.ts'
import { dumpOf, keyOf } from './testing/letter-tables.ts'
import { Pair, until } from './testing/shared.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'

type Death = readonly [who: 'eraser' | 'other', step: string]

const DEATHS: readonly Death[] = [
  ['eraser', 'shut'],
  ['other', 'unclean'],
  ['eraser', 'clean'],
]
const ALL_DEATHS: readonly Death[] = [
  ...['begun', 'unshut', 'shut', 'unwritten', 'written', 'unretracted', 'retracted', 'unclean', 'clean', 'unended', 'ended'].map(step => ['eraser', step] as const), // prettier-ignore
  ...['unshut', 'shut', 'unclean', 'clean'].map(step => ['other', step] as const),
]
const deaths = Number(process.env['MILLRACE_CRASH_RUNS'] ?? 1) >= 100 ? ALL_DEATHS : DEATHS

const PEOPLE = deaths.map((_, round) => `person${round}`)
const secretsOf = (person: string): readonly string[] => [`${person}-writes`, `${person}-comments`]

if (server === undefined) {
  test('an erasure with deaths on PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  test('an erasure ends wherever one of two processes dies, and nothing is readable afterwards', () =>
    withDatabase(server, async (directory, url) => {
      const pair = new Pair(directory, 'letters')
      const database = new Database({ url, logger: silentLogger })
      try {
        await pair.start()
        await pair.send('/v1/events', PEOPLE.flatMap(eventsOf))
        for (const [round, death] of deaths.entries()) {
          await erase(pair, database, { person: PEOPLE[round] as string, death })
          await assertLeft(pair, PEOPLE.slice(round + 1))
        }
        await pair.each(one => one.close())
      } finally {
        await pair.each(one => one.kill())
        await database.close()
      }
    }))
}

function eventsOf(person: string): readonly object[] {
  const [letter, comment] = secretsOf(person)
  return [
    { type: 'wrote', id: `${person}-1`, data: { author: person, letter, words: 1 } },
    { type: 'commented', id: `${person}-2`, data: { clip: 'c1', by: person, comment } },
  ]
}

async function erase(
  pair: Pair,
  database: Database,
  { person, death: [who, step] }: { readonly person: string; readonly death: Death },
): Promise<void> {
  const [eraser, other] = pair.servers as [(typeof pair.servers)[0], (typeof pair.servers)[0]]
  assert.ok(await keyOf(database, person), 'the key is there')
  const victim = who === 'eraser' ? eraser : other
  victim.dieAt(step)
  const body = { people: [person], reason: 'asked for it' }
  const begun = await eraser.send('/v1/erasures', body).catch(() => undefined)
  assert.ok(begun === undefined || begun.status < 300, begun?.text)
  await victim.died()
  const hasEnded = async (): Promise<boolean> => {
    const { json } = await pair.send('/v1/erasures')
    const erasures = json['erasures'] as { people: readonly string[]; state: string }[]
    return erasures.some(one => one.people.includes(person) && one.state === 'ended')
  }
  await until(hasEnded, `the erasure ends without the ${who} that died at ${step}`)
  await pair.start()
  await pair.tell()
  assert.equal(await keyOf(database, person), undefined, `the key is gone after ${step}`)
  const dump = await dumpOf(database)
  for (const wanted of secretsOf(person)) {
    assert.ok(!dump.includes(wanted), `${person} is unreadable after a death at ${step}`)
  }
}

/** The views say what those wrote who are left, and nothing of the others. */
async function assertLeft(pair: Pair, left: readonly string[]): Promise<void> {
  const read = async (view: string, key: string): Promise<unknown> =>
    (await pair.send(`/v1/views/${view}/${key}`)).json['value']
  assert.deepEqual(
    await read('comments', 'c1'),
    left.map(person => secretsOf(person)[1]),
  )
  for (const person of PEOPLE) {
    const value = await read('lastLetter', person)
    assert.equal(value ?? '', left.includes(person) ? secretsOf(person)[0] : '', person)
  }
}
