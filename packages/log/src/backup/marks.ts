/**
 * Marks: who works on a store. A prune removes objects that no manifest names; a backup under way
 * relies on objects that it found there, and has no manifest yet. So the two keep apart: each puts
 * its mark, then looks for one of the other kind, and gives way when there is one. When both come at
 * once both give way; none goes on wrongly, since the store reads after writes. Marks are renewed
 * while the work goes on; one that was not for 15 minutes belongs to a process that died.
 */
import type { Clock, Random } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { ObjectStore } from '../objects/objects.ts'

const FOLDER = 'marks/'
const RENEW_MS = 60_000
const DEAD_MS = 15 * 60_000

/** Work that must not meet the other kind. */
export type MarkKind = 'backup' | 'prune'

/** What marking needs. */
export interface MarkPorts {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
}

/** A mark that stands. */
export interface Mark {
  /** True when a mark of our kind was left by a process that died. */
  readonly isAfterCrash: boolean
  /** Renews the mark when it is time. */
  renew(): Promise<void>
  remove(): Promise<void>
}

/** Puts a mark. Throws BACKUP_STORE_BUSY while the other kind works. */
export async function putMark({ store, clock, random }: MarkPorts, kind: MarkKind): Promise<Mark> {
  const suffix = Buffer.from(random.fill(new Uint8Array(8))).toString('hex')
  const name = `${FOLDER}${kind}.${suffix}`
  let renewedMs = clock.monotonicMs()
  const write = async (): Promise<void> => {
    renewedMs = clock.monotonicMs()
    await store.put(name, Buffer.from(JSON.stringify({ kind, timeMs: clock.nowMs() })))
  }
  await write()
  let isAfterCrash = false
  for await (const { name: other } of store.list(FOLDER)) {
    if (other === name) continue
    const bytes = await store.get(other)
    if (bytes === undefined) continue
    const timeMs = timeOf(bytes)
    const isDead = timeMs === undefined || timeMs < clock.nowMs() - DEAD_MS
    if (other.startsWith(`${FOLDER}${kind}.`)) isAfterCrash = true
    if (isDead) await store.remove(other)
    else if (!other.startsWith(`${FOLDER}${kind}.`)) {
      await store.remove(name)
      const since = new Date(timeMs).toISOString()
      throw logErrors.create('BACKUP_STORE_BUSY', { place: store.place, kind: kindOf(other), since, mark: other }) // prettier-ignore
    }
  }
  return {
    isAfterCrash,
    async renew() {
      if (clock.monotonicMs() - renewedMs >= RENEW_MS) await write()
    },
    remove: () => store.remove(name),
  }
}

function kindOf(name: string): string {
  return name.slice(FOLDER.length).replace(/\..*/, '')
}

/** When a mark was renewed; undefined for one that was half written. */
function timeOf(bytes: Uint8Array): number | undefined {
  try {
    const { timeMs } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { timeMs?: unknown }
    return typeof timeMs === 'number' ? timeMs : undefined
  } catch {
    return undefined
  }
}
