/**
 * Hashes of what every fold holds: as a server has it, and as folding the same log without some events
 * gives it. The second is made as naively as can be: each partition from its first record to its last,
 * by the fold's own code, past the records of those events and what was emitted because of them.
 */
import { createHash } from 'node:crypto'
import { partitionOf } from '@millrace/core'
import { TICK_TYPE, type EventLog, type LogRecord } from '@millrace/log'
import { PROFILE_FOLD } from '@millrace/product'
import { defineModule, type ProductModule } from 'millrace'
import { emissionIdOf, tableFoldName, type FoldDefinition, type FoldShard, type Streams, type TableLookup } from '@millrace/streams' // prettier-ignore

/** The state of one fold. */
export interface FoldState {
  readonly fold: string
  readonly keys: number
  /** SHA-256 over its keys in order, each with its canonical bytes. */
  readonly hash: string
  /** Up to where it is folded, by partition of its source. */
  readonly offsets: readonly number[]
}

/** A module that tells them over HTTP. */
export function createStatesModule(): ProductModule<undefined> {
  return defineModule({
    name: 'states',
    open: ({ streams, log }) => ({
      api: undefined,
      metrics: [],
      routes: [
        {
          method: 'GET',
          path: '/v1/rewind/states',
          operation: 'listStates',
          scope: 'admin',
          summary: 'A hash of what each fold holds',
          response: { type: 'object', properties: { states: { type: 'array', items: { type: 'object', additionalProperties: true } } } }, // prettier-ignore
          async handle() {
            // A fold that was killed may have to come to the end of the log first.
            await streams.reached({ position: new Map(log.ends()), timeoutMs: 60_000 })
            return { body: { states: statesOf(streams) } }
          },
        },
      ],
    }),
  })
}

/** Hashes of the folds as they are. */
function statesOf(streams: Pick<Streams, 'status' | 'fold'>): readonly FoldState[] {
  return streams.status().map(({ name }) => {
    const handle = streams.fold(name)
    const shards = handle.shards()
    return stateOf(
      name,
      shards,
      Array.from(shards, (_, partition) => handle.consumed(partition)),
    )
  })
}

function stateOf(
  fold: string,
  shards: readonly FoldShard[],
  offsets: readonly number[],
): FoldState {
  const hash = createHash('sha256')
  let count = 0
  for (const shard of shards) {
    for (const key of [...shard.keys()].sort()) {
      const bytes = shard.encodeKey(key)
      if (bytes === undefined) continue
      hash.update(`${key}\n${bytes.length}\n`).update(bytes)
      count += 1
    }
    hash.update(shard.encodeShared?.() ?? '')
  }
  return { fold, keys: count, hash: hash.digest('hex'), offsets }
}

/** Hashes of the folds when the log is folded, as far as `states` are, as if some events of people had never come. */
export async function statesWithout(
  { streams, log }: { readonly streams: Pick<Streams, 'fold'>; readonly log: ReadLog },
  states: readonly FoldState[],
  events: readonly LogRecord[],
): Promise<readonly FoldState[]> {
  const isGone = goneBy(events)
  const folded = new Map<string, readonly FoldShard[]>()
  const tables: TableLookup = {
    asOf(kind, id, timeMs) {
      const shards = folded.get(tableFoldName(kind)) ?? []
      const shard = shards[partitionOf(id, shards.length)] as TableShard
      return shard.asOf(id, timeMs)
    },
  }
  const isReader = ({ fold }: FoldState): number => Number(streams.fold(fold).definition.tables !== undefined) // prettier-ignore
  // Tables first: others read them.
  for (const { fold, offsets } of states.toSorted((a, b) => isReader(a) - isReader(b))) {
    const { definition } = streams.fold(fold)
    folded.set(fold, await foldAll(log, definition, { tables, offsets, isGone }))
  }
  return states.map(({ fold, offsets }) => stateOf(fold, folded.get(fold) ?? [], offsets))
}

type ReadLog = Pick<EventLog, 'read'>
type TableShard = FoldShard & { asOf(id: string, timeMs: number): unknown }

/** True for the events, for what was re-keyed from them, and for the signals that they caused. */
function goneBy(events: readonly LogRecord[]): (record: LogRecord) => boolean {
  const ids = new Set(events.map(({ id }) => id))
  const emitter = { fold: PROFILE_FOLD, generation: 0 }
  const signals = new Map<number, Set<string>>()
  const signalsOf = (generation: number): Set<string> => {
    const known = signals.get(generation)
    if (known !== undefined) return known
    const made = new Set(
      events.map(event => {
        const { clip } = event.data as { readonly clip: string }
        return emissionIdOf({ ...emitter, generation }, event, { key: `clip/${clip}` })
      }),
    )
    signals.set(generation, made)
    return made
  }
  return ({ id, headers, generation }) =>
    ids.has(id) || ids.has(headers['cause'] ?? '') || (generation > 0 && signalsOf(generation).has(id)) // prettier-ignore
}

interface FoldWork {
  readonly tables: TableLookup
  readonly offsets: readonly number[]
  isGone(record: LogRecord): boolean
}

async function foldAll(
  log: ReadLog,
  definition: FoldDefinition,
  { tables, offsets, isGone }: FoldWork,
): Promise<readonly FoldShard[]> {
  const { source: stream, types } = definition
  const partitions = offsets.length
  const output = { emit: () => undefined, fail: () => undefined }
  const shards: FoldShard[] = []
  for (const [partition, end] of offsets.entries()) {
    const shard = definition.createShard({ partition, partitions, tables })
    let watermarkMs = Number.NEGATIVE_INFINITY
    for (let from = 0; from < end;) {
      const records = await log.read({ stream, partition, from, recordsMax: Math.min(5_000, end - from) }) // prettier-ignore
      for (const record of records) {
        if (record.watermarkMs > watermarkMs) {
          watermarkMs = record.watermarkMs
          shard.advance?.(watermarkMs, output, record)
        }
        const isWanted =
          types === undefined ? record.type !== TICK_TYPE : types.includes(record.type)
        if (isWanted && !isGone(record)) shard.fold(record, output)
      }
      from += records.length
    }
    shards.push(shard)
  }
  return shards
}
