/** The fold of benches that count: what the runtime costs, without what a declared view costs. */
import type { FoldDefinition } from '@millrace/streams'

/** Counts the records of each key of a stream. */
export function countingFold(source: string): FoldDefinition {
  return {
    name: 'counting',
    version: '1',
    source,
    onFailure: 'park',
    createShard: () => {
      const counts = new Map<string, number>()
      return {
        fold: record => void counts.set(record.key, (counts.get(record.key) ?? 0) + 1),
        keys: () => counts.keys(),
        keyCount: () => counts.size,
        encodeKey: key => Buffer.from(`${counts.get(key)}`),
        decodeKey: (key, bytes) =>
          void counts.set(key, Number(Buffer.from(bytes ?? []).toString())),
      }
    },
  }
}
