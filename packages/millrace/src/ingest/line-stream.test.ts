import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { createIdSource, createSeededRandom, isError, systemClock } from '@millrace/core'
import { logErrors, type CommitRequest, type EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { clips, watchedBy } from '../testing/clips.ts'
import { createIngest, type BodyOutcome, type Ingest } from './ingest.ts'
import type { EventResult } from './results.ts'

const limits = { eventsMax: 10, eventBytesMax: 1000, depthMax: 8 }
const LINES = 12_000

/** A body of more than a megabyte, some lines of which are no events. */
function bodyOf(lines: number): Buffer {
  const random = createSeededRandom(3)
  const texts = Array.from({ length: lines }, (_, index) => {
    const kind = Math.floor(random.next() * 200)
    if (kind === 0) return 'no json'
    if (kind === 1) return ''
    if (kind === 2) return `{"type":"watched","data":"${'x'.repeat(1500)}"}`
    if (kind === 3) return JSON.stringify({ type: 'unheard', data: {} })
    const id = `e${kind === 4 ? index - 1 : index}`
    return JSON.stringify({ ...watchedBy(`p${index % 100}`, 'c', { id }), at: 5 })
  })
  return Buffer.from(texts.join('\n'))
}

async function* inChunks(body: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += size) yield Buffer.from(body.subarray(at, at + size))
}

describe('a body of lines', () => {
  let memory: EventLog
  let log: EventLog
  let ingest: Ingest
  let refuse: (request: CommitRequest) => void
  let released: number
  const take = async (chunks: AsyncIterable<Buffer>): Promise<BodyOutcome[]> => {
    const outcomes: BodyOutcome[] = []
    const onReleased = (bytes: number): void => void (released += bytes)
    for await (const outcome of ingest.lines(chunks, { onReleased })) outcomes.push(outcome)
    return outcomes
  }
  const resultsOf = (outcomes: readonly BodyOutcome[]): EventResult[] =>
    outcomes.flatMap(outcome => [...outcome.results()])

  beforeEach(async () => {
    released = 0
    refuse = () => undefined
    memory = openMemoryLog({ clock: systemClock })
    await memory.declare(clips.streams)
    const commit: EventLog['commit'] = async request => {
      refuse(request)
      return memory.commit(request)
    }
    log = new Proxy(memory, {
      get(target, name) {
        return name === 'commit' ? commit : (Reflect.get(target, name, target) as unknown)
      },
    })
    const newId = createIdSource({ clock: systemClock, random: createSeededRandom(1) })
    ingest = createIngest({ app: clips, log, clock: systemClock, newId, limits })
  })

  it('gives, part by part, what it gives line by line', async () => {
    const body = bodyOf(LINES)
    const outcomes = await take(inChunks(body, 64 * 1024))
    assert.ok(outcomes.length >= 3, `${outcomes.length} parts`)
    assert.equal(released, body.length)
    const results = resultsOf(outcomes)

    const other = openMemoryLog({ clock: systemClock })
    await other.declare(clips.streams)
    const newId = createIdSource({ clock: systemClock, random: createSeededRandom(2) })
    const alone = createIngest({ app: clips, log: other, clock: systemClock, newId, limits })
    let index = 0
    for (const [number, line] of body.toString().split('\n').entries()) {
      if (line === '') continue
      const outcome = await alone.body(Buffer.from(line), 'ndjson')
      const expected = outcome.results()[0] as EventResult
      const result = results[index] as EventResult
      assert.deepEqual({ ...result, index: 0, line: 0 }, { ...expected, index: 0, line: 0 })
      if ('index' in result) assert.equal(result.index, index)
      if ('line' in result) assert.equal(result.line, number + 1)
      index += 1
    }
    assert.equal(results.length, index)
    assert.deepEqual(memory.ends(), other.ends())
  })

  it('waits while the log has no room, and keeps its order', async () => {
    let tries = 0
    refuse = () => {
      tries += 1
      if (tries % 2 === 1 || tries > 6) return
      throw logErrors.create('LOG_OVERLOADED', { queuedBytes: 1, limitBytes: 1, retryAfterMs: 1 })
    }
    const body = bodyOf(LINES)
    const results = resultsOf(await take(inChunks(body, 100_000)))
    assert.ok(tries > 3)
    assert.ok(results.filter(result => result.status === 'appended').length > 0.9 * LINES)
    for (const [name, end] of memory.ends()) {
      const [stream, partition] = name.split('/') as [string, string]
      const request = { stream, partition: Number(partition), from: 0, recordsMax: end }
      const ids = (await memory.read(request)).map(({ id }) => Number(id.slice(1)))
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      )
    }
  })

  it('is refused as a whole when the log has no room at its beginning', async () => {
    refuse = () => {
      throw logErrors.create('LOG_OVERLOADED', { queuedBytes: 1, limitBytes: 1, retryAfterMs: 1 })
    }
    const taken = take(inChunks(bodyOf(LINES), 100_000))
    await assert.rejects(taken, error => isError(error, 'LOG_OVERLOADED'))
  })

  it('is taken no further than where a part was refused', async () => {
    let commits = 0
    refuse = () => {
      commits += 1
      if (commits >= 2) throw logErrors.create('LOG_READ_ONLY', { reason: 'the disk failed' })
    }
    const taken = take(inChunks(bodyOf(LINES), 64 * 1024))
    await assert.rejects(taken, error => isError(error, 'LOG_READ_ONLY'))
    assert.equal(commits, 2)
  })

  it('is taken up to the last whole block when it is cut off', async () => {
    const body = bodyOf(LINES)
    async function* cutOff(): AsyncGenerator<Buffer> {
      yield* inChunks(body.subarray(0, 700_000), 70_000)
      throw new RangeError('cut off')
    }
    await assert.rejects(take(cutOff()), RangeError)
    const taken = [...memory.ends().values()].reduce((sum, end) => sum + end, 0)
    assert.ok(taken > 1000 && taken < 0.7 * LINES, `${taken} events`)
  })

  it('may have a line of any length', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      yield Buffer.from(`${JSON.stringify(watchedBy('p', 'c', { id: 'a' }))}\n{"type":"`)
      for (let piece = 0; piece < 100; piece++) yield Buffer.alloc(50_000, 'x')
      yield Buffer.from(`"}\n${JSON.stringify(watchedBy('p', 'c', { id: 'b' }))}`)
    }
    const results = resultsOf(await take(endless()))
    assert.deepEqual(
      results.map(result => ('code' in result ? result.code : result.id)),
      ['a', 'EVENT_TOO_LARGE', 'b'],
    )
    assert.ok(released > 5_000_000)
  })
})
