import { openMillrace } from 'millrace'
import { app } from './app.ts'

const millrace = await openMillrace({ app, data: 'memory', logLevel: 'warn' })
const playsOf = (clip: string): number => millrace.view('plays').get(clip).value ?? 0

// #region retract
await millrace.track('watched', { viewer: 'ana', clip: 'c1' })
const bot = await millrace.track('watched', { viewer: 'bot', clip: 'c1' })
const slip = await millrace.track('watched', { viewer: 'ben', clip: 'c2' })
await millrace.reached(slip.position)
console.log('c1:', playsOf('c1'), 'c2:', playsOf('c2'))

const { corrections } = millrace.streams
const ring = {
  changeset: 'bots of Monday',
  reason: 'a bot, and a clip that was named wrongly',
  by: 'mia',
  corrections: [
    { id: bot.id, action: 'retract' as const },
    { id: slip.id, action: 'correct' as const, data: { viewer: 'ben', clip: 'c1' } },
    { id: 'nobody-sent-this', action: 'retract' as const },
  ],
}
const { folds } = await corrections.affected(ring)
for (const { fold, keys, samples } of folds) console.log(fold, keys, samples.join(' '))

const { results } = await corrections.apply(ring)
console.log(results.map(({ status }) => status).join(', '))
console.log('c1:', playsOf('c1'), 'c2:', playsOf('c2'))
// #endregion

// #region restore
await corrections.apply({
  reason: 'it was no bot',
  by: 'mia',
  corrections: [
    { id: bot.id, action: 'restore' },
    { id: slip.id, action: 'restore' },
  ],
})
console.log('c1:', playsOf('c1'), 'c2:', playsOf('c2'))
// #endregion
await millrace.close()
