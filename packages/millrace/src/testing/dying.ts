/** What processes of crash suites do that are killed at a named step, and tell what all folds say. */
import { createHash } from 'node:crypto'
import type { EventLog } from '@millrace/log'
import type { openForTest } from './clips.ts'
import type { UndoStep } from './undo-steps.ts'

type Opened = Awaited<ReturnType<typeof openForTest>>

/** Waits until nothing follows from anything any more. */
export async function settled(millrace: Opened): Promise<void> {
  for (let before = -1, now = 0; before !== now;) {
    before = now
    await millrace.reached(new Map(millrace.log.ends()), { timeoutMs: 60_000 })
    now = [...millrace.log.ends().values()].reduce((sum, end) => sum + end, 0)
  }
}

/** A hash of the state of each fold, of all keys or some. */
export function hashesOf(
  millrace: Opened,
  isMeant: (key: string) => boolean = () => true,
): Readonly<Record<string, string>> {
  const hashes: Record<string, string> = {}
  for (const { name } of millrace.streams.status()) {
    const states = millrace.streams
      .fold(name)
      .shards()
      .flatMap(shard =>
        [...shard.keys()].filter(isMeant).map(key => [key, shard.encodeKey(key)] as const),
      )
      .filter(([, state]) => state !== undefined)
    const hash = createHash('sha256')
    for (const [key, state] of states.sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(key).update(state ?? '')
    }
    hashes[name] = hash.digest('hex')
  }
  return hashes
}

/** The keys that a rebuild makes otherwise, by fold. */
export async function unlikeOf(
  millrace: Opened,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const unlike: Record<string, readonly string[]> = {}
  for (const { name: fold } of millrace.streams.status()) {
    const { different } = await millrace.streams.rebuild({ fold })
    if (different.length > 0) unlike[fold] = different
  }
  return unlike
}

/** Says a hash of the state of each fold, the keys that a rebuild makes otherwise, and more. */
export async function tell(millrace: Opened, more: object = {}): Promise<void> {
  const unlike = await unlikeOf(millrace)
  process.stdout.write(`${JSON.stringify({ ...more, hashes: hashesOf(millrace), unlike })}\n`)
}

/** Kills this process before or after the commit that a step is. */
export function dieAt(millrace: Opened, step: UndoStep): void {
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
