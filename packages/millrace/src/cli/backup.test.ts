import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { createSeededRandom } from '@millrace/core'
import { command, contentsOf, done, served, watches, type Served } from '../testing/backups.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'

/** A server, and what sends it watches and gives the position behind them. */
async function tracked(
  t: TestContext,
): Promise<Served & { track: (from: number, to: number) => Promise<string> }> {
  const server = await served(t)
  return {
    ...server,
    async track(from, to) {
      const { json, status, headers } = await send(server.url, '/v1/events', {
        body: watches(from, to),
      })
      assert.equal(status, 200, JSON.stringify(json))
      return headers.get('millrace-position') ?? ''
    },
  }
}

const sorted = (rows: ReadonlyMap<string, unknown>): unknown[] => [...rows].sort()

const codeOf = (result: Record<string, unknown>): string =>
  (result['error'] as { code: string }).code

test('a restore to any position of a running server equals a rebuild, hash for hash; so do times', async t => {
  const { root, data, url, track, close } = await tracked(t)
  const place = join(root, 'store')
  const positions: string[] = []
  const random = createSeededRandom(Number(process.env['MILLRACE_SEED'] ?? 5))
  // Up to which event, after each request.
  const ends = Array.from({ length: 5 }, () => 1 + Math.floor(random.next() * 299)).sort(
    (a, b) => a - b,
  )
  for (const [index, end] of [...ends, 300].entries()) {
    positions.push(await track(ends[index - 1] ?? 0, end))
  }
  const first = await done(['backup', '--to', place, '--data', data])
  await track(300, 350)
  const second = await done(['backup', '--to', place, '--data', data, '--rate', '1000'])
  assert.equal(second['parent'], first['id'])
  const acts = await done(['log', 'read', 'access.audit', '--data', data, '-n', '100'])
  assert.match(JSON.stringify(acts), /beginBackup/)
  const { status } = await send(url, '/v1/backups/none/hold')
  assert.equal(status, 409)
  const begun: Awaited<ReturnType<typeof send>>[] = []
  for (let at = 0; at < 9; at++) begun.push(await send(url, '/v1/backups', { method: 'POST' }))
  const refused = begun.find(answer => answer.status !== 200)
  assert.equal(refused?.json['code'], 'BACKUPS_TOO_MANY')
  assert.equal(refused.headers.get('retry-after'), '30')
  await close()
  for (const [index, end] of ends.entries()) {
    if (index % 2 > 0) continue
    const position = positions[index] as string
    const to = join(root, `restored-${index}`)
    const cut = await done(['restore', '--from', place, '--to', to, '--at', position])
    assert.equal(cut['isCut'], true)
    const restored = await contentsOf(to)
    assert.equal(restored.ids.size, end)
    // What a product gives that was sent these events and no others.
    assert.deepEqual(await contentsOf('memory', watches(0, end)), restored)
  }
  const whole = join(root, 'whole')
  assert.equal((await done(['restore', '--from', place, '--to', whole]))['isCut'], false)
  const all = await contentsOf(whole)
  assert.equal(all.ids.size, 350)
  assert.deepEqual(await contentsOf(data), all)
  const now = String(first['takenMs'])
  await done(['restore', '--from', place, '--to', join(root, 'timed'), '--at', now])
  assert.equal((await contentsOf(join(root, 'timed'))).ids.size, 300)
})

test('a backup holds merges and corrections as they were, and they are taken back where it is restored', async t => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-merged-'))
  t.after(() => rmSync(root, { recursive: true }))
  const [data, place, restored] = ['data', 'store', 'restored'].map(name => join(root, name)) as [string, string, string] // prettier-ignore
  type Opened = Awaited<ReturnType<typeof openForTest>>
  const ids = watches(0, 60).flatMap(({ id }, at) => (at % 13 === 3 ? [id as string] : []))
  const decide = async ({ streams }: Opened, into: string | null): Promise<void> => {
    const facts = { reason: 'a test', by: 'test' }
    const action = into === null ? 'restore' : 'retract'
    await streams.identities.apply({ links: [{ from: 'p1', into }], ...facts })
    await streams.corrections.apply({ corrections: ids.map(id => ({ id, action })), ...facts })
  }
  const times = (millrace: Opened): ReadonlyMap<string, unknown> =>
    new Map(millrace.view('time').list({ limit: 100 }).entries.map(({ key, value }) => [key, value])) // prettier-ignore
  const own = (person: number): number =>
    watches(0, 60).reduce((sum, _, at) => (at % 13 === person ? sum + at : sum), 0)
  const apart = new Map(Array.from({ length: 13 }, (_, person) => [`p${person}`, own(person)]))
  const decided = new Map([...apart, ['p2', own(1) + own(2)]])
  decided.delete('p1')
  decided.delete('p3')

  const millrace = await openForTest({ data })
  await millrace.listen()
  const { position } = await millrace.trackMany(watches(0, 60) as never)
  await millrace.reached(position)
  await decide(millrace, 'p2')
  assert.deepEqual(sorted(times(millrace)), sorted(decided))
  await done(['backup', '--to', place, '--data', data])
  await decide(millrace, null)
  assert.deepEqual(sorted(times(millrace)), sorted(apart))
  await millrace.close()
  await done(['restore', '--from', place, '--to', restored])
  const again = await openForTest({ data: restored })
  await again.reached(new Map(again.log.ends()))
  assert.deepEqual(sorted(times(again)), sorted(decided))
  assert.equal(again.streams.identities.canonical('p1'), 'p2')
  await decide(again, null)
  assert.deepEqual(sorted(times(again)), sorted(apart))
  await again.close()
})

test('a directory that no server has is backed up, listed, verified and pruned', async t => {
  const { root, data, track, close } = await tracked(t)
  const place = join(root, 'store')
  await track(0, 100)
  await close()
  await done(['backup', '--to', place, '--data', data, '--without-snapshots'])
  const kept = await done(['backup', '--to', place, '--data', data, '--keep', '1'])
  assert.equal((kept['pruned'] as string[]).length, 1)
  await done(['backup', '--to', place, '--data', data])
  const { backups } = (await done(['backup', 'list', '--from', place])) as {
    backups: { id: string }[]
  }
  assert.equal(backups.length, 2)
  const verified = await done(['backup', 'verify', '--from', place])
  assert.equal(verified['isWhole'], true)
  const pruned = await done(['backup', 'prune', '--from', place, '--keep', '1'])
  assert.deepEqual(pruned['removed'], [backups[0]?.id])
  const folder = join(place, 'objects')
  const objects = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry =>
    entry.isFile(),
  )
  for (const { parentPath, name } of objects.slice(0, 3)) {
    const file = join(parentPath, name)
    const bytes = readFileSync(file)
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 4
    writeFileSync(file, bytes)
  }
  const damaged = await command(['backup', 'verify', '--from', place])
  assert.equal(damaged['exit'], 1)
  assert.equal(damaged['isWhole'], false)
  const refused = await command(['restore', '--from', place, '--to', join(root, 'r')])
  assert.equal(codeOf(refused), 'BACKUP_DAMAGED')
  await assert.rejects(openForTest({ data: join(root, 'r') }), /not whole/)
})

test('what cannot be backed up or restored is refused with what to do', async t => {
  const { root, data, track } = await tracked(t)
  await track(0, 10)
  const nothing = join(root, 'nothing')
  mkdirSync(nothing)
  const refusals: [string, string[], Record<string, string>?][] = [
    ['DATA_MISSING', ['backup', '--to', join(root, 's'), '--data', nothing]],
    ['BACKUP_UNSUPPORTED', ['backup', '--to', join(root, 's'), '--data', 'memory']],
    [
      'BACKUP_UNSUPPORTED',
      ['backup', '--to', join(root, 's'), '--data', nothing],
      { DATABASE_URL: 'postgres://x' },
    ],
    ['OBJECT_STORE_INVALID', ['backup', '--to', 'ftp://x/y', '--data', data]],
    ['OBJECT_STORE_INVALID', ['backup', '--to', 's3://Bad_Bucket', '--data', data]],
    ['OBJECT_STORE_INVALID', ['backup', '--to', 's3://bucket/x', '--data', data]],
    ['BACKUP_NONE', ['restore', '--from', join(root, 's'), '--to', join(root, 'to')]],
    ['BACKUP_NONE', ['backup', 'verify', '--from', join(root, 's')]],
    ['RESTORE_NOT_EMPTY', ['restore', '--from', join(root, 's'), '--to', root]],
    ['DIRECTORY_LOCKED', ['restore', '--from', join(root, 's'), '--to', data]],
    ['CLI_USAGE', ['restore', '--from', join(root, 's'), '--to', nothing, '--at', 'yesterday']],
    ['CLI_USAGE', ['backup', '--to', join(root, 's'), '--data', data, '--every', 'often']],
    ['STANDBY_EMPTY', ['standby', 'promote', '--from', join(root, 's'), '--data', join(root, 'n')]],
    ['DATA_MISSING', ['data', 'format', '--data', nothing]],
  ]
  for (const [code, words, environment] of refusals) {
    const result = await command(words, environment)
    assert.equal(codeOf(result), code, `${words.join(' ')}: ${JSON.stringify(result)}`)
  }
})

test('a standby follows what is shipped, takes over, and the old primary can no longer ship', async t => {
  const { root, data, track, close } = await tracked(t)
  const place = join(root, 'store')
  const standby = join(root, 'standby')
  const follow = ['standby', '--from', place, '--data', standby, '--once']
  await track(0, 60)
  await done(['backup', '--to', place, '--data', data])
  const first = await done(follow)
  assert.ok((first['fetchedBytes'] as number) > 0)
  await track(60, 100)
  await done(['backup', '--to', place, '--data', data])
  const next = await done(follow)
  assert.ok((next['fetchedBytes'] as number) < (first['fetchedBytes'] as number) * 2)
  assert.ok((next['lagMs'] as number) >= 0)
  await assert.rejects(openForTest({ data: standby }), /not whole/)
  // Shipped, and not followed yet: the promotion takes it.
  await track(100, 120)
  await done(['backup', '--to', place, '--data', data])
  await track(120, 130)
  const promoted = await done(['standby', 'promote', '--from', place, '--data', standby])
  assert.equal(promoted['term'], 1)
  assert.equal(codeOf(await command(['backup', '--to', place, '--data', data])), 'BACKUP_FENCED')
  await close()
  assert.equal((await contentsOf(standby)).ids.size, 120)
  const shipped = await done(['backup', '--to', place, '--data', standby])
  assert.equal(shipped['term'], 1)
  const offline = join(root, 'offline')
  await done(['standby', '--from', place, '--data', offline, '--once'])
  await done(['standby', 'promote', '--from', place, '--data', offline, '--offline'])
  assert.equal((await contentsOf(offline)).ids.size, 120)
})

test('a directory of the format before is upgraded when it is opened, and made readable for it again', async t => {
  const root = mkdtempSync(join(tmpdir(), 'millrace-format-'))
  t.after(() => rmSync(root, { recursive: true }))
  const data = join(root, 'data')
  const fixture = new URL('../testing/data-format-1.json', import.meta.url)
  const files = JSON.parse(readFileSync(fixture, 'utf8')) as Record<string, string>
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(data, path, '..'), { recursive: true })
    writeFileSync(join(data, path), gunzipSync(Buffer.from(text, 'base64')))
  }
  const format = async (): Promise<unknown> =>
    (await done(['data', 'format', '--data', data]))['format']
  assert.equal(await format(), 1)
  assert.equal((await contentsOf(data)).ids.size, 100)
  assert.equal(await format(), 2)
  const place = join(root, 'store')
  await done(['backup', '--to', place, '--data', data])
  await done(['restore', '--from', place, '--to', join(root, 'restored')])
  assert.equal((await contentsOf(join(root, 'restored'))).ids.size, 100)
  mkdirSync(join(data, 'log/units'), { recursive: true })
  await done(['data', 'downgrade', '--data', data])
  assert.equal(await format(), 1)
  assert.ok(!existsSync(join(data, 'log/units')))
  await done(['data', 'downgrade', '--data', data])
  const identity = join(data, 'millrace.json')
  writeFileSync(identity, readFileSync(identity, 'utf8').replace('"format": 1', '"format": 3'))
  await assert.rejects(openForTest({ data }), /format is 3, this version knows up to 2/)
})
