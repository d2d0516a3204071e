import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { decodePosition, systemClock, systemRandom } from '@millrace/core'
import { restoreBackup, takeBackup } from '@millrace/log/backup'
import { openNodeDisk } from '@millrace/log/disk'
import { createMemoryObjectStore } from '@millrace/log/objects/memory'
import { keyFileBytes, readKeyBytes, readKeyEntries } from '@millrace/log/sealing'
import type { People } from '@millrace/product'
import { command, done, served } from '../testing/backups.ts'
import { openForTest } from '../testing/clips.ts'
import { send } from '../testing/http.ts'
import { filesWith } from '../testing/letters.ts'

const SECRETS = ['Ana Lovelace', 'is-it-contagious']

/** A server with a question of ana's and one of ben's, a backup of it in `store`, and ana's key. */
async function asked(t: TestContext): Promise<{
  root: string
  data: string
  url: string
  store: string
  first: string
  key: Uint8Array
  close: () => Promise<void>
}> {
  const { root, data, url, close } = await served(t)
  const body = [
    { type: 'asked', id: 'q-1', data: { person: 'ana', question: SECRETS[1] } },
    { type: 'asked', id: 'q-2', data: { person: 'ben', question: 'may I go?' } },
  ]
  assert.equal((await send(url, '/v1/events', { body })).status, 200)
  const put = { method: 'PUT', body: { name: SECRETS[0] } } as const
  assert.equal((await send(url, '/v1/people/ana', put)).status, 200)
  const store = join(root, 'store')
  const first = (await done(['backup', '--to', store, '--data', data]))['id'] as string
  const entries = await readKeyEntries(openNodeDisk(data))
  const key = entries.find(({ name }) => name === 'ana')?.key as Uint8Array
  return { root, data, url, store, first, key, close }
}

test('erase makes a person unreadable in the directory and in every backup, and keeps the report', async t => {
  const { root, data, store, first, key, close } = await asked(t)
  const planned = await done(['erase', 'ana', '--dry-run', '--data', data])
  assert.equal(planned['state'], 'planned')
  const erased = await done(['erase', 'ana', '--reason', 'request 7', '--data', data])
  assert.deepEqual([erased['state'], erased['people']], ['ended', ['ana']])
  assert.deepEqual(
    await done(['erase', 'ana', '--reason', 'again', '--data', data]),
    erased,
    'the same again is the same erasure',
  )
  const { erasures } = await done(['erase', '--list', '--data', data])
  assert.equal((erasures as unknown[]).length, 1)
  const nobody = await command(['erase', 'nobody', '--reason', 'x', '--data', data])
  assert.equal((nobody['error'] as { code: string }).code, 'ERASURE_NOBODY')
  for (const words of [['erase'], ['erase', 'ben']]) {
    const refused = await command([...words, '--data', data])
    assert.equal((refused['error'] as { code: string }).code, 'CLI_USAGE')
  }
  const acts = JSON.stringify(
    await done(['log', 'read', 'access.audit', '--data', data, '-n', '100']),
  )
  assert.match(acts, /erasePeople/)
  assert.doesNotMatch(acts, /"ana"|request 7/)

  assert.equal(filesWith(root, [key]).length, 1, 'the store has the keys of before')
  await done(['backup', '--to', store, '--data', data])
  await close()
  assert.deepEqual(filesWith(root, [key, ...SECRETS.map(text => Buffer.from(text))]), [])
  const { faults } = await done(['backup', 'verify', '--from', store])
  assert.deepEqual(faults, [])

  const old = join(root, 'old')
  await done(['restore', '--from', store, '--backup', first, '--to', old])
  const millrace = await openForTest({ data: old })
  try {
    assert.deepEqual((await millrace.log.find('q-2'))?.data, {
      person: 'ben',
      question: 'may I go?',
    })
    const gone = await millrace.log.find('q-1')
    assert.deepEqual([gone?.data, gone?.isErased], [{ person: 'ana', question: null }, true])
    const list = await send((await millrace.listen()).url, '/v1/erasures')
    const [again] = list.json['erasures'] as { state: string; by: string }[]
    assert.deepEqual([again?.state, again?.by], ['ended', 'restore'])
    for (const { name } of millrace.streams.status()) {
      assert.deepEqual((await millrace.streams.rebuild({ fold: name })).different, [], name)
    }
  } finally {
    await millrace.close()
  }
})

test('verifying a backup names whose keys are missing or others, and not who was erased', async t => {
  const { store, close } = await asked(t)
  await close()
  const keys = readFileSync(join(store, 'keys'))
  const { entries } = readKeyBytes(keys, 'keys')
  const reasons = async (): Promise<readonly string[]> => {
    const { faults } = await command(['backup', 'verify', '--from', store])
    return (faults as { file?: string; reason: string }[]).map(
      ({ file, reason }) => `${file}: ${reason}`,
    )
  }
  assert.deepEqual(await reasons(), [])
  const people = entries.filter(({ name }) => ['ana', 'ben'].includes(name))
  for (const [changed, expected] of [
    [
      entries.filter(({ name }) => name !== 'ana'),
      [/^keys: the store has no key.* of 1 people, such as ana: .*cannot be read/],
    ],
    [
      [{ name: 'ana' }, { name: 'ben', key: new Uint8Array(32) }],
      [/^keys: what is sealed does not match the key of 1 people, such as ben/],
    ],
    [people.map(({ name }) => ({ name })), []],
  ] as const) {
    writeFileSync(join(store, 'keys'), keyFileBytes(changed))
    const told = await reasons()
    assert.equal(told.length, expected.length, told.join())
    expected.forEach((one, at) => assert.match(told[at] as string, one))
  }
  rmSync(join(store, 'keys'))
  assert.match((await reasons()).join(), /no key.* of 2 people, such as/)
})

test('an erasure while a backup is taken leaves no key in the store, and its restore reads nobody who was erased', async t => {
  const { root, data, url, key, close } = await asked(t)
  const held = (await send(url, '/v1/backups', { method: 'POST' })).json as unknown as Held
  const memory = createMemoryObjectStore()
  let erased: Promise<unknown> | undefined
  const store = {
    ...memory,
    async put(name: string, bytes: Uint8Array) {
      // When the first bytes are on their way.
      erased ??= done(['erase', 'ana', '--reason', 'request 8', '--data', data])
      await erased
      await memory.put(name, bytes)
    },
  }
  const ports = { store, clock: systemClock, random: systemRandom }
  const identity = { app: 'clips', origin: 'here', term: 0, dataFormat: 2 }
  const { unit, ingestTimeMs, position, files, beside } = held
  const hold = { unit, ingestTimeMs, position: decodePosition(position), files }
  await takeBackup({ ...ports, disk: openNodeDisk(data), hold, beside, identity })
  await close()
  for (const [name, bytes] of memory.objects) {
    assert.ok(!Buffer.from(bytes).includes(Buffer.from(key)), name)
  }
  const to = join(root, 'restored')
  await restoreBackup({ ...ports, disk: openNodeDisk(to), dataFormatMax: 2 })
  const millrace = await openForTest({ data: to })
  try {
    assert.deepEqual((await millrace.log.find('q-1'))?.data, { person: 'ana', question: null })
    assert.equal(millrace.module<People>('people').get('ana'), undefined)
  } finally {
    await millrace.close()
  }
})

/** What `POST /v1/backups` answers. */
interface Held {
  readonly unit: number
  readonly ingestTimeMs: number
  readonly position: string
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  readonly beside: readonly string[]
}
