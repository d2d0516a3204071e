/**
 * Looking for records by their ids in files. Ids that are ordered by time lie side by side in the
 * index, and their records in the partitions: both are passed over once, however many are asked for.
 */
import type { DuplicateIndex } from '../duplicates.ts'
import type { LogRecord } from '../log.ts'
import { FrameRecord } from './frames.ts'
import type { Partition } from './partition.ts'
import type { Reader } from './reader.ts'
import type { LogState } from './state.ts'

/** Ids that are looked for together: those of one page of the index wait for one read. */
const LOOKUPS_AT_ONCE = 64

/** The durable records with some ids. */
export async function findRecords(
  parts: { readonly state: LogState; readonly index: DuplicateIndex; readonly reader: Reader },
  ids: readonly string[],
): Promise<ReadonlyMap<string, LogRecord>> {
  const found = new Map<string, LogRecord>()
  for (const [partition, offsets] of await placesOf(parts, ids)) {
    const ascending = offsets.sort((a, b) => a - b)
    for await (const record of parts.reader.recordsAt(partition, ascending)) {
      found.set(record.id, record instanceof FrameRecord ? record.alone() : record)
    }
  }
  return found
}

async function placesOf(
  { state, index }: { readonly state: LogState; readonly index: DuplicateIndex },
  ids: readonly string[],
): Promise<ReadonlyMap<Partition, number[]>> {
  const sorted = ids.length === 1 ? ids : [...new Set(ids)].sort()
  const places = new Map<Partition, number[]>()
  for (let at = 0; at < sorted.length; at += LOOKUPS_AT_ONCE) {
    const lookups = sorted.slice(at, at + LOOKUPS_AT_ONCE).map(async id => {
      const place = index.lookup(id)
      return place === 'unsure' ? await index.lookupSlow(id) : place
    })
    for (const place of await Promise.all(lookups)) {
      const partition = place && state.streams.at(place.stream)?.partitions[place.partition]
      if (place === undefined || partition === undefined) continue
      if (place.offset >= partition.durableEnd) continue
      const offsets = places.get(partition)
      if (offsets === undefined) places.set(partition, [place.offset])
      else offsets.push(place.offset)
    }
  }
  return places
}
