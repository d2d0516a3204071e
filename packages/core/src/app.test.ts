import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bool,
  compileSchema,
  countView,
  defineApp,
  defineErrors,
  durationMs,
  event,
  float,
  id,
  int,
  invariant,
  isError,
  item,
  objectSchema,
  oneOf,
  person,
  readTime,
  signal,
  silentLogger,
  sliding,
  surface,
  systemClock,
  systemRandom,
  text,
  timestamp,
  tumbling,
  view,
  type AppOptions,
} from './index.ts'

const Clip = item('clip', { title: text(), creator: id('creator'), topics: text().many() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int({ min: 0 }), where: text().optional() },
  { key: 'viewer' },
)
const rated = event(
  'rated',
  { clip: id('clip'), score: float({ min: 0, max: 5 }) },
  { key: 'clip' },
)
const base = {
  name: 'shop',
  items: [Clip],
  people: person({ name: text().personal().describe('as shown') }),
  events: [watched, rated],
} satisfies AppOptions

const refusedAt = (options: unknown, path: string): void => {
  assert.throws(
    () => defineApp(options as AppOptions),
    error =>
      isError(error, 'DEFINITION_INVALID') &&
      assert.equal(error.details['path'], path) === undefined,
  )
}

test('streams follow from the key entities, tables change by events of their own', () => {
  const app = defineApp(base)
  assert.deepEqual(
    app.streams.map(stream => stream.name),
    ['clip', 'person'],
  )
  assert.equal(app.partitions, 4)
  assert.deepEqual([...app.events.keys()].sort(), [
    'clip.put',
    'clip.removed',
    'person.put',
    'person.removed',
    'rated',
    'watched',
  ])
  assert.equal(app.events.get('clip.put')?.isTableChange, true)
})

test('the fingerprint changes with a schema and with nothing else', () => {
  const { fingerprint } = defineApp(base)
  assert.match(fingerprint, /^[0-9a-f]{12}$/)
  assert.equal(
    defineApp({ ...base, name: 'other', events: [rated, watched] }).fingerprint,
    fingerprint,
  )
  const longer = event('rated', { ...rated.fields, note: text().optional() }, { key: 'clip' })
  assert.notEqual(defineApp({ ...base, events: [watched, longer] }).fingerprint, fingerprint)
})

test('an event that fits is admitted with its key, id and time', () => {
  const app = defineApp(base)
  const data = { viewer: 'p1', clip: 'c1', watchedMs: 5 }
  const admitted = app.admit({ type: 'watched', id: 'x', at: '2026-01-02T03:04:05.678Z', data })
  assert.ok(admitted.ok)
  assert.equal(admitted.key, 'p1')
  assert.equal(admitted.id, 'x')
  assert.equal(admitted.atMs, Date.UTC(2026, 0, 2, 3, 4, 5, 678))
  const bare = app.admit({ type: 'rated', data: { clip: 'c1', score: 4.5 } })
  assert.ok(bare.ok && bare.id === undefined && bare.atMs === undefined && bare.key === 'c1')
})

test('what does not fit is refused with its place', () => {
  const app = defineApp(base)
  const data = { viewer: 'p1', clip: 'c1', watchedMs: 5 }
  const cases: [unknown, string][] = [
    [null, ''],
    [[], ''],
    ['watched', ''],
    [{ data }, '/type'],
    [{ type: 'nope', data }, '/type'],
    [{ type: '__proto__', data }, '/type'],
    [{ type: 'watched', data, extra: 1 }, '/extra'],
    [{ type: 'watched', id: '', data }, '/id'],
    [{ type: 'watched', id: 7, data }, '/id'],
    [{ type: 'watched', id: 'a\nb', data }, '/id'],
    [{ type: 'watched', id: 'x'.repeat(129), data }, '/id'],
    [{ type: 'watched', at: 'yesterday', data }, '/at'],
    [{ type: 'watched', at: -1, data }, '/at'],
    [{ type: 'watched', at: 1.5, data }, '/at'],
    [{ type: 'watched' }, '/data'],
    [{ type: 'watched', data: { ...data, watchedMs: '5' } }, '/data/watchedMs'],
    [{ type: 'watched', data: { ...data, watchedMs: -5 } }, '/data/watchedMs'],
    [{ type: 'watched', data: { ...data, viewer: '' } }, '/data/viewer'],
    [{ type: 'watched', data: { ...data, surplus: 1 } }, '/data/surplus'],
  ]
  for (const [envelope, path] of cases) {
    const refused = app.admit(envelope)
    assert.ok(!refused.ok, JSON.stringify(envelope))
    assert.ok(
      refused.issues.some(issue => issue.path === path),
      `${JSON.stringify(refused)} has ${path}`,
    )
  }
})

test('admission survives any JSON value', () => {
  const app = defineApp(base)
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (envelope, data) => {
      const refused = app.admit(envelope)
      if (!refused.ok) assert.ok(refused.issues.length > 0)
      app.admit({ type: 'watched', data })
    }),
  )
})

test('a faulty definition is refused with the place of the fault', () => {
  refusedAt(null, 'the root')
  refusedAt({ ...base, name: 'Shop!' }, 'name')
  refusedAt({ ...base, partitions: 0 }, 'partitions')
  refusedAt({ ...base, items: [Clip, Clip] }, 'items.clip')
  refusedAt({ ...base, items: [item('person', {})] }, 'items.person')
  refusedAt({ ...base, items: [item('exposure', {})] }, 'items.exposure')
  refusedAt({ ...base, items: [item('a b', {})] }, 'items.a b')
  refusedAt({ ...base, items: [item('orderLine', {})] }, 'items.orderLine')
  refusedAt({ ...base, items: [item('x', { '1': text() })] }, 'items.x.1')
  refusedAt({ ...base, items: [item('x', { a: 'text' } as never)] }, 'items.x.a')
  refusedAt({ ...base, items: [item('x', null as never)] }, 'items.x')
  const unmeant = [
    int({ min: 5, max: 1 }),
    int({ max: Number.NaN }),
    float({ min: -Infinity }),
    float({ max: '7' as never }),
    text({ min: 3, max: 2 }),
    text({ max: -1 }),
    text({ max: 1.5 }),
    text().many({ max: -1 }),
    int({ min: 5, max: 1 }).many(),
    oneOf(),
  ]
  for (const field of unmeant)
    refusedAt({ ...base, items: [item('x', { field })] }, 'items.x.field')
  refusedAt({ ...base, events: [watched, watched] }, 'events.watched')
  refusedAt(
    { ...base, events: [event('clip.put', watched.fields, { key: 'viewer' })] },
    'events.clip.put',
  )
  refusedAt({ ...base, events: [event('a b', watched.fields, { key: 'viewer' })] }, 'events.a b')
  refusedAt({ ...base, events: [event('e', { n: int() }, { key: 'n' as never })] }, 'events.e.key')
  refusedAt({ ...base, events: [event('e', { n: id('a b') }, { key: 'n' })] }, 'events.e.key')
  refusedAt({ ...base, events: [event('e', { n: id('exposure') }, { key: 'n' })] }, 'events.e.key')
})

test('signals, surfaces and views must fit the rest of the definition', () => {
  const other = event('other', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
  refusedAt({ ...base, signals: [signal(other, { item: 'clip' })] }, 'signals[0]')
  refusedAt({ ...base, items: [], signals: [signal(watched, { item: 'clip' })] }, 'signals[0].item')
  refusedAt(
    { ...base, signals: [{ ...signal(watched, { item: 'clip' }), person: 'clip' }] },
    'signals[0].person',
  )
  const byClip = event('seen', { clip: id('clip'), viewer: id('person') }, { key: 'clip' })
  refusedAt(
    { ...base, events: [byClip], signals: [signal(byClip, { item: 'clip', person: 'viewer' })] },
    'signals[0].person',
  )

  const home = (change: object): unknown => ({
    ...base,
    surfaces: { home: { ...surface({ items: Clip }), ...change } },
  })
  refusedAt({ ...base, surfaces: { '1': surface({ items: Clip }) } }, 'surfaces.1')
  refusedAt(home({ items: [] }), 'surfaces.home.items')
  refusedAt(home({ items: [item('clip', {})] }), 'surfaces.home.items')
  refusedAt(home({ limits: [{ field: 'nope', max: 1 }] }), 'surfaces.home.limits')
  refusedAt(home({ limits: [{ field: 'creator', max: 0 }] }), 'surfaces.home.limits')
  refusedAt(home({ explore: 1.5 }), 'surfaces.home.explore')
  refusedAt(home({ size: { default: 20, max: 10 } }), 'surfaces.home.size')
  refusedAt(home({ sources: [] }), 'surfaces.home.sources')

  const plays = countView({ from: [watched], key: 'clip' })
  const views = (name: string, declared: object): unknown => ({
    ...base,
    views: { [name]: declared },
  })
  refusedAt(views('a b', plays), 'views.a b')
  refusedAt(views('v', { ...plays, from: [] }), 'views.v.from')
  refusedAt(views('v', countView({ from: [other], key: 'clip' })), 'views.v.from')
  refusedAt(views('v', { ...plays, key: 'watchedMs' }), 'views.v.key')
  refusedAt(views('v', { ...countView({ from: [watched, rated], key: 'clip' }) }), 'views.v.from')
  refusedAt(views('v', { ...plays, join: { clip: item('clip', {}) } }), 'views.v.join')
  refusedAt(views('v', { ...plays, emits: [other] }), 'views.v.emits')
  refusedAt(views('v', { ...plays, emits: [watched] }), 'views.v.emits')
  refusedAt(views('v', { ...plays, window: sliding('1h'), merge: undefined }), 'views.v.window')
})

test('what the types refuse is refused at run time too, with its place', () => {
  refusedAt({ ...base, veiws: {} }, 'veiws')
  refusedAt({ ...base, toString: 1 }, 'toString')
  refusedAt({ name: 'shop' }, 'events')
  refusedAt({ ...base, events: watched }, 'events')
  refusedAt({ ...base, events: [watched, null] }, 'events[1]')
  refusedAt({ ...base, events: [watched, Clip] }, 'events[1]')
  refusedAt({ ...base, surfaces: [] }, 'surfaces')
  refusedAt({ ...base, surfaces: { home: {} } }, 'surfaces.home')
  refusedAt({ ...base, views: { plays: null } }, 'views.plays')
  const shown = event('shown', { viewer: id('person'), clip: id('clip').optional() }, { key: 'viewer' }) // prettier-ignore
  const about = signal(shown, { item: 'clip' as never, weight: () => 1 })
  refusedAt({ ...base, events: [shown], signals: [about] }, 'signals[0].item')
})

test('a state that JSON cannot carry is refused, with the place in it', () => {
  const withState = (initial: () => unknown): unknown => ({
    ...base,
    views: { v: view({ from: [watched], key: 'viewer', initial, fold: () => undefined }) },
  })
  const told = (initial: () => unknown): string => {
    try {
      defineApp(withState(initial) as AppOptions)
      return 'taken'
    } catch (error) {
      assert.ok(isError(error, 'DEFINITION_INVALID'))
      assert.equal(error.details['path'], 'views.v.initial')
      return error.details['reason'] as string
    }
  }
  assert.equal(
    told(() => ({ a: [1, 'x', null, { b: true }], last: undefined })),
    'taken',
  )
  assert.equal(
    told(() => Object.create(null)),
    'taken',
  )
  const has = 'a state is made of JSON, and it has '
  assert.equal(
    told(() => ({ seen: new Set() })),
    `${has}Set at .seen`,
  )
  assert.equal(
    told(() => ({ days: [{ at: new Date(0) }] })),
    `${has}Date at .days[0].at`,
  )
  assert.equal(
    told(() => ({ least: Infinity })),
    `${has}Infinity at .least`,
  )
  assert.equal(
    told(() => 5n),
    `${has}bigint`,
  )
  assert.equal(
    told(() => undefined),
    `${has}undefined`,
  )
  const boom = (): never => {
    throw new Error('boom')
  }
  assert.equal(told(boom), 'it throws: boom')
})

test('names that make the name of a fold too long are refused, one character less is not', () => {
  const plays = countView({ from: [watched], key: 'clip' })
  const named = (length: number): unknown => ({ ...base, views: { ['v'.repeat(length)]: plays } })
  assert.ok(defineApp(named(55) as typeof base))
  refusedAt(named(56), `views.${'v'.repeat(56)}`)

  const kind = (length: number): unknown => ({
    ...base,
    items: [...base.items, item('k'.repeat(length), { title: text() })],
  })
  assert.ok(defineApp(kind(54) as typeof base))
  refusedAt(kind(55), `items.${'k'.repeat(55)}`)

  const between = (length: number): unknown => {
    const far = 't'.repeat(length)
    const seen = event('seen', { viewer: id('person'), far: id(far) }, { key: 'viewer' })
    return { ...base, events: [...base.events, seen], views: { v: countView({ from: [seen], key: 'far' }) } } // prettier-ignore
  }
  assert.ok(defineApp(between(42) as typeof base))
  refusedAt(between(43), 'views.v.key')
})

test('the parts of a definition carry what they were given', () => {
  const app = defineApp({
    ...base,
    lateness: '1m',
    partitions: 8,
    signals: [
      signal(watched, { item: 'clip', weight: data => data.watchedMs / 10 }),
      signal(watched, { item: 'clip' }),
    ],
    views: {
      plays: countView({
        from: [watched],
        key: 'clip',
        where: e => e.data.watchedMs > 1,
        window: tumbling('1h'),
      }),
      last: view({
        from: [watched],
        key: 'viewer',
        initial: () => ({ at: 0 }),
        fold: (s, e) => ({ at: Math.max(s.at, e.atMs) }),
      }),
    },
    surfaces: {
      home: surface({
        items: [Clip],
        limits: [{ field: 'creator', max: 2 }],
        explore: 0.1,
        size: { max: 50 },
      }),
    },
    modules: [
      { name: 'extra', events: [event('paid', { payer: id('person') }, { key: 'payer' })] },
    ],
  })
  assert.equal(app.latenessMs, 60_000)
  assert.ok(app.events.has('paid'))
  const [weighted, plain] = app.options.signals as readonly { weight: (d: never) => number }[]
  assert.equal(weighted?.weight({ watchedMs: 50 } as never), 5)
  assert.equal(plain?.weight({} as never), 1)
  const { plays, last } = app.options.views
  const counted = plays.initial()
  const played = (watchedMs: number): never =>
    ({ type: 'watched', id: 'x', atMs: 7, data: { watchedMs } }) as never
  plays.fold(counted, played(5), undefined as never)
  plays.fold(counted, played(0), undefined as never)
  assert.equal(plays.read(counted), 1)
  plays.invert?.(counted, played(5))
  plays.invert?.(counted, played(0))
  assert.deepEqual(plays.merge?.(counted, { count: 3 }), { count: 3 })
  assert.deepEqual(
    last.read(last.fold(last.initial(), played(1), undefined as never) as { at: number }),
    { at: 7 },
  )
})

test('windows are rounded to whole steps and keep at least their size', () => {
  assert.deepEqual(sliding('1d'), {
    kind: 'sliding',
    sizeMs: 86_400_000,
    stepMs: 3_600_000,
    allowedLatenessMs: 0,
    late: 'ignore',
    keepMs: 86_400_000,
  })
  const odd = sliding(100, { step: 30, allowedLateness: 5, late: 'include' })
  assert.equal(odd.sizeMs, 120)
  assert.equal(odd.allowedLatenessMs, 5)
  assert.equal(tumbling('1h', { keep: 1, allowedLateness: '1m' }).keepMs, 3_600_000)
})

test('fields check exactly what they say', () => {
  const validator = compileSchema(
    objectSchema({
      a: text({ min: 1, max: 3 }),
      b: bool(),
      c: oneOf('x', 'y'),
      d: timestamp().optional(),
      e: id('k').many({ max: 2 }).optional(),
    }),
  )
  assert.ok(validator.check({ a: 'abc', b: true, c: 'x' }))
  assert.deepEqual(validator.issues({ a: 'abc', b: true, c: 'x' }), [])
  validator.assert({ a: 'abc', b: false, c: 'y', d: 1, e: ['1', '2'] }, 'it')
  for (const wrong of [
    {},
    { a: '', b: true, c: 'x' },
    { a: 'abcd', b: true, c: 'x' },
    { a: 'a', b: 1, c: 'x' },
    { a: 'a', b: true, c: 'z' },
    { a: 'a', b: true, c: 'x', d: '1' },
    { a: 'a', b: true, c: 'x', e: ['1', '2', '3'] },
    { a: 'a', b: true, c: 'x', f: 1 },
  ]) {
    assert.throws(
      () => validator.assert(wrong, 'it'),
      error => isError(error, 'DATA_INVALID'),
    )
  }
})

test('times and durations', () => {
  assert.equal(readTime(0), 0)
  assert.equal(readTime('2026-01-01T00:00:00+01:00'), Date.UTC(2025, 11, 31, 23))
  assert.equal(readTime('2026-01-01 00:00:00z'), Date.UTC(2026, 0, 1))
  for (const wrong of [
    null,
    NaN,
    Infinity,
    -1,
    2 ** 49,
    '2026-01-01',
    '1969-12-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    {},
  ]) {
    assert.equal(readTime(wrong), undefined)
  }
  assert.equal(durationMs('7d'), 604_800_000)
  assert.equal(durationMs(5), 5)
  for (const wrong of ['soon', '', 0, -5, NaN, '-1d', '9'.repeat(101)]) {
    assert.throws(
      () => durationMs(wrong as never),
      error => isError(error, 'DURATION_INVALID'),
    )
  }
})

test('errors carry code, place and remedy', () => {
  const errors = defineErrors({
    BUSY: {
      status: 503,
      retryable: true,
      message: 'Busy at {place}, {missing}.',
      remedy: 'Wait {retryAfterMs} ms.',
    },
  })
  const error = errors.create('BUSY', { place: 'home', retryAfterMs: 5 }, new Error('cause'))
  assert.equal(error.message, 'Busy at home, {missing}.')
  assert.equal(error.remedy, 'Wait 5 ms.')
  assert.equal(error.retryAfterMs, 5)
  assert.equal(errors.create('BUSY').retryAfterMs, undefined)
  assert.ok(
    isError(error) &&
      isError(error, 'BUSY') &&
      !isError(error, 'OTHER') &&
      !isError(new Error('x')),
  )
  assert.throws(
    () => invariant(false, 'one is two'),
    failure => isError(failure, 'INVARIANT_BROKEN'),
  )
  invariant(true, 'fine')
})

test('the ports of the machine work', async () => {
  assert.ok(systemClock.nowMs() > 1.7e12)
  const before = systemClock.monotonicMs()
  systemClock.after(0, () => assert.fail('was cancelled')).cancel()
  await new Promise<void>(resolve => systemClock.soon(resolve))
  assert.ok(systemClock.monotonicMs() >= before)
  assert.ok(systemRandom.next() < 1)
  assert.equal(systemRandom.fill(new Uint8Array(8)).length, 8)
  for (const level of ['debug', 'info', 'warn', 'error'] as const) silentLogger[level]('nothing')
})
