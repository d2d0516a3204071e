import assert from 'node:assert/strict'
import { it } from 'node:test'
// #region definition
import {
  countView,
  defineApp,
  event,
  id,
  int,
  item,
  openMillrace,
  signal,
  surface,
  text,
} from 'millrace'

const Clip = item('clip', { title: text(), creator: id('creator') })
const watched = event(
  'watched',
  { viewer: id('person'), clip: id('clip'), watchedMs: int() },
  { key: 'viewer' },
)

const app = defineApp({
  name: 'clips',
  items: [Clip],
  events: [watched],
  signals: [signal(watched, { item: 'clip' })],
  views: { plays: countView({ from: [watched], key: 'clip' }) },
  surfaces: { home: surface({ items: Clip }) },
})
// #endregion
import { createClient } from 'millrace/client'

it('the README of the package does what it says', async () => {
  // #region open
  const millrace = await openMillrace({ app, data: 'memory' })
  const { url } = await millrace.listen({ port: 0 })
  // #endregion
  await millrace.items('clip').put('c1', { title: 'One', creator: 'x' })
  // #region client
  const client = createClient<typeof app>({ url })
  const { position } = await client.track('watched', { viewer: 'ann', clip: 'c1', watchedMs: 9000 })
  const plays = await client.view('plays').get('c1', { atLeast: position })
  const { items } = await client.recommend('home', { person: 'ann', atLeast: position })
  // #endregion
  assert.equal(plays.value, 1)
  assert.ok(items.every(({ id }) => id !== 'c1'))
  await client.close()
  await millrace.close()
})
