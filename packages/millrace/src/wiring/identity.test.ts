import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createSeededRandom, defineApp, event, id, int, isError } from '@millrace/core'
import { claimDirectory, readIdentity } from './identity.ts'

const seen = event('seen', { who: id('person') }, { key: 'who' })
const app = defineApp({ name: 'one', events: [seen] })

describe('the identity of a data directory', () => {
  let parent = ''
  let directory = ''
  const random = createSeededRandom(3)
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'millrace-identity-'))
    directory = join(parent, 'data')
  })
  afterEach(() => rm(parent, { recursive: true }))

  it('is made once, with a secret that only its owner may read', async () => {
    assert.equal(await readIdentity(directory), undefined)
    const first = await claimDirectory(directory, app, random)
    assert.equal(first.secret.length, 32)
    const second = await claimDirectory(directory, app, random)
    assert.deepEqual(second, first)
    const { mode } = await stat(join(directory, 'millrace.json'))
    assert.equal(mode & 0o777, 0o600)
  })

  it('refuses another app and another number of partitions', async () => {
    await claimDirectory(directory, app, random)
    const other = defineApp({ name: 'two', events: [seen] })
    await assert.rejects(claimDirectory(directory, other, random), error =>
      isError(error, 'DATA_OF_OTHER_APP'),
    )
    const wider = defineApp({ name: 'one', events: [seen], partitions: 8 })
    await assert.rejects(
      claimDirectory(directory, wider, random),
      error => isError(error, 'DATA_PARTITIONS_FIXED') && error.remedy.includes('partitions: 4'),
    )
  })

  it('follows the definition and keeps the secret', async () => {
    const first = await claimDirectory(directory, app, random)
    const changed = defineApp({
      name: 'one',
      events: [event('seen', { who: id('person'), n: int() }, { key: 'who' })],
    })
    const second = await claimDirectory(directory, changed, random)
    assert.equal(second.fingerprint, changed.fingerprint)
    assert.deepEqual(second.secret, first.secret)
    assert.deepEqual(await readIdentity(directory), second)
  })

  it('refuses a file that it cannot trust', async () => {
    await claimDirectory(directory, app, random)
    const file = join(directory, 'millrace.json')
    const good = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    for (const text of [
      '{',
      'null',
      JSON.stringify({ ...good, format: 99 }),
      JSON.stringify({ ...good, format: { toString: false } }),
      JSON.stringify({ ...good, secret: 'short' }),
      JSON.stringify({ ...good, app: 1 }),
    ]) {
      await writeFile(file, text)
      await assert.rejects(claimDirectory(directory, app, random), error =>
        isError(error, 'DATA_FORMAT_UNKNOWN'),
      )
    }
  })
})
