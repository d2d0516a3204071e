/**
 * A process that goes on with a changeset of corrections where the one before it was killed, tells what
 * all folds say then, and begins the next run, in which it is killed:
 * `node undo-crash-worker.ts <data directory> <direction> <step>`.
 */
import { createHash } from 'node:crypto'
import { flushCompileCache } from 'node:module'
import { foregroundClock, systemClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { openForTest } from './clips.ts'
import { send } from './http.ts'
import { UNDO_STEPS, type UndoStep } from './undo-steps.ts'

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

async function settled(): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = now
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    now = [...millrace.log.ends().values()].reduce((sum, end) => sum + end, 0)
  }
}

/** A hash of the state of each fold, and the keys that a rebuild makes otherwise. */
async function tell(applied: number): Promise<void> {
  const hashes: Record<string, string> = {}
  const unlike: Record<string, readonly string[]> = {}
  for (const { name: fold } of millrace.streams.status()) {
    const { different } = await millrace.streams.rebuild({ fold })
    if (different.length > 0) unlike[fold] = different
    const states = millrace.streams
      .fold(fold)
      .shards()
      .flatMap(shard => [...shard.keys()].map(key => [key, shard.encodeKey(key)] as const))
      .filter(([, state]) => state !== undefined)
    const hash = createHash('sha256')
    for (const [key, state] of states.sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(key).update(state ?? '')
    }
    hashes[fold] = hash.digest('hex')
  }
  process.stdout.write(`${JSON.stringify({ applied, hashes, unlike })}\n`)
}

function dieAt(step: UndoStep): void {
  const log = millrace.log as unknown as EventLog
  const commit = log.commit.bind(log)
  log.commit = async request => {
    const isStep = request.events?.some(step.is) === true
    if (isStep && step.when === 'before') process.kill(process.pid, 'SIGKILL')
    const result = await commit(request)
    if (isStep) process.kill(process.pid, 'SIGKILL')
    return result
  }
}

const { applied } = await ended()
await settled()
await tell(applied)
flushCompileCache()
const step = UNDO_STEPS[name]
if (step !== undefined) {
  dieAt(step)
  await send(url, `${PATH}/${direction}`, { body: {} })
  await ended()
  await settled()
}
await millrace.close()
