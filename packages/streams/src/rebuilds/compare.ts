/** Compares a build with the live state, row by row, at the same offset. */
import type { Lane } from '../lane.ts'
import { compareLanes } from '../rebuild.ts'
import type { RefoldPorts } from '../refold.ts'
import { Slices } from '../slices.ts'
import { canonicalText } from '../views/canonical.ts'

/** A row that is not the same in both. */
export interface Difference {
  readonly partition: number
  /** `$shared`: what belongs to no key, such as time. */
  readonly key: string
  /** `missing`: the live state lacks the row; `extra`: the log knows nothing of it. */
  readonly kind: 'changed' | 'missing' | 'extra'
  /** JSON values; absent where there is none. */
  readonly live?: unknown
  readonly built?: unknown
}

/** What a comparison found. */
export interface Comparison {
  /** Rows looked at. */
  readonly keys: number
  readonly changed: number
  readonly missing: number
  readonly extra: number
  /** The first differences of each partition. */
  readonly samples: readonly Difference[]
}

export const NO_ROWS: Comparison = { keys: 0, changed: 0, missing: 0, extra: 0, samples: [] }

/** Rows that are not the same. */
export function differencesOf({ changed, missing, extra }: Comparison): number {
  return changed + missing + extra
}

/** The sum of two comparisons. */
export function joinComparisons(a: Comparison, b: Comparison): Comparison {
  return {
    keys: a.keys + b.keys,
    changed: a.changed + b.changed,
    missing: a.missing + b.missing,
    extra: a.extra + b.extra,
    samples: [...a.samples, ...b.samples],
  }
}

type Found = (key: string, live: unknown, built: unknown) => Promise<void>

/** Compares two lanes that stand at the same offset; `onDifference` hears of every difference. */
export async function compareRows(
  ports: RefoldPorts,
  { live, built }: { readonly live: Lane; readonly built: Lane },
  onDifference: (difference: Difference) => Promise<void>,
): Promise<Omit<Comparison, 'samples'>> {
  const counts = { changed: 0, missing: 0, extra: 0 }
  const found: Found = async (key, before, after) => {
    const kind = before === undefined ? 'missing' : after === undefined ? 'extra' : 'changed'
    counts[kind] += 1
    const { partition } = live
    await onDifference({
      partition,
      key,
      kind,
      ...(before === undefined ? {} : { live: before }),
      ...(after === undefined ? {} : { built: after }),
    })
  }
  const isSameVersion = live.definition.version === built.definition.version
  const keys = isSameVersion
    ? await compareBytes(ports, live, built, found)
    : await compareValues(ports, live, built, found)
  return { keys, ...counts }
}

/** All that belongs to a key, to the byte. */
async function compareBytes(
  ports: RefoldPorts,
  live: Lane,
  built: Lane,
  found: Found,
): Promise<number> {
  return await compareLanes(ports, live, built, (key, before, after) =>
    found(key, jsonOf(before), jsonOf(after)),
  )
}

function jsonOf(bytes: Uint8Array | undefined): unknown {
  return bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString('utf8'))
}

/** What a read gives: the states of two versions need not look alike. */
async function compareValues(
  ports: RefoldPorts,
  live: Lane,
  built: Lane,
  found: Found,
): Promise<number> {
  const slices = new Slices(ports.clock, ports.sliceMs)
  // A state that says nothing is forgotten by a snapshot: it is the same as none.
  const read = ({ definition, shard }: Lane, key: string): unknown =>
    shard.encodeKey(key) === undefined ? undefined : definition.readKey?.(shard, key)
  let keys = 0
  const check = async (key: string, before: unknown, after: unknown): Promise<void> => {
    keys += 1
    if (textOf(before) !== textOf(after)) await found(key, before, after)
    await slices.pause()
  }
  for (const key of built.shard.keys()) {
    const after = read(built, key)
    if (after !== undefined) await check(key, read(live, key), after)
  }
  for (const key of live.shard.keys()) {
    const before = read(live, key)
    if (before !== undefined && read(built, key) === undefined) await check(key, before, undefined)
  }
  return keys
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : canonicalText(value)
}
