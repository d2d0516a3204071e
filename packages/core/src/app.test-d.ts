import {
  countView,
  defineApp,
  event,
  float,
  id,
  int,
  item,
  oneOf,
  person,
  signal,
  surface,
  text,
  upcastFrom,
  view,
  type EventData,
  type EventNames,
  type ItemAttributes,
  type SurfaceNames,
  type ViewValue,
} from './index.ts'

const Clip = item('clip', {
  title: text(),
  topics: text().many(),
  creator: id('creator'),
  durationMs: int(),
})
const Course = item('course', { title: text(), level: oneOf('easy', 'hard') })
const People = person({ name: text().personal(), country: text().optional() })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int(), device: text().optional() },
  { key: 'viewer' },
)
const liked = event('liked', { viewer: id('person'), clip: id('clip') }, { key: 'viewer' })
const rated = event('rated', { clip: id('clip'), score: float() }, { key: 'clip' })

const app = defineApp({
  name: 'types',
  items: [Clip, Course],
  people: People,
  events: [watched, liked, rated],
  signals: [
    signal(watched, { item: 'clip', weight: data => data.watchedMs / 1000 }),
    signal(liked, { item: 'clip', weight: 2 }),
  ],
  views: {
    plays: countView({ from: [watched], key: 'clip', where: e => e.data.watchedMs > 1000 }),
    time: view({
      from: [watched, liked],
      key: 'viewer',
      initial: () => ({ ms: 0, likes: 0 }),
      fold(state, e, context) {
        if (e.type === 'watched') state.ms += e.data.watchedMs
        else state.likes += 1
        const topics: readonly string[] | undefined = context.tables.clip(e.data.clip)?.topics
        void topics
      },
      join: { clip: Clip },
      read: state => state.ms,
    }),
  },
  surfaces: { home: surface({ items: Clip, limits: [{ field: 'creator', max: 2 }] }) },
})

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const isTrue = <_T extends true>(): void => undefined

isTrue<Equal<EventNames<typeof app>, 'watched' | 'liked' | 'rated'>>()
isTrue<Equal<EventData<typeof app, 'watched'>['watchedMs'], number>>()
isTrue<Equal<EventData<typeof app, 'watched'>['device'], string | undefined>>()
isTrue<Equal<ItemAttributes<typeof app, 'clip'>['topics'], string[]>>()
isTrue<Equal<ItemAttributes<typeof app, 'course'>['level'], 'easy' | 'hard'>>()
isTrue<Equal<SurfaceNames<typeof app>, 'home'>>()
isTrue<Equal<ViewValue<typeof app, 'plays'>, number>>()
isTrue<Equal<ViewValue<typeof app, 'time'>, number>>()

// A key must be a required id field.
// @ts-expect-error
event('a', { n: int() }, { key: 'n' })
// @ts-expect-error
event('a', { who: id('person').optional() }, { key: 'who' })
// @ts-expect-error
event('a', { who: id('person') }, { key: 'missing' })
// A signal's item is an id field, its weight sees the event's fields.
// @ts-expect-error
signal(watched, { item: 'watchedMs' })
// @ts-expect-error
signal(watched, { item: 'clip', weight: data => data.missing })
// A view's key is common to its events.
// @ts-expect-error
countView({ from: [watched, rated], key: 'viewer' })
// @ts-expect-error
countView({ from: [watched], key: 'watchedMs' })
// @ts-expect-error
countView({ from: [watched], key: 'clip', where: e => e.data.missing > 1 })
// Limits name fields of the items.
// @ts-expect-error
surface({ items: Clip, limits: [{ field: 'missing', max: 1 }] })
// @ts-expect-error
surface({ items: Clip, sources: ['magic'] })

// Upcasters: typed from the old fields to the new ones.
const seen = { viewer: id('person'), ms: int() } as const
event('seen', seen, {
  key: 'viewer',
  upcast: upcastFrom({ viewer: id('person'), s: int() }, old => ({
    viewer: old.viewer,
    ms: old.s * 1000,
  })),
})
event('seen', seen, {
  key: 'viewer',
  // @ts-expect-error what the step gives lacks `ms`
  upcast: upcastFrom({ viewer: id('person'), s: int() }, ({ viewer }) => ({ viewer })),
})
// @ts-expect-error the old event has no `seconds`
upcastFrom({ viewer: id('person') }, old => ({ ms: old.seconds }))
const steps = upcastFrom({ a: int() }, old => ({ b: String(old.a) })).next({ b: text() }, old => ({
  c: old.b.length,
}))
// @ts-expect-error the step before gives a number
steps.next({ c: text() }, old => ({ d: old.c }))
