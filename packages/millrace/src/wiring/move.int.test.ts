/** A product moves to PostgreSQL and back: events keep coming, the move is killed, nothing is lost or doubled. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock, systemRandom } from '@millrace/core'
import { startServer, type ChildServer } from '../testing/child.ts'
import { watchedBy } from '../testing/clips.ts'
import { withDatabase } from '../testing/database.ts'
import { send } from '../testing/http.ts'
import { databaseHome } from './move-homes.ts'

const server = process.env['MILLRACE_TEST_POSTGRES']
const reason =
  process.env['MILLRACE_TEST_POSTGRES_ABSENT'] ??
  'MILLRACE_TEST_POSTGRES names no server; `npm test -- --int` starts one'
const COMMAND = fileURLToPath(new URL('../../bin/millrace.mjs', import.meta.url))
const CLIPS = 5
const BATCH = 20
const PAUSE_MS = 20
const EVENTS_MAX = 5_000

interface Moved {
  readonly code: number | null
  readonly said: Record<string, unknown> & { readonly error?: { readonly code: string } }
}

/** Runs the command; killed when it has said `killAt`. */
function move(words: readonly string[], url: string, killAt?: RegExp): Promise<Moved> {
  const child = spawn(process.execPath, [COMMAND, 'move', ...words, '--database', url, '--json'])
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
    if (killAt?.test(err) === true) child.kill('SIGKILL')
  })
  return new Promise(resolve => {
    child.on('close', code => {
      const said = (out === '' ? { err } : JSON.parse(out)) as Moved['said']
      resolve({ code, said })
    })
  })
}

/** What its clients know of a product. */
class Clients {
  /** Ids of acknowledged events, by number. */
  readonly known: number[] = []
  key = ''

  async #send(url: string, numbers: readonly number[]): Promise<Record<string, unknown>> {
    const body = numbers.map(number =>
      watchedBy(`p${number % 11}`, `c${number % CLIPS}`, {
        id: `e${number}`,
        at: 1_767_607_200_000,
      }),
    )
    const headers: Record<string, string> =
      this.key === '' ? {} : { authorization: `Bearer ${this.key}` }
    const { status, json, text } = await send(url, '/v1/events', { body, headers })
    assert.equal(status, 200, text)
    return json
  }

  /** Sends batches until the server is gone; gives how many were acknowledged. */
  async work(url: string, batches = Infinity): Promise<void> {
    for (let batch = 0; batch < batches; batch++) {
      const first = (this.known.at(-1) ?? -1) + 1 + (batch === 0 ? BATCH : 0)
      const numbers = Array.from({ length: BATCH }, (_, index) => first + index)
      try {
        await this.#send(url, numbers)
      } catch (error) {
        if (error instanceof assert.AssertionError && batches < Infinity) throw error
        return
      }
      this.known.push(...numbers)
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
  }

  /** Everything acknowledged is recognised, and has its effect once. */
  async check(url: string): Promise<void> {
    const headers = { authorization: `Bearer ${this.key}` }
    let duplicates = 0
    for (let at = 0; at < this.known.length; at += EVENTS_MAX) {
      const json = await this.#send(url, this.known.slice(at, at + EVENTS_MAX))
      duplicates += json['duplicates'] as number
    }
    assert.equal(duplicates, this.known.length)
    for (let clip = 0; clip < CLIPS; clip++) {
      const { json: view } = await send(url, `/v1/views/plays/c${clip}`, { headers })
      const wanted = this.known.filter(number => number % CLIPS === clip).length
      const found = view['value'] as number
      // An event whose answer was lost may be there as well.
      assert.ok(found >= wanted && found <= wanted + BATCH, `${found} plays of c${clip}, ${wanted} known`) // prettier-ignore
    }
  }
}

if (server === undefined) {
  test('a product moves to PostgreSQL', { skip: reason }, () => assert.ok(server))
} else {
  describe('a product moves between its data directory and PostgreSQL', () => {
    it('while it serves, whatever is killed, and comes back with all that happened since', () =>
      withDatabase(server, async (directory, url) => {
        const old = join(directory, 'old')
        const clients = new Clients()
        const onFiles = { env: { DATABASE_URL: '' } }
        let running: ChildServer = await startServer(old, onFiles)
        await clients.work(running.url, 50)
        const made = await send(running.url, '/v1/keys', { body: { scope: 'admin', name: 'ops' } })
        clients.key = made.json['key'] as string
        const working = clients.work(running.url)

        // Killed when all but the newest is moved, and again while the server stops.
        await move(['to-postgres', '--data', old], url, /Stop now/)
        assert.equal((await send(running.url, '/healthz')).status, 200)
        await move(['to-postgres', '--data', old, '--stop'], url, /Stopping now/)
        const refused = await startServer(join(directory, 'early')).catch((error: unknown) => error)
        assert.match(String(refused), /ended with 1/, 'no server opens what is half moved')
        const { code, said } = await move(['to-postgres', '--data', old, '--stop'], url)
        await working
        assert.equal(code, 0, JSON.stringify(said))
        assert.ok((said['stoodStillMs'] as number) >= 0)
        const hashes = said['partitions'] as { records: number; sha256: string }[]
        assert.ok(hashes.every(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256)))
        assert.ok((said['records'] as number) >= clients.known.length)

        const back = await startServer(old, onFiles).catch((error: unknown) => error)
        assert.match(String(back), /ended with 1/, 'the copy is not opened')
        running = await startServer(join(directory, 'new'))
        await clients.check(running.url)
        await clients.work(running.url, 2)
        const headers = { authorization: `Bearer ${clients.key}` }
        const path = '/v1/log/streams/access.audit/0?from=0'
        const acts = await send(running.url, path, { headers })
        assert.match(acts.text, /moveData/)

        const other = await mkdtemp(join(tmpdir(), 'millrace-other-'))
        const lone = await startServer(other, onFiles)
        await lone.stop('SIGTERM')
        const taken = await move(['to-postgres', '--data', other], url)
        assert.equal(taken.said.error?.code, 'MOVE_TARGET_TAKEN')
        await rm(other, { recursive: true })

        const returning = move(['from-postgres', '--data', old], url)
        await running.stop('SIGTERM')
        const returned = await returning
        assert.equal(returned.code, 0, JSON.stringify(returned.said))
        running = await startServer(old, onFiles)
        await clients.check(running.url)
        assert.equal(await running.stop('SIGTERM'), 0)
      }))

    it('lets no server write that had claimed the database just before the mark', () =>
      withDatabase(server, async (directory, url) => {
        const clients = new Clients()
        const running = await startServer(join(directory, 'one'))
        await clients.work(running.url, 2)
        const home = await databaseHome(url, { clock: systemClock, random: systemRandom })
        // As if it had not been among the servers when the move looked.
        await home.seize('/elsewhere')
        const source = await home.openSource()
        const ends = [...source.ends()]
        const body = [watchedBy('late', 'c0', { id: 'late' })]
        const late = await send(running.url, '/v1/events', { body })
        assert.equal(late.status, 503, late.text)
        assert.equal(late.json['code'], 'LOG_READ_ONLY')
        assert.match(late.text, /elsewhere/)
        await source.refresh()
        assert.deepEqual([...source.ends()], ends)
        assert.deepEqual(await home.servers(), [])
        await home.close()
        await running.stop('SIGTERM')
      }))
  })
}
