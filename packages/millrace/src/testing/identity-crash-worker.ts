/**
 * A process that goes on with a merge or a split in which the one before it was killed, tells what all
 * folds say then, and begins the next one, in which it is killed:
 * `node identity-crash-worker.ts <data directory> <who the visitor is> <verb> <step>`.
 */
import { createHash } from 'node:crypto'
import { flushCompileCache } from 'node:module'
import { foregroundClock } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { Identity } from '@millrace/product'
import { openForTest } from './clips.ts'
import { IDENTITY_STEPS } from './identity-steps.ts'
import type { UndoStep } from './undo-steps.ts'

const [data = '', person = '', verb = '', name = ''] = process.argv.slice(2)
const millrace = await openForTest({ data, clock: foregroundClock })
const identity = millrace.module<Identity>('identity')

const act = (what: string): Promise<unknown> =>
  what === 'merge'
    ? identity.merge('visitor', 'ana', { by: 'a test' })
    : identity.split('visitor', { by: 'a test' })

async function settled(): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = now
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    now = [...millrace.log.ends().values()].reduce((sum, end) => sum + end, 0)
  }
}

/** A hash of the state of each fold, and the keys that a rebuild makes otherwise. */
async function tell(): Promise<void> {
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
  process.stdout.write(`${JSON.stringify({ hashes, unlike })}\n`)
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

// Who was killed before it was decided sends it again.
if (identity.show('visitor').person !== person) await act(person === 'ana' ? 'merge' : 'split')
await settled()
await tell()
flushCompileCache()
const step = IDENTITY_STEPS[verb as 'merge']?.[name]
if (step !== undefined) {
  dieAt(step)
  await act(verb)
  await settled()
}
await millrace.close()
