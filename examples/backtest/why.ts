import type { Client } from 'millrace/client'
import type app from './app.ts'

// #region why
/** What became of a clip in a past answer, and the newest plays that made it trend. */
export async function whyNot(client: Client<typeof app>, answerId: string, clip: string) {
  const { traced = [] } = await client.answers.explain(answerId, { limit: 500 })
  const kept = traced.find(({ id }) => id === clip)?.outcome ?? 'nobody proposed it'
  const item = `clip/${clip}`
  const { events } = await client.answers.eventsBehind(answerId, { item, stage: 'trending' })
  return { kept, why: events.map(({ person, type, atMs }) => ({ person, type, atMs })) }
}
// #endregion
