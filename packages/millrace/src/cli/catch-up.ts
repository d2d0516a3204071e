/** Waiting for the views, where a command has opened the log itself. */
import type { Runtime } from '../wiring/runtime.ts'
import type { CommandContext } from './context.ts'
import type { Progress } from './progress.ts'

const CATCH_UP_MS = 24 * 3_600_000
const LOOK_EVERY_MS = 200

/** Waits until the views reflect all of the log, and shows how far they are. */
export async function catchUp(
  { streams, backends }: Runtime,
  { clock }: CommandContext,
  progress: Progress,
): Promise<void> {
  const lag = (): number => streams.status().reduce((sum, fold) => sum + fold.lag, 0)
  let most = lag()
  let isDone = false
  progress.begin('Views', 'rows')
  const look = (): void => {
    if (isDone) return
    const left = lag()
    most = Math.max(most, left)
    progress.update(most - left, most, most - left)
    clock.after(LOOK_EVERY_MS, look)
  }
  look()
  try {
    const position = new Map(backends.log.ends())
    await streams.reached({ position, timeoutMs: CATCH_UP_MS })
  } finally {
    isDone = true
    progress.end()
  }
}
