import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  createIdSource,
  createSeededRandom,
  isError,
  silentLogger,
  type Clock,
} from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openMemoryLog } from '@millrace/log/memory'
import { openKeyBook, type KeyBook, type NewKey } from './key-book.ts'
import { KEYS_STREAM } from './key-view.ts'

const DAY_MS = 86_400_000
const SERVER: NewKey = { scope: 'server', name: 'shop', origins: [], limit: undefined }

function createWorld(seed: number): {
  log: EventLog
  clock: Clock & { ms: number }
  open: () => Promise<KeyBook>
} {
  const clock = {
    ms: 1_700_000_000_000,
    nowMs: () => clock.ms,
    monotonicMs: () => clock.ms,
    after: () => ({ cancel: () => undefined }),
    soon: (task: () => void) => void setImmediate(task),
  }
  const random = createSeededRandom(seed)
  const log = openMemoryLog({ clock })
  const newId = createIdSource({ clock, random })
  const open = (): Promise<KeyBook> =>
    openKeyBook({ log, clock, random, logger: silentLogger, newId })
  return { log, clock, open }
}

const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return isError(error) ? `${error.code}: ${String(error.details['reason'])}` : String(error)
  }
  return 'none'
}

describe('keys', () => {
  it('are none until one is made, and then never none again', async () => {
    const { open } = createWorld(1)
    const book = await open()
    assert.equal(book.isEmpty, true)
    const { key } = await book.create(SERVER)
    assert.equal(book.isEmpty, false)
    await book.revoke(key.id)
    assert.equal(book.isEmpty, false)
    assert.equal((await open()).isEmpty, false)
  })

  it('are found by their text, and by nothing else', async () => {
    const { open } = createWorld(2)
    const book = await open()
    const [shop, other] = [await book.create(SERVER), await book.create(SERVER)]
    assert.equal(book.find(shop.text).key.id, shop.key.id)
    assert.match(
      refusal(() => book.find('secret')),
      /KEY_INVALID: .*form/,
    )
    const foreign = await (await createWorld(3).open()).create(SERVER)
    assert.match(
      refusal(() => book.find(foreign.text)),
      /KEY_INVALID: .*no such key/,
    )
    // The id of one key with the secret of another, its checksum made right.
    const forged = await (await createWorld(2).open()).create({ ...SERVER, scope: 'admin' })
    assert.equal(forged.key.id, shop.key.id)
    assert.match(
      refusal(() => book.find(forged.text)),
      /KEY_INVALID: .*no such key/,
    )
    assert.notEqual(shop.key.id, other.key.id)
  })

  it('leave no trace of their text in the log', async () => {
    const { log, open } = createWorld(4)
    const book = await open()
    const made = await book.create(SERVER)
    const rotated = await book.rotate(made.key.id, 0)
    const records = await log.read({ stream: KEYS_STREAM, partition: 0, from: 0 })
    const written = JSON.stringify(records.map(({ key, data, headers }) => [key, data, headers]))
    for (const { text } of [made, rotated]) {
      assert.equal(written.includes(text.slice(-38, -6)), false)
      assert.equal(written.includes(text.slice(-38)), false)
    }
    assert.ok(written.includes(made.key.id))
  })

  it('that are rotated take both secrets for a while, then the new one', async () => {
    const { clock, open } = createWorld(5)
    const book = await open()
    const first = await book.create(SERVER)
    const second = await book.rotate(first.key.id, DAY_MS)
    assert.equal(book.find(first.text).untilMs, clock.ms + DAY_MS)
    assert.equal(book.find(second.text).untilMs, Infinity)
    clock.ms += DAY_MS - 1
    assert.equal(book.find(first.text).key.id, first.key.id)
    clock.ms += 1
    assert.match(
      refusal(() => book.find(first.text)),
      /replaced/,
    )
    const third = await book.rotate(first.key.id, 0)
    assert.match(
      refusal(() => book.find(second.text)),
      /KEY_INVALID/,
    )
    assert.equal(book.find(third.text).key.id, first.key.id)
  })

  it('that are revoked are refused at once, with all their secrets, and cannot be rotated', async () => {
    const { open } = createWorld(6)
    const book = await open()
    const first = await book.create(SERVER)
    const second = await book.rotate(first.key.id, DAY_MS)
    const { revokedMs } = await book.revoke(first.key.id)
    for (const { text } of [first, second])
      assert.match(
        refusal(() => book.find(text)),
        /revoked/,
      )
    assert.equal((await book.revoke(first.key.id)).revokedMs, revokedMs)
    await assert.rejects(book.rotate(first.key.id, 0), error => isError(error, 'KEY_REVOKED'))
    await assert.rejects(book.revoke('nobody'), error => isError(error, 'KEY_ID_UNKNOWN'))
  })

  it('are known to every process of the log, also after it was opened again', async () => {
    const { log, open } = createWorld(7)
    const [here, there] = [await open(), await open()]
    const made = await here.create({
      scope: 'public',
      name: 'web',
      origins: ['https://shop.example'],
      limit: { requestsPerSecond: 5, burst: 7 },
    })
    const seen = new Promise<void>(resolve => there.onChange(resolve))
    const rotated = await here.rotate(made.key.id, DAY_MS)
    await seen
    for (const book of [here, there, await open()]) {
      const { key } = book.find(rotated.text)
      assert.deepEqual(key.limit, { requestsPerSecond: 5, burst: 7 })
      assert.equal(book.hasOrigin('https://shop.example'), true)
      assert.equal(book.hasOrigin('https://evil.example'), false)
      assert.equal(book.find(made.text).key.id, made.key.id)
    }
    await here.revoke(made.key.id)
    assert.equal(here.hasOrigin('https://shop.example'), false)
    await here.close()
    await there.close()
    assert.equal(log.ends().get(`${KEYS_STREAM}/0`), 3)
  })

  it('remember their last use: in the log once a day, and exactly at close', async () => {
    const { log, clock, open } = createWorld(8)
    const book = await open()
    const { key } = await book.create(SERVER)
    const uses = async (): Promise<number> =>
      (await log.read({ stream: KEYS_STREAM, partition: 0, from: 0 })).filter(
        ({ type }) => type === 'key.used',
      ).length
    const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
    for (let minute = 0; minute < 60; minute++) book.use(key, (clock.ms += 60_000))
    await settled()
    assert.equal(await uses(), 1)
    book.use(key, (clock.ms += DAY_MS))
    await settled()
    assert.equal(await uses(), 2)
    const lastMs = (clock.ms += 5)
    book.use(key, lastMs)
    await book.close()
    assert.equal(await uses(), 3)
    assert.equal((await open()).list()[0]?.usedMs, lastMs)
  })
})
