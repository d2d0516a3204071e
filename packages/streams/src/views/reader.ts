/** Reads of declared views, for requests: one key, pages of keys, the first by a number. */
import type { Position } from '@millrace/core'
import type { FoldHandle, Streams } from '../streams.ts'
import type { FoldShard } from '../fold.ts'
import type { Moment } from '../past/moment.ts'
import { isKeyedByPeople } from '../identity/people.ts'
import { viewFoldName } from './compile.ts'

/** What the reader asks of a shard. */
export interface ReadableShard {
  /** The value of a key as the view's `read` gives it; undefined when the key has none. */
  read(key: string): unknown
  has(key: string): boolean
}

/** One kept window of a tumbling view. */
export interface WindowValue<Out = unknown> {
  readonly startMs: number
  readonly endMs: number
  readonly value: Out
}

/** The value of a key, and what an answer must say beside it. */
export interface ViewValue<Out = unknown> {
  readonly key: string
  /** Sliding windows: the last size of time. Tumbling ones: `WindowValue[]`, newest first. Undefined: the key has no value. */
  readonly value: Out | undefined
  /** True while the key waits for a repair: the value is older than it seems. */
  readonly isParked: boolean
  /** Watermark of the key's partition; -Infinity before its first record. */
  readonly watermarkMs: number
}

/** The value that a key had. */
export interface PastValue<Out = unknown> extends ViewValue<Out> {
  /** The moment as a position of the streams that the view is made from. */
  readonly position: Position
}

/** Reads one declared view as it was at a moment. */
export interface PastViewReader<Out = unknown> {
  /**
   * The value that the key had: what the events say that had arrived by then, at the time that it
   * was. Rejects with MOMENT_AHEAD, MOMENT_EMPTY or MOMENT_GONE. Its cost is that of the key's own
   * events before.
   */
  get(key: string): Promise<PastValue<Out>>
}

/** Reads one declared view. Values are those of the live state: neither change nor keep them. */
export interface ViewReader<Out = unknown> {
  /** Of a person who was merged into another one: the value, and the key, of that one. */
  get(key: string): ViewValue<Out>
  /** Keys with values in order, after `after`; `next` continues, undefined at the end. Looks at every key. */
  list(request: { after?: string; limit: number }): {
    readonly entries: readonly ViewValue<Out>[]
    readonly next: string | undefined
  }
  /** The `n` keys with the greatest numbers, greatest first, ties by key. Looks at every key once per change of the view. */
  top(request: { n: number; by: (value: Out) => number }): readonly ViewValue<Out>[]
  /** The view as it was at a time of arrival or a position. */
  at(moment: Moment): PastViewReader<Out>
}

/** Creates the reader of a view; throws FOLD_UNKNOWN when the runtime has no such view. */
export function createViewReader<Out = unknown>(streams: Streams, view: string): ViewReader<Out> {
  const fold = viewFoldName(view)
  const handle = streams.fold<FoldShard & ReadableShard>(fold)
  const isOfPeople = isKeyedByPeople(handle.definition.source)
  /** A person who was merged into another one is read as that one. */
  const keyOf = (key: string): string => (isOfPeople ? streams.identities.canonical(key) : key)
  const read = (key: string): ViewValue<Out> => ({
    key,
    value: handle.shardOf(key).read(key) as Out | undefined,
    isParked: handle.isParked(key),
    watermarkMs: handle.watermarkOf(key),
  })
  let sorted: { readonly revision: number; readonly keys: readonly string[] } | undefined
  const keysInOrder = (): readonly string[] => {
    const revision = handle.revision()
    if (sorted?.revision !== revision) sorted = { revision, keys: [...keysOf(handle)].sort() }
    return sorted.keys
  }
  return {
    get: key => read(keyOf(key)),
    list({ after, limit }) {
      const keys = keysInOrder()
      const start = after === undefined ? 0 : firstAfter(keys, after)
      const page = keys.slice(start, start + limit)
      const next = start + limit < keys.length ? page.at(-1) : undefined
      return { entries: page.map(read), next }
    },
    top({ n, by }) {
      const best: { key: string; number: number }[] = []
      for (const shard of handle.shards()) {
        for (const key of shard.keys()) {
          if (!shard.has(key)) continue
          const number = by(shard.read(key) as Out)
          if (Number.isNaN(number)) continue
          offer(best, { key, number }, n)
        }
      }
      return best.map(({ key }) => read(key))
    },
    at: moment => ({
      async get(asked) {
        const key = keyOf(asked)
        const past = await streams.past.state<FoldShard & ReadableShard>({ fold, key, at: moment })
        const { shard, isParked, watermarkMs, position } = past
        const value = shard.read(key) as Out | undefined
        return { key, value, isParked, watermarkMs, position }
      },
    }),
  }
}

function* keysOf(handle: FoldHandle<FoldShard & ReadableShard>): Iterable<string> {
  for (const shard of handle.shards()) for (const key of shard.keys()) if (shard.has(key)) yield key
}

function firstAfter(keys: readonly string[], after: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) > after) high = middle
    else low = middle + 1
  }
  return low
}

interface Ranked {
  readonly key: string
  readonly number: number
}

/** Keeps the best `n`, sorted: most candidates fall out at the first comparison. */
function offer(best: Ranked[], candidate: Ranked, n: number): void {
  const isBetter = (a: Ranked, b: Ranked): boolean =>
    a.number !== b.number ? a.number > b.number : a.key < b.key
  if (n < 1) return
  const last = best[n - 1]
  if (last !== undefined && !isBetter(candidate, last)) return
  let low = 0
  let high = best.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (isBetter(best[middle] as Ranked, candidate)) low = middle + 1
    else high = middle
  }
  best.splice(low, 0, candidate)
  if (best.length > n) best.pop()
}
