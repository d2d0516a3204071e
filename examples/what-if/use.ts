import type { Millrace } from 'millrace'
import type app from './app.ts'

// #region branch
/** What Ana would have seen without some events. */
export async function without(millrace: Millrace<typeof app>, events: readonly string[]) {
  const corrections = events.map(id => ({ id, action: 'retract' as const }))
  const branch = await millrace.streams.branches.open({ changes: { corrections } })
  try {
    const { value } = await branch.view('seen').get('ana')
    return value
  } finally {
    branch.close()
  }
}
// #endregion
