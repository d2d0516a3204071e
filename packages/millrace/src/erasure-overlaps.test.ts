/**
 * An erasure beside other changes of the same people: corrections, rows, merges and other erasures that
 * were planned before it, are under way, or are taken back after it. The erasure holds; each of the
 * others says of each item what became of it and why, and goes on with the rest.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isError } from '@millrace/core'
import type { Changesets, ChangesetView, Erasures, Identity } from '@millrace/product'
import { fillLetters, openLetters, SECRETS, type Letters } from './testing/letters.ts'

const request = { people: ['ana'], reason: 'she asked for it', by: 'test' }
const decided = { reason: 'a slip', by: 'test' }

const has = (code: string, text: RegExp) => (error: unknown) => {
  assert.ok(isError(error, code), String(error))
  assert.match(error.message, text)
  return true
}

describe('beside the erasure of a person', () => {
  let millrace: Letters
  let changesets: Changesets
  const plan = (id: string, kind: string, asked: unknown): Promise<ChangesetView> =>
    changesets.plan({ id, kind, request: asked }, 'test')
  const run = async (verb: 'apply' | 'undo', id: string, options = {}): Promise<ChangesetView> => {
    await changesets[verb](id, options, 'test')
    return await changesets.settled(id)
  }
  const told = async (id: string): Promise<unknown> => {
    const entries = await changesets.entries(id, { from: 0, limit: 10 })
    return entries.map(({ target, code }) => [target.split('/').at(-1), code])
  }
  const letterOf = (person: string): unknown => millrace.view('lastLetter').get(person)?.value

  before(async () => {
    millrace = await openLetters('memory')
    changesets = millrace.module<Changesets>('changesets')
    await fillLetters(millrace)
    const guest = { author: 'guest', letter: 'a-guest-writes', words: 3 }
    await millrace.reached((await millrace.track('wrote', guest, { id: 'g1' })).position)
    // Of each kind one that is applied before, one that is under way, and one that is only planned.
    const corrected = { author: 'ana', letter: 'ana-corrected', words: 1 }
    const rows = [
      { id: 'e1', do: 'correct', data: corrected },
      { id: 'e2', do: 'hold' },
    ]
    await plan('corrected', 'corrections', { rows })
    await run('apply', 'corrected')
    await plan('patched', 'catalogue', { table: 'person', do: 'patch', rows: [{ id: 'ana', attributes: { name: 'Ana L.' } }, { id: 'ben', attributes: { name: 'Ben N.' } }] }) // prettier-ignore
    await run('apply', 'patched')
    await plan('merging', 'identities', { rows: [{ from: 'guest', into: 'ana' }] })
    await plan('removing', 'catalogue', { table: 'person', do: 'remove', rows: [{ id: 'ana' }, { id: 'ben' }] }) // prettier-ignore
    await plan('under-way', 'corrections', { rows: [{ id: 'e3' }, { id: 'e4', do: 'hold' }, { id: 'e5' }] }) // prettier-ignore
    await changesets.apply('under-way', { perSecond: 1 }, 'test')
    await changesets.pause('under-way', 'test')
    const { corrections } = millrace.streams
    const apply = corrections.apply.bind(corrections)
    let restored: unknown
    corrections.apply = async (set, options) => {
      const result = await apply(set, options)
      // Between the retraction and the end of the key: who restores now comes too late.
      const item = { id: 'e4', action: 'restore' as const }
      if (set.isFinal === true) restored ??= (await apply({ corrections: [item], ...decided })).results // prettier-ignore
      return result
    }
    const erasures = millrace.module<Erasures>('erasure')
    const both = await Promise.all([erasures.begin(request), erasures.begin(request)])
    await Promise.all(both.map(({ erasure }) => erasures.ended(erasure)))
    corrections.apply = apply
    assert.deepEqual(restored, [{ id: 'e4', status: 'refused', reason: 'it names somebody who was erased, which nothing takes back' }]) // prettier-ignore
    assert.deepEqual(millrace.view('lastComment').get('ana')?.value, undefined)
  })
  after(async () => {
    for (const { name } of millrace.streams.status()) {
      assert.deepEqual((await millrace.streams.rebuild({ fold: name })).different, [], name)
    }
    assert.equal(JSON.stringify(letterOf('ana') ?? ''), '""')
    await millrace.close()
  })

  it('corrections that were applied are refused as stale, and taken back but for hers', async () => {
    assert.equal(letterOf('ben'), undefined, 'one was held, one is to ana')
    await assert.rejects(changesets.undo('corrected', {}, 'test'), has('CHANGESET_STALE', /^1 of .*\/e1\./)) // prettier-ignore
    assert.deepEqual((await changesets.dryRun('corrected')).moved.count, 1)
    const undone = await run('undo', 'corrected', { onMoved: 'skip' })
    assert.deepEqual([undone.state, undone.applied, undone.run?.refused], ['applied', 1, 1])
    assert.deepEqual(await told('corrected'), [['e1', 'MOVED'], ['e2', undefined]]) // prettier-ignore
    assert.equal(letterOf('ben'), 'ben-writes')
    const forced = await run('undo', 'corrected', { onMoved: 'overwrite' })
    assert.deepEqual([forced.applied, forced.run?.refused], [1, 1])
    assert.deepEqual(await told('corrected'), [['e1', 'CORRECTION_REFUSED'], ['e2', undefined]]) // prettier-ignore
  })

  it('rows that were written are put back but for hers', async () => {
    await assert.rejects(changesets.apply('removing', {}, 'test'), has('CHANGESET_STALE', /person\/ana\./)) // prettier-ignore
    const removed = await run('apply', 'removing', { onMoved: 'skip' })
    assert.deepEqual([removed.applied, removed.run?.refused], [2, 0], 'hers is gone already')
    assert.equal((await run('undo', 'removing')).run?.refused, 1)
    assert.deepEqual(await told('removing'), [['ana', 'PERSON_ERASED'], ['ben', undefined]]) // prettier-ignore
    await assert.rejects(changesets.undo('patched', {}, 'test'), has('CHANGESET_STALE', /person\/ana\./)) // prettier-ignore
    const undone = await run('undo', 'patched', { onMoved: 'overwrite' })
    assert.deepEqual([undone.applied, undone.run?.refused], [1, 1])
    assert.deepEqual(await told('patched'), [['ana', 'PERSON_ERASED'], ['ben', undefined]]) // prettier-ignore
    await plan('again', 'catalogue', { table: 'person', rows: [{ id: 'ana', attributes: { name: 'Ana' } }] }) // prettier-ignore
    assert.equal((await run('apply', 'again')).run?.refused, 1)
    assert.deepEqual(await told('again'), [['ana', 'PERSON_ERASED']])
  })

  it('corrections that were under way go on with what others sent', async () => {
    await changesets.resume('under-way', 'test')
    const view = await changesets.settled('under-way')
    assert.equal(view.state, 'applied')
    assert.deepEqual(await told('under-way'), [['e3', undefined], ['e4', 'MOVED'], ['e5', undefined]]) // prettier-ignore
    // The erasure had retracted it before: that is what was asked for, and stays.
    const undone = await run('undo', 'under-way')
    assert.deepEqual([undone.applied, undone.run?.refused], [1, 1])
    const [e3] = await changesets.entries('under-way', { from: 0, limit: 1 })
    assert.deepEqual([e3?.code, e3?.reason], ['CORRECTION_REFUSED', 'it names somebody who was erased, which nothing takes back']) // prettier-ignore
  })

  it('merges with her are refused, by her name and item by item', async () => {
    assert.deepEqual((await run('apply', 'merging')).run?.refused, 1)
    assert.deepEqual(await told('merging'), [['guest', 'PERSON_ERASED']])
    const identity = millrace.module<Identity>('identity')
    await assert.rejects(identity.merge('guest', 'ana', { by: 'test' }), has('MERGE_REFUSED', /ana was erased/)) // prettier-ignore
    await assert.rejects(plan('more', 'identities', { rows: [{ from: 'ana', into: 'ben' }] }), has('CHANGESET_INVALID', /ana was erased/)) // prettier-ignore
    assert.equal(letterOf('guest'), 'a-guest-writes')
  })

  it('corrections of her events are refused with the reason, those of others are not', async () => {
    const data = { author: 'ana', letter: SECRETS[0], words: 1 }
    const rows = [
      { id: 'e1', do: 'restore' },
      { id: 'e1', do: 'hold' },
      { id: 'e4', do: 'correct', data },
      { id: 'e4', do: 'retract' },
      { id: 'e2', do: 'hold' },
    ]
    const { refused, unchanged, effects } = await plan('hers', 'corrections', { rows })
    assert.deepEqual([effects, refused, unchanged], [1, 3, 1])
    assert.deepEqual(await told('hers'), [['e1', 'PERSON_ERASED'], ['e1', 'PERSON_ERASED'], ['e4', 'PERSON_ERASED'], ['e4', 'UNCHANGED'], ['e2', undefined]]) // prettier-ignore
    const { branches } = millrace.streams
    const branch = await branches.open({ changes: { corrections: [{ id: 'e1', action: 'restore' }] } }) // prettier-ignore
    assert.equal((await branch.view('lastLetter').get('ana')).value, undefined)
    branch.close()
  })
})
