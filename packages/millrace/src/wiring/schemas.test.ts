import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  countView,
  defineApp,
  event,
  id,
  int,
  isError,
  item,
  silentLogger,
  text,
  upcastFrom,
  view,
  type App,
  type AppOptions,
} from '@millrace/core'
import { openMillrace, type Millrace } from '../millrace.ts'
import { tryOldEvents } from '../schemas.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-schemas-'))
after(() => rm(root, { recursive: true }))

const Clip = item('clip', { title: text() })
const old = { viewer: id('person'), clip: id('clip'), seconds: int({ min: 0 }) } as const
const now = { viewer: id('person'), clip: id('clip'), watchedMs: int({ min: 0 }) } as const

const appOf = (watched: AppOptions['events'][number], items = [Clip]): App =>
  defineApp({ name: 'evolving', items, events: [watched] })
const open = (app: App, data: string): Promise<Millrace> =>
  openMillrace({ app, data: join(root, data), logger: silentLogger })
const first = appOf(event('watched', old, { key: 'viewer' }))

async function write(data: string, app = first): Promise<void> {
  const millrace = await open(app, data)
  await millrace.track('watched', { viewer: 'ann', clip: 'a', seconds: 7 } as never, { id: 'e1' })
  await millrace.close()
}

test('a definition that old events do not fit is refused with event, place and remedy', async () => {
  await write('refused')
  const next = appOf(event('watched', now, { key: 'viewer' }))
  await assert.rejects(open(next, 'refused'), error => {
    assert.ok(isError(error, 'SCHEMA_INCOMPATIBLE'))
    assert.match(error.message, /watched .*version 1, .*e1 at person\/\d:0/)
    assert.match(error.message, /#\/properties\/watchedMs: a required field was added/)
    assert.match(error.message, /PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL/)
    assert.match(error.remedy, /upcastFrom/)
    return true
  })
  // Nothing was changed: the definition that fits opens it.
  await (await open(first, 'refused')).close()
})

test('what the log holds no events of may change freely, and what reads all old events too', async () => {
  await (await open(first, 'free')).close()
  const next = appOf(event('watched', now, { key: 'viewer' }))
  await (await open(next, 'free')).close()
  await write('more')
  const wider = { ...old, note: text().optional() }
  await (await open(appOf(event('watched', wider, { key: 'viewer' })), 'more')).close()
  // Back to the first definition: nothing was written under the wider one.
  await (await open(first, 'more')).close()
})

test('a level that promises less lets it pass, one that promises more refuses more', async () => {
  await write('levels')
  const none = event('watched', now, { key: 'viewer', compatibility: 'NONE' })
  await (await open(appOf(none), 'levels')).close()
  await write('full')
  const wider = { ...old, note: text().optional() }
  const full = event('watched', wider, { key: 'viewer', compatibility: 'FULL' })
  await assert.rejects(open(appOf(full), 'full'), error => isError(error, 'SCHEMA_INCOMPATIBLE'))
})

test('items are checked as events are, and upcast', async () => {
  const millrace = await open(first, 'items')
  await millrace.items('clip').put('a', { title: 'A' } as never)
  await millrace.close()
  const fields = { name: text(), size: int() }
  const watched = event('watched', old, { key: 'viewer' })
  const broken = appOf(watched, [item('clip', fields)] as never)
  await assert.rejects(open(broken, 'items'), error => isError(error, 'SCHEMA_INCOMPATIBLE'))
  const upcast = upcastFrom({ title: text() }, clip => ({ name: clip.title, size: 1 }))
  const next = await open(appOf(watched, [item('clip', fields, { upcast })] as never), 'items')
  assert.deepEqual(next.items('clip').get('a'), { name: 'A', size: 1 })
  await next.close()
})

const between = { viewer: id('person'), clip: id('clip'), watchedSeconds: int({ min: 0 }) } as const
const upcast = upcastFrom(old, ({ seconds, ...rest }) => ({
  ...rest,
  watchedSeconds: seconds,
})).next(between, ({ watchedSeconds, ...rest }) => ({ ...rest, watchedMs: watchedSeconds * 1000 }))
const watchedNow = event('watched', now, { key: 'viewer', upcast })
const evolved = defineApp({
  name: 'evolving',
  items: [Clip],
  events: [watchedNow],
  views: {
    time: view({
      from: [watchedNow],
      key: 'viewer',
      initial: () => ({ ms: 0 }),
      fold: (state, { data }) => ({ ms: state.ms + data.watchedMs }),
    }),
    byClip: view({
      from: [watchedNow],
      key: 'clip',
      initial: () => ({ ms: 0 }),
      fold: (state, { data }) => ({ ms: state.ms + data.watchedMs }),
    }),
    plays: countView({ from: [watchedNow], key: 'viewer' }),
  },
})

test('events of every earlier shape are read through the steps after it, folds and re-keyed streams included', async () => {
  await write('upcast')
  const second = await open(
    appOf(
      event('watched', between, {
        key: 'viewer',
        upcast: upcastFrom(old, ({ seconds, ...rest }) => ({ ...rest, watchedSeconds: seconds })),
      }),
    ),
    'upcast',
  )
  await second.track('watched', { viewer: 'ann', clip: 'a', watchedSeconds: 2 } as never)
  await second.close()
  for (const extra of [1, 0]) {
    const millrace = await openMillrace({
      app: evolved,
      data: join(root, 'upcast'),
      logger: silentLogger,
    })
    if (extra > 0) await millrace.track('watched', { viewer: 'ann', clip: 'a', watchedMs: 30 })
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    assert.deepEqual(millrace.view('time').get('ann').value, { ms: 9030 })
    assert.deepEqual(millrace.view('byClip').get('a').value, { ms: 9030 })
    assert.equal(millrace.view('plays').get('ann').value, 3)
    const found = await millrace.log.find('e1')
    assert.deepEqual(found?.data, { viewer: 'ann', clip: 'a', watchedMs: 7000 })
    assert.deepEqual(JSON.parse(Buffer.from(found.payload).toString()), found.data)
    const history = []
    for await (const record of millrace.log.history({ stream: 'person', keys: ['ann'] }))
      history.push((record.data as { watchedMs: number }).watchedMs)
    assert.deepEqual(history, [7000, 2000, 30])
    // The same event sent again in its old bytes is no longer valid; in the log it is as it was.
    await millrace.close()
  }
  await assert.rejects(open(first, 'upcast'), error => isError(error, 'SCHEMA_INCOMPATIBLE'))
})

const inMs = upcastFrom(old, ({ seconds, ...rest }) => ({ ...rest, watchedMs: seconds * 1000 }))

/** The app of a definition of `watched`, whose views add up what `msOf` gives. */
function summing(
  watched: ReturnType<typeof event>,
  msOf: (data: Readonly<Record<string, unknown>>) => number,
): App {
  const sums = {
    version: 'the same',
    initial: () => ({ ms: 0 }),
    fold(state: { ms: number }, { data }: { data: unknown }) {
      const ms = msOf(data as Readonly<Record<string, unknown>>)
      if (!Number.isInteger(ms)) throw new TypeError('it says no time')
      return { ms: state.ms + ms }
    },
  } as const
  const from = [watched] as const
  const views = {
    time: view({ from, key: 'viewer', ...sums } as never),
    byClip: view({ from, key: 'clip', ...sums } as never),
  }
  return defineApp({ name: 'evolving', items: [Clip], events: [watched], views })
}
const inSeconds = summing(event('watched', old, { key: 'viewer' }) as never, ({ seconds }) => (seconds as number) * 1000) // prettier-ignore

async function twoPeople(data: string): Promise<void> {
  const millrace = await open(inSeconds, data)
  for (const viewer of ['ann', 'ben']) {
    const id = `old of ${viewer}`
    await millrace.track('watched', { viewer, clip: 'a', seconds: 7 } as never, { id })
  }
  await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
  await millrace.close()
}

const valueOf = (millrace: Millrace, name: string, key: string): unknown =>
  millrace.view(name as never).get(key)
const slip = { reason: 'a slip', by: 'test' }

test('what events were corrected to under an earlier definition is read as of today', async () => {
  await twoPeople('corrected')
  const first = await open(inSeconds, 'corrected')
  const data = { viewer: 'ann', clip: 'a', seconds: 9 }
  await first.streams.corrections.apply({ corrections: [{ id: 'old of ann', action: 'correct', data }], ...slip }) // prettier-ignore
  assert.equal((valueOf(first, 'time', 'ann') as { value: { ms: number } }).value.ms, 9000)
  await first.close()
  const watched = event('watched', now, { key: 'viewer', upcast: inMs })
  for (const round of ['built again', 'from a snapshot']) {
    const millrace = await open(summing(watched as never, ({ watchedMs }) => watchedMs as number), 'corrected') // prettier-ignore
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    const said = ['time', 'byClip'].map(name => valueOf(millrace, name, name === 'time' ? 'ann' : 'a')) // prettier-ignore
    const values = said.map(one => (one as { value: unknown }).value)
    assert.deepEqual(values, [{ ms: 9000 }, { ms: 16_000 }], round)
    assert.deepEqual((await millrace.streams.rebuild({ fold: 'view.byClip' })).different, [])
    await millrace.close()
  }
})

test('a key whose old events the code does not understand any more waits when it is folded again', async () => {
  await twoPeople('forgotten')
  const watched = event('watched', now, { key: 'viewer', compatibility: 'NONE' })
  const millrace = await open(summing(watched as never, ({ watchedMs }) => watchedMs as number), 'forgotten') // prettier-ignore
  const track = (viewer: string) =>
    millrace.track('watched', { viewer, clip: viewer, watchedMs: 5 } as never, { id: `new of ${viewer}` }) // prettier-ignore
  await track('ann')
  await millrace.reached((await track('ben')).position, { timeoutMs: 60_000 })
  const { corrections, branches } = millrace.streams
  const set = { corrections: [{ id: 'new of ann', action: 'retract' as const }], ...slip }
  // Said before by a branch, and then so.
  const branch = await branches.open({ changes: { corrections: set.corrections } })
  assert.equal((await branch.view('time').get('ann')).isParked, true)
  branch.close()
  await corrections.apply(set)
  const said = (key: string) => {
    const { value, isParked } = valueOf(millrace, 'time', key) as { value?: { ms: number }; isParked: boolean } // prettier-ignore
    return [value?.ms, isParked]
  }
  assert.deepEqual([said('ann'), said('ben')], [[undefined, true], [7005, false]]) // prettier-ignore
  const [letter] = millrace.streams.fold('view.time').parked()
  assert.equal(letter?.key, 'ann')
  assert.match(letter.error, /it says no time/)
  // The event is given a sense again, and then all is as it was.
  const data = { viewer: 'ann', clip: 'a', watchedMs: 7000 }
  await corrections.apply({ corrections: [{ id: 'old of ann', action: 'correct', data }], ...slip }) // prettier-ignore
  assert.deepEqual(said('ann'), [7000, false])
  await corrections.apply({ corrections: [{ id: 'new of ann', action: 'restore' }], ...slip })
  assert.deepEqual(said('ann'), [7005, false])
  await millrace.close()
})

test('generated old events go through every step', () => {
  const trial = tryOldEvents(evolved, { events: 50 })
  assert.deepEqual(trial, { shapes: 2, events: 100, faults: [] })
  const wrong = event('watched', now, {
    key: 'viewer',
    upcast: upcastFrom({ ...old, seconds: int() }, ({ viewer, clip, seconds }) => ({
      viewer,
      clip,
      watchedMs: seconds * 1000,
    })),
  })
  const [fault] = tryOldEvents(appOf(wrong)).faults
  assert.equal(fault?.type, 'watched')
  assert.match(fault.reason, /watchedMs/)
})
