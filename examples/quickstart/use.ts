// #region use
import { openMillrace } from 'millrace'
import { app } from './app.ts'

const millrace = await openMillrace({ app, data: 'memory', logLevel: 'warn' })

const clips = millrace.items('clip')
await clips.put('c1', { title: 'Knots', topics: ['sailing'], creator: 'mia' })
await clips.put('c2', { title: 'Tides', topics: ['sailing'], creator: 'leo' })
await clips.put('c3', { title: 'Bread', topics: ['baking'], creator: 'ann' })

// Resolves when the event is durable.
await millrace.track('watched', { viewer: 'ben', clip: 'c1', watchedMs: 40_000 })
await millrace.track('watched', { viewer: 'ben', clip: 'c2', watchedMs: 40_000 })
const last = await millrace.track('watched', { viewer: 'ana', clip: 'c1', watchedMs: 60_000 })

// Wait until every view reflects the event that was acknowledged at that position.
await millrace.reached(last.position)
console.log('plays of c1:', millrace.view('plays').get('c1').value)

const answer = millrace.recommend('home', { person: 'ana', n: 2, explain: true })
for (const { attributes, reasons, propensity } of answer.items) {
  console.log(attributes?.['title'], '|', reasons?.join(', '), '| chance', propensity)
}
await millrace.close()
// #endregion
