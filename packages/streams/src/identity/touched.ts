/**
 * What merges and splits touch of one lane, which stands still. Of a stream keyed by people that is
 * known at once: the ids that are somebody else now, and who they were and are. Elsewhere it is the
 * records of the events that name them.
 */
import { partitionOf } from '@millrace/core'
import type { Corrections } from '../corrections/contract.ts'
import type { RecordChange } from '../corrections/originals.ts'
import type { Lane } from '../lane.ts'
import type { Carrier } from './carrier.ts'
import { changesOfEvent, emittersOf, type FoldGraph } from './counted.ts'
import type { Origins } from './origins.ts'
import { isKeyedByPeople } from './people.ts'

/** What knows where the events of people are. */
export interface Identity {
  readonly graph: FoldGraph
  readonly origins: Origins
  readonly carrier: Carrier
}

/** See the head of the file. */
export interface Touched {
  readonly records: readonly RecordChange[]
  /** Keys to be folded again whatever the records say. */
  readonly keys: readonly string[]
}

/** Where lanes come from, and go to. */
interface Span {
  readonly before: Corrections
  readonly after: Corrections
}

export const UNTOUCHED: Touched = { records: [], keys: [] }

/** Of a lane keyed by people: the keys of those who are somebody else, and of who they were and are. */
export function keysOfMerged(
  { definition, options, partition }: Lane,
  ids: readonly string[],
  { before, after }: Span,
): readonly string[] {
  if (definition.people === undefined || !isKeyedByPeople(definition.source)) return []
  const keys = ids.flatMap(id => [id, before.canonical?.(id) ?? id, after.canonical?.(id) ?? id])
  return [...new Set(keys)].filter(key => partitionOf(key, options.partitions) === partition)
}

/** What it is when `ids` are somebody else by `after` than by `before`. */
export async function touchedBy(
  { graph, origins, carrier }: Identity,
  lane: Lane,
  ids: readonly string[],
  { before, after }: Span,
): Promise<Touched> {
  const { source, people, types, isRekeying } = lane.definition
  if (ids.length === 0 || people === undefined || isRekeying === true) return UNTOUCHED
  const isKeyed = isKeyedByPeople(source)
  const keys = keysOfMerged(lane, ids, { before, after })
  // Of an event that names nobody but its key all is said.
  const isAlone = [...(types ?? people.keys())].every(type => (people.get(type)?.length ?? 0) <= 1)
  if (isKeyed && isAlone) return { records: [], keys }
  const records: RecordChange[] = []
  for (const stream of origins.streams) {
    const isBehind = emittersOf(graph, stream).some(({ definition }) =>
      definition.targets?.includes(source),
    )
    if (stream !== source && !isBehind) continue
    // What a correction made of an event is found by what stands in for it.
    await carrier.settled(before.position)
    await origins.settled(stream)
    for await (const origin of origins.of(ids, stream)) {
      for (const { at, change } of changesOfEvent(graph, origin, before, after)) {
        if (at.stream === source && at.partition === lane.partition && lane.takes(at)) {
          records.push(change)
        }
      }
    }
  }
  return { records, keys }
}
