/** What the client must not let through: checked by the compiler alone. */
import { clips } from '../testing/clips.ts'
import { openMillrace } from '../millrace.ts'
import { createClient } from './client.ts'

const client = createClient<typeof clips>({ url: '' })
const millrace = await openMillrace({ app: clips, data: 'memory' })

void client.track('watched', { viewer: 'p', clip: 'c', watchedMs: 1 })
void client.track(
  'watched',
  { viewer: 'p', clip: 'c', watchedMs: 1, device: 'tv' },
  { at: new Date(0) },
)
// @ts-expect-error there is no such event
void client.track('missing', {})
// @ts-expect-error a field is missing
void client.track('watched', { viewer: 'p', clip: 'c' })
// @ts-expect-error a field has another type
void client.track('watched', { viewer: 'p', clip: 'c', watchedMs: 'long' })
// @ts-expect-error there is no such field
void client.track('watched', { viewer: 'p', clip: 'c', watchedMs: 1, colour: 'red' })
// @ts-expect-error not one of the values
void client.track('watched', { viewer: 'p', clip: 'c', watchedMs: 1, device: 'radio' })
// @ts-expect-error there is no such surface
void client.recommend('basement')
// @ts-expect-error there is no such view
client.view('missing')
// @ts-expect-error there is no such kind
client.items('course')
// @ts-expect-error an attribute is missing
void client.items('clip').put('c', { title: 'x', topics: [] })

const plays: number | null = (await client.view('plays').get('c')).value
const title: string | undefined = (await client.recommend('home')).items[0]?.attributes?.title
const topics: readonly string[] | undefined = (await client.items('clip').get('c'))?.topics
// @ts-expect-error the view gives a number
const text: string | null = (await client.view('time').get('p')).value

void millrace.track('watched', { viewer: 'p', clip: 'c', watchedMs: 1 })
// @ts-expect-error a field has another type
void millrace.track('watched', { viewer: 1, clip: 'c', watchedMs: 1 })
// @ts-expect-error data of another event
void millrace.trackMany([{ type: 'rated', data: { viewer: 'p', clip: 'c', watchedMs: 1 } }])
// @ts-expect-error there is no such surface
millrace.recommend('basement')
const count: number | undefined = millrace.view('plays').get('c').value
// @ts-expect-error there is no such view
millrace.view('missing')

export { plays, title, topics, text, count }
