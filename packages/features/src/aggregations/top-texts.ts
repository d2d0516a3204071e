/**
 * The most frequent texts: Misra and Gries's counters (Finding repeated elements, 1982), merged after
 * Agarwal, Cormode, Huang, Phillips, Wei, Yi (Mergeable summaries, PODS 2012). A text is undercounted by at
 * most `lost`, which is below events / (capacity + 1), also after any merges; where no more than
 * `capacity` different texts came, `lost` is 0 and all is exact.
 */
import type { ObjectAggregation } from './aggregation.ts'

interface Counters {
  readonly counts: Map<string, number>
  /** Taken from each text's count, at most. */
  lost: number
}

/** See the head of the file. */
export function topTexts(k: number, capacity: number): ObjectAggregation<Counters> {
  const count = ({ counts }: Counters, text: string, by: number): void => {
    const now = (counts.get(text) ?? 0) + by
    if (now === 0) counts.delete(text)
    else counts.set(text, now)
  }
  /** Takes so much from all counts that no more than `capacity` are left. */
  const shrink = (counters: Counters): Counters => {
    const { counts } = counters
    if (counts.size <= capacity) return counters
    const by = [...counts.values()].sort((a, b) => b - a)[capacity] as number
    for (const [text, own] of counts) {
      if (own <= by) counts.delete(text)
      else counts.set(text, own - by)
    }
    counters.lost += by
    return counters
  }
  return {
    isObject: true,
    takes: 'text',
    init: () => ({ counts: new Map(), lost: 0 }),
    add(counters, { other }) {
      count(counters, other as string, 1)
      return shrink(counters)
    },
    copy: ({ counts, lost }) => ({ counts: new Map(counts), lost }),
    merge(into, from) {
      for (const [text, own] of from.counts) count(into, text, own)
      into.lost += from.lost
      return shrink(into)
    },
    read: ({ counts }) => [...counts].sort(byCount).slice(0, k).map(([text]) => text), // prettier-ignore
    invert(counters, { other }) {
      if (counters.lost > 0) return false
      count(counters, other as string, -1)
      return true
    },
    insert(counters, { other }) {
      const { counts, lost } = counters
      if (lost > 0 || (counts.size === capacity && !counts.has(other as string))) return false
      count(counters, other as string, 1)
      return true
    },
    encode(writer, { counts, lost }) {
      writer.count(lost).count(counts.size)
      for (const [text, own] of [...counts].sort(byText)) writer.text(text).count(own)
    },
    decode(reader) {
      const lost = reader.count()
      const counts = new Map<string, number>()
      for (let size = reader.count(); size > 0; size--) counts.set(reader.text(), reader.count())
      return { counts, lost }
    },
  }
}

type Counted = readonly [text: string, count: number]

const byText = ([a]: Counted, [b]: Counted): number => (a < b ? -1 : 1)
const byCount = (a: Counted, b: Counted): number => b[1] - a[1] || byText(a, b)
