/**
 * A process that goes on with a changeset of corrections where the one before it was killed, tells what
 * all folds say then, and begins the next run, in which it is killed:
 * `node undo-crash-worker.ts <data directory> <direction> <step>`.
 */
import { flushCompileCache } from 'node:module'
import { foregroundClock, systemClock } from '@millrace/core'
import { openForTest } from './clips.ts'
import { dieAt, settled, tell } from './dying.ts'
import { send } from './http.ts'
import { UNDO_STEPS } from './undo-steps.ts'

const [data = '', direction = '', name = ''] = process.argv.slice(2)
const PATH = '/v1/changesets/ring'
const millrace = await openForTest({ data, clock: foregroundClock })
const { url } = await millrace.listen()

interface View {
  readonly applied: number
  readonly run?: { readonly hasEnded: boolean }
}

async function ended(): Promise<View> {
  for (;;) {
    const view = (await send(url, PATH)).json as unknown as View
    if (view.run?.hasEnded !== false) return view
    await new Promise<void>(resolve => systemClock.after(5, resolve))
  }
}

const { applied } = await ended()
await settled(millrace)
await tell(millrace, { applied })
flushCompileCache()
const step = UNDO_STEPS[name]
if (step !== undefined) {
  dieAt(millrace, step)
  await send(url, `${PATH}/${direction}`, { body: {} })
  await ended()
  await settled(millrace)
}
await millrace.close()
