/** The fence of a store: the term from which on an installation may write to it. */
import { logErrors } from '../errors.ts'
import type { ObjectStore } from '../objects/objects.ts'
import { parseObject } from './manifest.ts'

const NAME = 'fence'

/** The least term that may write; 0 without a fence. Throws BACKUP_DAMAGED. */
export async function readFence(store: ObjectStore): Promise<number> {
  const bytes = await store.get(NAME)
  if (bytes === undefined) return 0
  const { term } = parseObject(NAME, Buffer.from(bytes).toString('utf8'))
  if (Number.isSafeInteger(term) && (term as number) >= 0) return term as number
  throw logErrors.create('BACKUP_DAMAGED', { object: NAME, reason: 'term is no whole number' })
}

/** From now on only this term and later ones write. */
export async function raiseFence(store: ObjectStore, term: number): Promise<void> {
  await store.put(NAME, Buffer.from(JSON.stringify({ term })))
}

/** Refuses an installation that was replaced (BACKUP_FENCED). */
export async function checkFence(store: ObjectStore, term: number): Promise<void> {
  const least = await readFence(store)
  if (term < least) throw logErrors.create('BACKUP_FENCED', { place: store.place, term, least })
}
