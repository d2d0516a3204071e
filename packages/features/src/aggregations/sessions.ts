/**
 * How many sessions there were. State: the first and the last moment of each, sorted; events none of
 * which is further than the gap from the one before are one session, so the state is the same for any
 * order of the events. Size: 16 bytes for each session, at most (length of the tile / gap) + 1.
 */
import type { ObjectAggregation } from './aggregation.ts'

/** First and last moment, one after the other. */
type Spans = number[]

/** See the head of the file. */
export function sessions(gapMs: number): ObjectAggregation<Spans> {
  const put = (spans: Spans, fromMs: number, toMs: number): void => {
    // Those that are no further than the gap become one with it.
    let start = spans.length
    while (start > 0 && (spans[start - 1] as number) >= fromMs - gapMs) start -= 2
    let end = start
    while (end < spans.length && (spans[end] as number) <= toMs + gapMs) end += 2
    const joined = spans.slice(start, end)
    spans.splice(start, end - start, Math.min(fromMs, ...joined), Math.max(toMs, ...joined))
  }
  return {
    isObject: true,
    takes: 'number',
    init: () => [],
    add(spans, { atMs }) {
      put(spans, atMs, atMs)
      return spans
    },
    copy: spans => [...spans],
    merge(into, from) {
      for (let at = 0; at < from.length; at += 2) put(into, from[at] as number, from[at + 1] as number) // prettier-ignore
      return into
    },
    read: spans => spans.length / 2,
    insert(spans, { atMs }) {
      put(spans, atMs, atMs)
      return true
    },
    encode(writer, spans) {
      writer.count(spans.length)
      for (const ms of spans) writer.float64(ms)
    },
    decode: reader => Array.from({ length: reader.count() }, () => reader.float64()),
  }
}
