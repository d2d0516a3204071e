/** Folds and events for the tests of the runtime. */
import { deriveId } from '@millrace/core'
import type { LogRecord, NewEvent } from '@millrace/log'
import type { FoldDefinition, FoldShard } from '../fold.ts'

/** A state of text per key; `fold` gives the next text. */
export class TextShard implements FoldShard {
  readonly states = new Map<string, string>()
  readonly #next: (state: string, record: LogRecord, key: string) => string

  constructor(next: (state: string, record: LogRecord, key: string) => string) {
    this.#next = next
  }

  fold(record: LogRecord): void {
    for (const key of record.keys) {
      this.states.set(key, this.#next(this.states.get(key) ?? '', record, key))
    }
  }

  keys(): Iterable<string> {
    return this.states.keys()
  }

  encodeKey(key: string): Uint8Array | undefined {
    const state = this.states.get(key)
    return state === undefined ? undefined : Buffer.from(state)
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.states.delete(key)
    else this.states.set(key, Buffer.from(bytes).toString())
  }
}

/** Keeps the ids of a key's records in order. */
export function idsFold(name: string, source: string, version = '1'): FoldDefinition<TextShard> {
  return {
    name,
    version,
    source,
    onFailure: 'park',
    createShard: () => new TextShard((state, record) => `${state}${record.data as string};`),
  }
}

/** Emits each record again on `target`, keyed by the letters of its data. */
export function lettersFold(
  name: string,
  source: string,
  target: string,
  version = '1',
): FoldDefinition<TextShard> {
  return {
    name,
    version,
    source,
    targets: [target],
    onFailure: 'park',
    createShard: () => {
      const shard = new TextShard(state => `${Number(state) + 1}`)
      const fold = shard.fold.bind(shard)
      return Object.assign(shard, {
        fold: ((record, output) => {
          fold(record)
          const data = record.data as string
          for (const key of data) output.emit({ stream: target, type: 'letter', key, data })
        }) satisfies FoldShard['fold'],
      })
    },
  }
}

/** An event whose data is text. */
export function textEvent(
  stream: string,
  key: string,
  data: string,
  options: Partial<NewEvent> = {},
): NewEvent {
  const eventTimeMs = options.eventTimeMs ?? 1_000
  const id = deriveId(eventTimeMs, `${stream} ${key} ${data}`)
  return { stream, type: 'text', key, id, data, eventTimeMs, ...options }
}

/** All records of a stream, partition by partition. */
export async function readAll(
  log: {
    read(request: {
      stream: string
      partition: number
      from: number
    }): Promise<readonly LogRecord[]>
  },
  stream: string,
  partitions: number,
): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (let from = 0; ;) {
      const batch = await log.read({ stream, partition, from })
      if (batch.length === 0) break
      all.push(...batch)
      from += batch.length
    }
  }
  return all
}
