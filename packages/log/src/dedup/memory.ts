import type { DuplicateIndex, Place } from '../duplicates.ts'

/**
 * The duplicate index as a plain Map: the double for tests and the index of the memory log. It
 * always answers from memory, keeps nothing across processes (so every mark is durable as soon as
 * it is given), and its memory grows with the number of ids.
 */
export function createMemoryDuplicateIndex(): DuplicateIndex {
  const places = new Map<string, Place>()
  let durable = 0
  return {
    lookup: id => places.get(id),
    lookupSlow: id => Promise.resolve(places.get(id)),
    insert(id, place) {
      places.set(id, place)
    },
    checkpoint(mark) {
      durable = Math.max(durable, mark)
      return Promise.resolve()
    },
    durableMark: () => durable,
    stats: () => ({
      ids: places.size,
      memoryBytes: places.size * 200,
      diskBytes: 0,
      runs: 0,
      slowLookups: 0,
    }),
    close: () => Promise.resolve(),
  }
}
