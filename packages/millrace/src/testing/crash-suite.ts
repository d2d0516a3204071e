/** What a server keeps when it is killed, wherever its log is: the tests for each kind of data. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSeededRandom } from '@millrace/core'
import { openForTest, watchedBy } from './clips.ts'
import { startServer, type ChildServer } from './child.ts'
import { send } from './http.ts'

// Each starts everything anew, for seconds: the log and the runtime are killed more often by themselves.
const ROUNDS = Math.min(Number(process.env['MILLRACE_CRASH_RUNS'] ?? 3), 50)
// Everything that a directory ever took is compared and sent again, after every second kill: what the
// first lost would be missing then as well, and the server that starts in between repairs what it left.
const DIRECTORY_ROUNDS = 20
const COMPARED_ROUNDS = 2
const CLIENTS = 6

/** What clients know: events that were acknowledged, and events whose answer never came. */
interface Ledger {
  readonly acknowledged: Map<string, Record<string, unknown>>
  readonly unknown: Map<string, Record<string, unknown>>
  /** Answers that were no success and no lost connection. */
  readonly surprises: string[]
  onAnswer: () => void
}

const emptyLedger = (): Ledger => ({
  acknowledged: new Map(),
  unknown: new Map(),
  surprises: [],
  onAnswer: () => undefined,
})

/** Sends events in all forms until the server is gone. */
async function sendUntilGone(server: ChildServer, ledger: Ledger, round: number): Promise<void> {
  const client = async (number: number): Promise<void> => {
    for (let index = 0; ; index++) {
      const size = number % 3 === 0 ? 1 : 20
      const events = Array.from({ length: size }, (_, place) => {
        const id = `${round}-${number}-${index}-${place}`
        return watchedBy(`p${number}`, `c${place % 5}`, { id, at: 1_700_000_000_000 + index })
      })
      for (const event of events) ledger.unknown.set(event['id'] as string, event)
      const isLines = number % 3 === 1
      const body =
        size === 1
          ? events[0]
          : isLines
            ? events.map(event => JSON.stringify(event)).join('\n')
            : events
      const headers: Record<string, string> = isLines
        ? { 'content-type': 'application/x-ndjson' }
        : {}
      let answer
      try {
        answer = await send(server.url, '/v1/events', { body, headers })
      } catch {
        return
      }
      if (answer.status === 503) return
      if (answer.status > 201 || (answer.json['appended'] ?? size) !== size) {
        ledger.surprises.push(answer.text)
        ledger.onAnswer()
        return
      }
      for (const event of events) {
        ledger.unknown.delete(event['id'] as string)
        ledger.acknowledged.set(event['id'] as string, event)
      }
      ledger.onAnswer()
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)))
}

/** Resolves when the clients have so many acknowledgements more, or stopped for a reason. */
function acknowledgements(ledger: Ledger, more: number): Promise<void> {
  const wanted = ledger.acknowledged.size + more
  return new Promise(resolve => {
    ledger.onAnswer = () => {
      if (ledger.acknowledged.size >= wanted || ledger.surprises.length > 0) resolve()
    }
  })
}

/** Opens the directory in this process and compares log and views with what the clients know. */
async function verify(directory: string, ledger: Ledger): Promise<void> {
  const millrace = await openForTest({ data: directory })
  const seen = new Set<string>()
  const plays = new Map<string, number>()
  for (const [name, end] of millrace.log.ends()) {
    const [stream, partition] = name.split('/') as [string, string]
    if (stream !== 'person') continue
    let offset = 0
    while (offset < end) {
      for (const record of await millrace.log.read({
        stream,
        partition: Number(partition),
        from: offset,
      })) {
        assert.equal(record.offset, offset)
        offset += 1
        if (record.type !== 'watched') continue
        assert.ok(!seen.has(record.id), `${record.id} is there once`)
        seen.add(record.id)
        const known = ledger.acknowledged.get(record.id) ?? ledger.unknown.get(record.id)
        assert.deepEqual(record.data, known?.['data'])
        const { clip } = record.data as { clip: string }
        plays.set(clip, (plays.get(clip) ?? 0) + 1)
      }
    }
  }
  for (const id of ledger.acknowledged.keys()) assert.ok(seen.has(id), `${id} was acknowledged`)
  await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
  for (const [clip, count] of plays) assert.equal(millrace.view('plays').get(clip).value, count)
  // Everything sent again, acknowledged or not: there once, whatever became of it the first time.
  const again = [...ledger.acknowledged.values(), ...ledger.unknown.values()]
  for (let at = 0; at < again.length; at += 1000) {
    const part = again.slice(at, at + 1000) as unknown as Parameters<typeof millrace.trackMany>[0]
    const outcome = await millrace.trackMany(part)
    assert.equal(outcome.counts.conflicts + outcome.counts.invalid, 0)
    outcome.results().forEach((result, index) => {
      const id = part[index]?.id as string
      assert.equal(result.status, seen.has(id) ? 'duplicate' : 'appended')
    })
  }
  for (const [id, event] of ledger.unknown) ledger.acknowledged.set(id, event)
  ledger.unknown.clear()
  await millrace.close()
}

/** Kills the server of one directory so many times, and compares. */
async function killAgainAndAgain(
  directory: string,
  rounds: number,
  next: () => number,
): Promise<void> {
  const ledger = emptyLedger()
  for (let round = 0; round < rounds; round++) {
    const server = await startServer(directory, { isToBeKilled: true })
    const sending = sendUntilGone(server, ledger, round)
    await acknowledgements(ledger, 20 + Math.floor(next() * 150))
    await server.stop('SIGKILL')
    await sending
    assert.deepEqual(ledger.surprises, [])
    if (round % COMPARED_ROUNDS === COMPARED_ROUNDS - 1 || round === rounds - 1) {
      await verify(directory, ledger)
    }
  }
  assert.ok(ledger.acknowledged.size > 20 * rounds)
}

/**
 * Registers the tests; `withData` runs each with an empty place of its own for data, where it can
 * several at once: `places`.
 */
export function crashSuite(
  name: string,
  withData: (run: (directory: string) => Promise<void>) => Promise<void>,
  { places = 1 } = {},
): void {
  describe(`a server under load, ${name}`, () => {
    it('that is killed keeps every acknowledged event, once, and its views', async t => {
      const seed = Number(process.env['MILLRACE_CRASH_SEED'] ?? 11)
      t.diagnostic(`seed ${seed}, ${ROUNDS} rounds`)
      let taken = 0
      const takeAll = async (): Promise<void> => {
        while (taken < ROUNDS) {
          const first = taken
          taken += DIRECTORY_ROUNDS
          const random = createSeededRandom(seed + first)
          const rounds = Math.min(DIRECTORY_ROUNDS, ROUNDS - first)
          await withData(directory => killAgainAndAgain(directory, rounds, () => random.next()))
        }
      }
      await Promise.all(Array.from({ length: places }, takeAll))
    })

    it('that is told to stop answers what it took, and loses nothing', () =>
      withData(async directory => {
        const ledger = emptyLedger()
        const server = await startServer(directory)
        const sending = sendUntilGone(server, ledger, 0)
        await acknowledgements(ledger, 300)
        assert.equal(await server.stop('SIGTERM'), 0)
        await sending
        assert.deepEqual(ledger.surprises, [])
        await verify(directory, ledger)
      }))

    it('is taken up where it was left', () =>
      withData(async directory => {
        const first = await openForTest({ data: directory })
        await first.items('clip').put('c', { title: 'C', topics: [], creator: 'x' })
        await first.track('watched', { viewer: 'p', clip: 'c', watchedMs: 7 }, { id: 'kept' })
        await first.close()
        const second = await openForTest({ data: directory })
        assert.equal(second.view('time').get('p').value, 7)
        assert.equal(second.items('clip').get('c')?.title, 'C')
        const again = await second.track(
          'watched',
          { viewer: 'p', clip: 'c', watchedMs: 7 },
          { id: 'kept' },
        )
        assert.equal(again.status, 'duplicate')
        await second.close()
      }))
  })
}
