/**
 * A definition whose upcaster throws at events of an earlier one: what changesets, rebuilds, branches and
 * erasures do that come across such an event. Each names it or leaves its key to people; the rest of each
 * is done, and nothing half.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import {
  countView,
  defineApp,
  event,
  id,
  int,
  silentLogger,
  text,
  upcastFrom,
  view,
} from '@millrace/core'
import type { Changesets, ChangesetView, Erasures } from '@millrace/product'
import { openMillrace } from './millrace.ts'

const common = { viewer: id('person'), friend: id('person').optional(), clip: id('clip'), note: text().optional().personal() } // prettier-ignore
const old = { ...common, seconds: int() } as const
const now = { ...common, watchedMs: int() } as const
const before = event('watched', old, { key: 'viewer' })
const after = event('watched', now, {
  key: 'viewer',
  upcast: upcastFrom(old, ({ seconds, ...rest }) => {
    if (seconds < 0) throw new RangeError('nobody watches for less than nothing')
    return { ...rest, watchedMs: seconds * 1000 }
  }),
})
const first = defineApp({ name: 'forgetting', events: [before] })
const second = defineApp({
  name: 'forgetting',
  events: [after],
  views: {
    time: view({
      from: [after],
      key: 'viewer',
      initial: () => ({ ms: 0 }),
      fold: (state, { data }) => ({ ms: state.ms + data.watchedMs }),
    }),
    byClip: countView({ from: [after], key: 'clip' }),
  },
})

it('an event that no upcaster takes holds up its own keys, and nobody else', async () => {
  const data = await mkdtemp(join(tmpdir(), 'millrace-forgotten-'))
  const logger = silentLogger
  const early = await openMillrace({ app: first, data, logger })
  for (const [viewer, seconds] of [
    ['ann', 7],
    ['ann', -1],
    ['ben', 2],
    ['cleo', 3],
  ] as const) {
    // prettier-ignore
    const clip = viewer === 'cleo' ? 'c2' : 'c1'
    await early.track('watched', { viewer, clip, seconds, note: `${viewer} says ${seconds}` }, { id: `${viewer}${seconds}` }) // prettier-ignore
  }
  await early.close()
  const millrace = await openMillrace({ app: second, data, logger })
  const { position } = await millrace.track('watched', { viewer: 'ben', clip: 'c2', watchedMs: 5 }, { id: 'ben5' }) // prettier-ignore
  await millrace.reached(position)
  await millrace.reached(new Map(millrace.log.ends()))
  const changesets = millrace.module<Changesets>('changesets')
  const run = async (verb: 'apply' | 'undo', name: string): Promise<ChangesetView> => {
    await changesets[verb](name, {}, 'test')
    return await changesets.settled(name)
  }
  const numberOf = (value: unknown): number =>
    typeof value === 'number' ? value : ((value as { ms: number } | undefined)?.ms ?? 0)
  const views = (): readonly unknown[] =>
    [
      ...['ann', 'ben', 'cleo'].map(key => millrace.view('time').get(key)),
      ...['c1', 'c2'].map(key => millrace.view('byClip').get(key)),
    ].map(({ value, isParked }) => [numberOf(value), isParked])
  const ANN = [7000, true]
  const before = [ANN, [2005, false], [3000, false], [2, false], [2, false]]
  assert.deepEqual(views(), before)
  const equal = async (expected: readonly unknown[], what: string): Promise<void> => {
    assert.deepEqual(views(), expected, what)
    for (const { name, error } of millrace.streams.status()) {
      assert.equal(error, undefined, name)
      const { different } = await millrace.streams.rebuild({ fold: name })
      assert.deepEqual(different, [], `${what}: ${name} is what a rebuild gives`)
    }
  }
  const cases = [
    // Another event of the same key: it waits as before, and says what came before the event.
    ['of ann', { rows: [{ id: 'ann7' }] }, 0, [[0, true], before[1], before[2], [1, false], before[4]]],
    ['of ben', { rows: [{ id: 'ben2' }] }, 0, [ANN, [5, false], before[2], [1, false], before[4]]],
    ['of all', { query: { stream: 'person', types: ['watched'] } }, 1, [[0, true], [0, false], [0, false], [0, false], [0, false]]],
  ] as const // prettier-ignore
  for (const [name, request, refused, after] of cases) {
    await changesets.plan({ id: name, kind: 'corrections', request }, 'test')
    const { consequences } = await changesets.dryRun(name)
    assert.ok(consequences.some(({ what }) => what.includes('view.time')))
    const applied = await run('apply', name)
    assert.deepEqual([applied.state, applied.run?.refused], ['applied', refused])
    await equal(after, `${name}, applied`)
    assert.equal((await run('undo', name)).state, 'undone')
    await equal(before, `${name}, undone`)
  }
  // The event itself is named, and left as it is.
  const reason = /^The watched event ann-1, .* cannot be read as of today: RangeError/
  const reasonsOf = async (name: string): Promise<readonly (readonly unknown[])[]> => {
    const entries = await changesets.entries(name, { from: 0, limit: 10 })
    return entries.flatMap(({ code, reason }) => (code === undefined ? [] : [[code, reason]]))
  }
  await run('apply', 'of all')
  const [[code, told] = []] = await reasonsOf('of all')
  await run('undo', 'of all')
  assert.equal(code, 'CORRECTION_REFUSED')
  assert.match(String(told), reason)
  assert.match(String(told), /Correct the upcaster/)
  // Nobody knows whether it is meant by what it says.
  const { effects, refused } = await changesets.plan({ id: 'data', kind: 'corrections', request: { query: { stream: 'person', data: { clip: 'c1' } } } }, 'test') // prettier-ignore
  assert.deepEqual([effects, refused], [2, 1])
  assert.match(String((await reasonsOf('data'))[0]?.[1]), reason)
  // Nor of whom it tells: erasures say so, and go on; hers takes it with her.
  const erasures = millrace.module<Erasures>('erasure')
  for (const [person, events] of [
    ['cleo', 1],
    ['ann', 2],
  ] as const) {
    const { erasure } = await erasures.begin({ people: [person], reason: 'asked', by: 'test' })
    const { report } = await erasures.ended(erasure)
    assert.equal(report?.events, events)
    const unread = report.remains.find(({ what }) => what.includes('does not understand any more'))
    assert.equal(unread?.count, 1)
  }
  assert.deepEqual((await millrace.log.find('ann-1'))?.data, { viewer: 'ann', clip: 'c1', seconds: -1, note: null }) // prettier-ignore
  await equal([[0, true], before[1], [0, false], [1, false], [1, false]], 'without ann and cleo')
  assert.equal(await millrace.streams.retry({ fold: 'view.time', key: 'ann' }), true)
  await millrace.close()
  await rm(data, { recursive: true })
})
