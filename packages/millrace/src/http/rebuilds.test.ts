import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { silentLogger, type App } from '@millrace/core'
import { openMillrace, type Millrace } from '../millrace.ts'
import { send, type TestAnswer } from '../testing/http.ts'
import { app, nextApp } from '../testing/posts.ts'

const PEOPLE = 12
const fileOf = (name: string): string =>
  fileURLToPath(new URL(`../testing/${name}.ts`, import.meta.url))

/** A server of an app that is asked. */
class Asked {
  millrace!: Millrace
  url = ''

  async open(options: { app: App; data: string; appFile?: string }): Promise<void> {
    this.millrace = await openMillrace({ ...options, logger: silentLogger, port: 0 })
    this.url = (await this.millrace.listen()).url
  }

  async comment(from: number, to: number, body = (n: number) => `word ${n}`): Promise<void> {
    const events = Array.from({ length: to - from }, (_, at) => {
      const number = from + at
      const data = { author: `p${number % PEOPLE}`, post: `x${number % 3}`, body: body(number) }
      return { type: 'commented', id: `c${number}`, data }
    })
    const outcome = await this.millrace.trackMany(events)
    await this.millrace.reached(outcome.position, { timeoutMs: 60_000 })
  }

  ask(path: string, body?: unknown): Promise<TestAnswer> {
    return send(this.url, `/v1/rebuilds/comments${path}`, body === undefined ? {} : { body })
  }

  /** The status once nothing is under way. */
  async settled(): Promise<Record<string, unknown>> {
    await this.millrace.streams.rebuilds.settled('view.comments')
    return (await this.ask('')).json
  }

  async count(author: string): Promise<unknown> {
    const { json } = await send(this.url, `/v1/views/comments/${author}`)
    return (json['value'] as { count: number } | null)?.count ?? null
  }
}

const plain = (status: Record<string, unknown>): unknown => {
  const { live, before: last, open, state, error } = status as Record<string, { build: number; code: string }> // prettier-ignore
  return { live: live?.build, before: last?.build, open: open?.build, state, error: error?.code }
}

describe('rebuilds over HTTP, on threads', () => {
  const server = new Asked()
  let data = ''
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'millrace-rebuild-'))
    await server.open({ app, data, appFile: fileOf('posts') })
    await server.comment(0, 240)
  })
  after(async () => {
    await server.millrace.close()
    await rm(data, { recursive: true })
  })

  it('find what was planted, show it masked, switch, and go back', async () => {
    const shard = server.millrace.streams.fold('view.comments').shardOf('p3')
    const right = shard.encodeKey('p3')
    shard.decodeKey('p3', Buffer.from('{"state":{"body":"secret","count":7}}'))
    const begun = await server.ask('', {})
    assert.deepEqual([begun.status, begun.json['state']], [200, 'building'], begun.text)
    assert.equal((await server.ask('', {})).json['code'], 'REBUILD_RUNNING')
    const stopped = await server.settled()
    const refusal = { live: 0, before: undefined, open: 1, state: 'ready', error: 'REBUILD_REFUSED' } // prettier-ignore
    assert.deepEqual(plain(stopped), refusal, JSON.stringify(stopped))
    const { file, samples, keys } = stopped['comparison'] as { file: string; samples: unknown[]; keys: number } // prettier-ignore
    assert.equal(keys, PEOPLE)
    const found = {
      partition: (samples[0] as { partition: number }).partition,
      key: 'p3',
      kind: 'changed',
      live: { state: { body: '[personal]', count: 7 } },
      built: { state: { body: '[personal]', count: 20 } },
    }
    assert.deepEqual(samples, [found])
    assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), found)
    assert.equal((await server.ask('/switch', {})).json['code'], 'REBUILD_REFUSED')
    const switched = await server.ask('/switch', { maxDifferences: 1 })
    assert.deepEqual(plain(switched.json), { live: 1, before: 0, open: undefined, state: 'idle', error: undefined }) // prettier-ignore
    assert.deepEqual(server.millrace.streams.fold('view.comments').shardOf('p3').encodeKey('p3'), right) // prettier-ignore
    await server.comment(240, 252)
    const back = await server.ask('/back', {})
    assert.deepEqual(plain(back.json), { live: 0, before: 1, open: undefined, state: 'idle', error: undefined }) // prettier-ignore
    assert.equal(await server.count('p3'), 8)
    assert.equal((await server.ask('/back', {})).status, 200)
    assert.equal(await server.count('p3'), 21)
    const dropped = await server.ask('/drop', {})
    assert.deepEqual(plain(dropped.json), { live: 1, before: undefined, open: undefined, state: 'idle', error: undefined }) // prettier-ignore
    assert.equal((await server.ask('/back', {})).json['code'], 'REBUILD_NOTHING')
    assert.equal((await server.ask('/switch', {})).json['code'], 'REBUILD_NOT_READY')
    const audit = await server.millrace.log.read({ stream: 'access.audit', partition: 0, from: 0 })
    const acts = audit.flatMap(({ type, data: act }) => type === 'act.begun' ? [(act as { operation: string }).operation] : []) // prettier-ignore
    assert.deepEqual([...new Set(acts)], ['startRebuild', 'switchRebuild', 'undoRebuild', 'dropRebuild']) // prettier-ignore
  })

  it('say that there is no such view', async () => {
    const answer = await send(server.url, '/v1/rebuilds/none')
    assert.deepEqual([answer.status, answer.json['code']], [404, 'VIEW_UNKNOWN'])
  })

  it('serve the old version until the new one is switched to', async () => {
    await server.comment(252, 264, () => 'a comment of some length')
    await server.millrace.close()
    const appFile = join(data, 'next.mjs')
    await writeFile(appFile, `export { nextApp as app } from '${fileOf('posts')}'\n`)
    await server.open({ app: nextApp, data, appFile })
    assert.equal(await server.count('p3'), 22)
    assert.equal((await server.ask('', {})).json['code'], 'REBUILD_LIMIT_MISSING')
    await server.ask('', { maxDifferences: PEOPLE })
    const done = await server.settled()
    assert.deepEqual(plain(done), { live: 2, before: 1, open: undefined, state: 'idle', error: undefined }) // prettier-ignore
    const { samples } = done['comparison'] as { samples: readonly { live: unknown; built: unknown }[] } // prettier-ignore
    assert.deepEqual(samples[0], { ...samples[0], live: { count: 22, body: '[personal]' }, built: { count: 1, body: '[personal]' } }) // prettier-ignore
    assert.equal(await server.count('p3'), 1)
    await server.ask('/back', {})
    assert.equal(await server.count('p3'), 22)
  })

  it('tell why a thread could not go on', async () => {
    await server.millrace.close()
    // The file has only the first version.
    await server.open({ app: nextApp, data, appFile: fileOf('posts') })
    await server.ask('', { maxDifferences: PEOPLE })
    const failed = await server.settled()
    assert.deepEqual(plain(failed), { live: 1, before: 2, open: 3, state: 'failed', error: 'REBUILD_THREAD_FAILED' }) // prettier-ignore
    assert.match((failed['error'] as { message: string }).message, /REBUILD_DEFINITION_CHANGED/)
    await server.millrace.close()
    await server.open({ app: nextApp, data, appFile: fileOf('nothing') })
    await server.ask('', { maxDifferences: PEOPLE })
    assert.equal((plain(await server.settled()) as { error: string }).error, 'REBUILD_THREAD_FAILED') // prettier-ignore
  })
})

describe('rebuilds and replays in memory', () => {
  const server = new Asked()
  before(async () => {
    await server.open({ app, data: 'memory' })
    await server.comment(0, 120)
  })
  after(() => server.millrace.close())

  it('work in slices of the loop, and keep no file', async () => {
    server.millrace.streams.fold('view.comments').shardOf('p1').decodeKey('p1', undefined)
    await server.ask('', { isDryRun: true })
    const ready = await server.settled()
    assert.equal(ready['state'], 'ready')
    const comparison = ready['comparison'] as Record<string, unknown>
    assert.deepEqual([comparison['missing'], comparison['file']], [1, undefined])
    assert.equal((await server.ask('/switch', { maxDifferences: 1 })).status, 200)
    assert.equal(await server.count('p1'), 10)
  })

  const lines = async (path: string): Promise<Record<string, unknown>[]> => {
    const answer = await send(server.url, path)
    assert.equal(answer.status, 200, answer.text)
    assert.match(answer.headers.get('content-type') ?? '', /x-ndjson/)
    return answer.text.trimEnd().split('\n').map(line => JSON.parse(line) as Record<string, unknown>) // prettier-ignore
  }

  it('give a range of a stream as masked lines', async () => {
    const all = await lines('/v1/log/streams/person/replay')
    assert.equal(all.length, 120)
    assert.ok(all.every(({ data }) => (data as { body: unknown }).body === '[personal]'))
    const mine = await lines('/v1/log/streams/person/replay?key=p5')
    assert.deepEqual(mine.map(({ key }) => key), Array.from({ length: 10 }, () => 'p5')) // prettier-ignore
    const position = (await send(server.url, '/v1/views/comments/p5')).headers.get('millrace-position') // prettier-ignore
    await server.comment(120, 132)
    assert.equal((await lines(`/v1/log/streams/person/replay?from=${position}`)).length, 12)
    assert.equal((await lines(`/v1/log/streams/person/replay?to=${position}`)).length, 120)
    const ofKey = await lines(`/v1/log/streams/person/replay?key=p5&from=${position}`)
    assert.deepEqual(ofKey.map(({ id }) => id), ['c125']) // prettier-ignore
    const future = await send(server.url, '/v1/log/streams/person/replay?from=2100-01-01T00:00:00Z')
    assert.equal(future.text, '')
  })

  it('give what a view makes of a range', async () => {
    const rows = await lines('/v1/views/comments/replay?key=p5')
    assert.deepEqual(rows[0], { key: 'p5', value: { count: 11, body: '[personal]' } })
    const { to: _to, ...summary } = rows[1] ?? {}
    assert.deepEqual(summary, { records: 11, rows: 1, parked: [] })
    await server.comment(132, 134, () => 'broken')
    const all = await lines('/v1/views/comments/replay')
    const last = all.at(-1) as { parked: { key: string }[]; records: number }
    assert.deepEqual([last.records, last.parked.map(({ key }) => key).sort()], [134, ['p0', 'p1']])
  })

  it('refuse what they cannot find', async () => {
    for (const [path, code] of [
      ['/v1/log/streams/none/replay', 'LOG_STREAM_UNKNOWN'],
      ['/v1/views/none/replay', 'VIEW_UNKNOWN'],
      ['/v1/log/streams/person/replay?from=yesterday', 'REQUEST_INVALID'],
      ['/v1/log/streams/person/replay?to=p1.!', 'REQUEST_INVALID'],
      ['/v1/log/streams/person/replay?to=p1.cnViYmlzaA', 'POSITION_INVALID'],
    ] as const) {
      assert.equal((await send(server.url, path)).json['code'], code, path)
    }
  })
})
