import type { Millrace } from 'millrace'
import type app from './app.ts'

// #region read
/** How often a clip had been watched, for all that was known at that time. */
export async function playsAt(millrace: Millrace<typeof app>, clip: string, timeMs: number) {
  const { value = 0, position } = await millrace.view('plays').at({ timeMs }).get(clip)
  return { plays: value, position }
}
// #endregion
