import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { isError } from '@millrace/core'
import type { Changesets, Erasures, Identity, People } from '@millrace/product'
import {
  SECRETS,
  fillLetters,
  filesWith,
  keyIn,
  openLetters,
  saidIn,
  type Letters,
} from './testing/letters.ts'

const request = { people: ['ana'], reason: 'she asked for it', by: 'test' }

describe('erasing a person', () => {
  let directory: string
  let millrace: Letters
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-erasure-'))
    millrace = await openLetters(directory)
  })
  afterEach(async () => {
    await millrace.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('keeps no personal field in clear on the disk, and reads them as they were sent', async () => {
    await fillLetters(millrace)
    await millrace.close()
    const texts = [...SECRETS, 'ben-writes', 'Ben Nevis'].map(text => Buffer.from(text))
    assert.deepEqual(filesWith(directory, texts), [])
    millrace = await openLetters(directory)
    const record = await millrace.log.find('e1')
    assert.deepEqual(record?.data, { author: 'ana', letter: SECRETS[0], words: 5 })
    assert.equal(millrace.view('lastLetter').get('ana')?.value, SECRETS[0])
  })

  it('cleans every view, destroys the key, and says what remains', async () => {
    await fillLetters(millrace)
    const key = (await keyIn(directory, 'ana')) as Uint8Array
    assert.equal(key.length, 32)
    const erasures = millrace.module<Erasures>('erasure')
    const planned = await erasures.dryRun(request)
    assert.equal(planned.events, 4)
    assert.equal(millrace.view('lastLetter').get('ana')?.value, SECRETS[0])

    const { branches } = millrace.streams
    const branch = await branches.open({ changes: {} })
    const begun = await erasures.begin(request)
    const { report } = await erasures.ended(begun.erasure)
    // It could say what was erased.
    assert.deepEqual(branches.list(), [])
    await assert.rejects(branch.view('lastLetter').get('ana'), error => isError(error, 'BRANCH_UNKNOWN')) // prettier-ignore
    assert.deepEqual(saidIn(millrace), {
      lastLetter: [undefined, 'ben-writes'],
      letters: [undefined, 1],
      comments: ['ben-was-here'],
      lastComment: [undefined, 'ben-was-here'],
      byClip: 1,
      people: [undefined, { name: 'Ben Nevis' }],
    })
    assert.deepEqual([report?.events, report?.ofOthers], [4, 2])
    const sealed = report?.types.map(type => [type.type, type.events, type.sealed, type.clear])
    assert.deepEqual(sealed?.sort(), [
      ['commented', 1, 1, 0],
      ['person.put', 1, 1, 0],
      ['wrote', 2, 2, 0],
    ])
    const record = await millrace.log.find('e1')
    assert.deepEqual(record?.data, { author: 'ana', letter: null, words: 5 })
    assert.equal(record?.isErased, true)
    const before = saidIn(millrace)
    await millrace.close()
    assert.equal(await keyIn(directory, 'ana'), undefined)
    assert.deepEqual(filesWith(directory, [key, ...SECRETS.map(text => Buffer.from(text))]), [])

    millrace = await openLetters(directory)
    assert.deepEqual(saidIn(millrace), before)
    for (const fold of millrace.streams.status()) {
      const rebuilt = await millrace.streams.rebuild({ fold: fold.name })
      assert.deepEqual(rebuilt.different, [], fold.name)
    }
  })

  it('reaches every id of a person who was merged', async () => {
    await fillLetters(millrace)
    const guest = { author: 'guest', letter: 'a-guest-writes', words: 3 }
    await millrace.track('wrote', guest, { id: 'g1' })
    await millrace.module<Identity>('identity').merge('guest', 'ana', { by: 'test' })
    const erasures = millrace.module<Erasures>('erasure')
    const { people, events } = await erasures.dryRun({ ...request, people: ['guest'] })
    assert.deepEqual([[...people].sort(), events], [['ana', 'guest'], 5])
    const { erasure } = await erasures.begin({ ...request, people: ['guest'] })
    await erasures.ended(erasure)
    const left = await Promise.all(['e1', 'g1'].map(id => millrace.log.find(id)))
    const letters = left.map(record => (record as { data: { letter: unknown } }).data.letter)
    assert.deepEqual(letters, [null, null])
    for (const id of ['ana', 'guest']) {
      assert.equal(millrace.view('lastLetter').get(id)?.value, undefined, id)
      await assert.rejects(millrace.track('wrote', { ...guest, author: id }), error => isError(error, 'PERSON_ERASED')) // prettier-ignore
    }
    await millrace.close()
    const texts = ['a-guest-writes', SECRETS[0]].map(text => Buffer.from(text))
    assert.deepEqual(filesWith(directory, texts), [])
    millrace = await openLetters(directory)
  })

  it('refuses who was erased, nobody, and the same again gives the same erasure', async () => {
    await fillLetters(millrace)
    const erasures = millrace.module<Erasures>('erasure')
    await assert.rejects(erasures.begin({ ...request, people: ['nobody'] }), error =>
      isError(error, 'ERASURE_NOBODY'),
    )
    const { erasure } = await erasures.begin(request)
    const ended = await erasures.ended(erasure)
    assert.deepEqual(await erasures.begin(request), ended)
    const late = { author: 'ana', letter: 'again', words: 1 }
    await assert.rejects(millrace.track('wrote', late), error => isError(error, 'PERSON_ERASED'))
    await assert.rejects(
      millrace.track('wrote', { author: 'ben', to: 'ana', letter: 'again', words: 1 }),
      error => isError(error, 'PERSON_ERASED'),
    )
    await millrace.track('wrote', { author: 'ben', letter: 'again', words: 1 })
  })

  it('calls an event with the same id and another personal field a conflict', async () => {
    const data = { author: 'ana', letter: 'one', words: 1 }
    await millrace.track('wrote', data, { id: 'e1', at: 1 })
    const again = await millrace.track('wrote', data, { id: 'e1', at: 1 })
    assert.equal(again.status, 'duplicate')
    await assert.rejects(
      millrace.track('wrote', { ...data, letter: 'two' }, { id: 'e1', at: 1 }),
      error => isError(error, 'EVENT_CONFLICT'),
    )
  })

  it('reaches what was decided about events: corrections, changesets, dead letters', async () => {
    await fillLetters(millrace)
    const texts = ['ana-corrected', 'ana-planned']
    const { corrections } = millrace.streams
    const data = { author: 'ana', letter: texts[0], words: 1 }
    const decided = { reason: 'a slip', by: 'test' }
    await corrections.apply({ corrections: [{ id: 'e1', action: 'correct', data }], ...decided })
    assert.equal(millrace.view('lastLetter').get('ana')?.value, texts[0])
    const changesets = millrace.module<Changesets>('changesets')
    const rows = [{ id: 'ana', do: 'patch', attributes: { name: texts[1] } }]
    const plan = { id: 'names', kind: 'catalogue', title: '', request: { table: 'person', rows } }
    await changesets.plan(plan, 'test')
    await changesets.apply('names', {}, 'test')
    await changesets.settled('names')
    assert.equal(nameOf(millrace, 'ana'), texts[1])
    await changesets.undo('names', {}, 'test')
    await changesets.settled('names')
    assert.equal(nameOf(millrace, 'ana'), SECRETS[1])
    const bytes = [...SECRETS, ...texts].map(text => Buffer.from(text))
    assert.deepEqual(filesWith(directory, bytes), [])
    const erasures = millrace.module<Erasures>('erasure')
    await erasures.ended((await erasures.begin(request)).erasure)
    assert.deepEqual(
      await corrections
        .apply({ corrections: [{ id: 'e1', action: 'restore' }], ...decided })
        .then(({ results }) => results.map(({ status }) => status)),
      ['refused'],
    )
    assert.equal(millrace.view('lastLetter').get('ana')?.value, undefined)
  })

  it('removes what rebuilds wrote beside the log, and names what imports left there', async () => {
    await fillLetters(millrace)
    const files = {
      'rebuilds/view.lastComment-1.jsonl': `{"key":"ana","live":{"last":"${SECRETS[2]}"}}\n`,
      'imports/0123456789abcdef.refused.jsonl': `{"line":7,"raw":"ana,${SECRETS[0]}"}\n`,
      'imports/fedcba9876543210/state.json': '{}',
    }
    for (const [name, text] of Object.entries(files)) {
      const path = join(directory, name)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    const erasures = millrace.module<Erasures>('erasure')
    const { report } = await erasures.ended((await erasures.begin(request)).erasure)
    const named = report?.remains.filter(({ what }) => what.includes('imports/'))
    assert.deepEqual(
      named?.map(({ what, count }) => [what.split(': ')[1], count]),
      [
        ['imports/0123456789abcdef.refused.jsonl', 1],
        ['imports/fedcba9876543210', 1],
      ],
    )
    const left = filesWith(
      directory,
      SECRETS.map(text => Buffer.from(text)),
    )
    assert.deepEqual(left, [`${join(directory, 'imports/0123456789abcdef.refused.jsonl')}: 0`])
  })

  it('goes on while a view is rebuilt', async () => {
    await fillLetters(millrace)
    const { streams } = millrace
    const fold = 'view.lastLetter'
    await streams.rebuilds.start({ fold, maxDifferences: 10 })
    const erasures = millrace.module<Erasures>('erasure')
    const [{ erasure }] = await Promise.all([
      erasures.begin(request),
      streams.rebuilds.settled(fold),
    ])
    await erasures.ended(erasure)
    await streams.rebuilds.settled(fold)
    assert.equal(millrace.view('lastLetter').get('ana')?.value, undefined)
    assert.deepEqual((await streams.rebuild({ fold })).different, [])
    const moment = { position: new Map(millrace.log.ends()) }
    const past = await streams.past.state({ fold, key: 'ana', at: moment })
    assert.deepEqual([...past.shard.keys()], [])
  })
})

const nameOf = (millrace: Letters, id: string): unknown =>
  millrace.module<People>('people').get(id)?.attributes?.['name']
