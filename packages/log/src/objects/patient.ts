import { isError, type Clock, type Random } from '@millrace/core'
import type { ObjectStore, StoredObject } from './objects.ts'

const TRIES_MAX = 7
const PAUSE_MS_FIRST = 100
const PAUSE_MS_MAX = 10_000

/**
 * A store that tries again what may pass (OBJECTS_UNAVAILABLE): up to seven times, with pauses that
 * double from 0.1 s, shortened by chance so that many callers do not come back together.
 */
export function patient(
  store: ObjectStore,
  { clock, random }: { clock: Clock; random: Random },
): ObjectStore {
  const insist = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await call()
      } catch (error) {
        if (tries === TRIES_MAX || !isError(error, 'OBJECTS_UNAVAILABLE')) throw error
        const pauseMs = Math.min(PAUSE_MS_FIRST * 2 ** (tries - 1), PAUSE_MS_MAX)
        const waitMs = pauseMs * (0.5 + random.next() / 2)
        await new Promise<void>(resolve => clock.after(waitMs, resolve))
      }
    }
  }
  return {
    place: store.place,
    put: (name, bytes) => insist(() => store.put(name, bytes)),
    get: name => insist(() => store.get(name)),
    remove: name => insist(() => store.remove(name)),
    async *list(prefix) {
      // All at once: a list that breaks off in the middle is asked for again.
      yield* await insist(async () => {
        const found: StoredObject[] = []
        for await (const object of store.list(prefix)) found.push(object)
        return found
      })
    },
  }
}
