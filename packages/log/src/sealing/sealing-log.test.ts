import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  defineApp,
  event,
  id,
  isError,
  personalEvents,
  systemClock,
  systemRandom,
  text,
} from '@millrace/core'
import { openMemoryLog } from '../memory/index.ts'
import { openMemoryKeys } from './memory/index.ts'
import { seal, unseal } from './seal.ts'
import { sealingLog, sealingReads } from './sealing-log.ts'

const asked = event('asked', { person: id('person'), question: text().personal() }, { key: 'person' }) // prettier-ignore
const personal = personalEvents(defineApp({ name: 'school', events: [asked] }))
const eventOf = (person: string, eventId: string) => ({
  stream: 'person',
  type: 'asked',
  key: person,
  id: eventId,
  eventTimeMs: 1,
  data: { person, question: `of ${person}` },
})

async function openLog(beforeCommit: () => Promise<void> = async () => undefined) {
  const stored = openMemoryLog({ clock: systemClock })
  await stored.declare([{ name: 'person', partitions: 1 }])
  const commit = stored.commit.bind(stored)
  stored.commit = async request => {
    await beforeCommit()
    return await commit(request)
  }
  const keys = openMemoryKeys(systemRandom)
  const log = sealingLog(stored, { keys, random: systemRandom, personal, nested: new Map() })
  return { stored, keys, log }
}

describe('a log that seals', () => {
  it('shuts the doors behind what is on its way, and waits for that', async () => {
    let goOn = (): void => undefined
    const held = new Promise<void>(resolve => (goOn = resolve))
    const { log, keys } = await openLog(() => held)
    await keys.ensure(['ana'])
    const before = log.commit({ events: [eventOf('ana', 'before')] })
    let isShut = false
    const shut = log.shut(['ana']).then(() => (isShut = true))
    await new Promise<void>(resolve => systemClock.after(5, resolve))
    assert.equal(isShut, false)
    goOn()
    await shut
    const [result] = (await before).results
    assert.equal(result?.status, 'appended')
    const { results } = await log.commit({ events: [eventOf('ana', 'after'), eventOf('ben', 'his')] }) // prettier-ignore
    const said = results.map(one => (one.status === 'conflict' ? one.code : one.status))
    assert.deepEqual(said, ['PERSON_ERASED', 'appended'])
    await log.close()
  })

  it('is read by who hears, batch by batch, that a key was destroyed', async () => {
    const { log, stored, keys } = await openLog()
    await log.commit({ events: ['ana', 'ben'].map(person => eventOf(person, person)) })
    const asked: (readonly string[])[] = []
    const view = { ...keys, isWhole: false, load: async (names: readonly string[]) => void asked.push(names) } // prettier-ignore
    const reads = sealingReads(stored, { keys: view, personal, nested: new Map() })
    const read = await reads.read({ stream: 'person', partition: 0, from: 0 })
    const questions = (): unknown[] => read.map(({ data }) => (data as { question: unknown }).question) // prettier-ignore
    assert.deepEqual(questions(), ['of ana', 'of ben'])
    await keys.destroy(['ana'])
    assert.deepEqual(questions(), [null, 'of ben'], 'not even what was open')
    const history = []
    for await (const { data, isErased } of reads.history({ stream: 'person', keys: ['ana'] })) history.push([data, isErased]) // prettier-ignore
    assert.deepEqual(history, [[{ person: 'ana', question: null }, true]])
    assert.deepEqual(asked, [['ana', 'ben'], ['ana']])
    await log.close()
  })
})

describe('a sealed part', () => {
  it('of another version, place or key is refused, by name', () => {
    const key = systemRandom.fill(new Uint8Array(32))
    const sealed = seal(key, Buffer.from('hello'), { place: 'a\0b', random: systemRandom })
    assert.equal(unseal(key, sealed, 'a\0b').toString(), 'hello')
    const broken = (error: unknown): boolean => isError(error, 'SEAL_BROKEN') && /a b/.test(error.message) // prettier-ignore
    const later = Uint8Array.from(sealed).fill(2, 0, 1)
    for (const [wrongKey, bytes] of [
      [new Uint8Array(32), sealed],
      [key, later],
      [key, sealed.subarray(0, 20)],
    ] as const) {
      assert.throws(() => unseal(wrongKey, bytes, 'a\0b'), broken)
    }
    assert.throws(() => unseal(key, sealed, 'a b\0'), error => isError(error, 'SEAL_BROKEN')) // prettier-ignore
  })
})
