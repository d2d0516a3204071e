/** The values of the last events by (event time, position), the oldest first. State: at most `n` of them, each with its time. */
import type { AggregationInput, ObjectAggregation } from './aggregation.ts'

interface Recent<V> {
  readonly timesMs: number[]
  readonly values: V[]
}

interface Codec<V> {
  valueOf(input: AggregationInput): V
  write(writer: Parameters<ObjectAggregation['encode']>[0], value: V): void
  read(reader: Parameters<ObjectAggregation['decode']>[0]): V
}

function recent<V extends string | number>(
  n: number,
  takes: 'number' | 'text',
  { valueOf, write, read }: Codec<V>,
): ObjectAggregation<Recent<V>> {
  const put = ({ timesMs, values }: Recent<V>, atMs: number, value: V): void => {
    let place = timesMs.length
    while (place > 0 && (timesMs[place - 1] as number) > atMs) place -= 1
    timesMs.splice(place, 0, atMs)
    values.splice(place, 0, value)
    if (timesMs.length <= n) return
    timesMs.shift()
    values.shift()
  }
  /** True when the event is one of those that came before all that are kept: it left no trace. */
  const isBefore = ({ timesMs }: Recent<V>, atMs: number): boolean =>
    timesMs.length === n && atMs < (timesMs[0] as number)
  return {
    isObject: true,
    takes,
    init: () => ({ timesMs: [], values: [] }),
    add(state, input) {
      put(state, input.atMs, valueOf(input))
      return state
    },
    copy: ({ timesMs, values }) => ({ timesMs: [...timesMs], values: [...values] }),
    merge(into, from) {
      from.timesMs.forEach((atMs, at) => put(into, atMs, from.values[at] as V))
      return into
    },
    read: ({ values }) => [...values] as readonly string[] | readonly number[],
    invert(state, input, events) {
      const { timesMs, values } = state
      // Where some have gone, it is not known which one comes back.
      if (events > n) return isBefore(state, input.atMs)
      const value = valueOf(input)
      const place = timesMs.findIndex((atMs, at) => atMs === input.atMs && Object.is(values[at], value)) // prettier-ignore
      if (place < 0) return false
      // Of equal ones among others of the time, it is not known which one goes.
      const twin = timesMs.findLastIndex((atMs, at) => atMs === input.atMs && Object.is(values[at], value)) // prettier-ignore
      if (twin !== place) return false
      timesMs.splice(place, 1)
      values.splice(place, 1)
      return true
    },
    insert(state, input) {
      if (isBefore(state, input.atMs)) return true
      if (state.timesMs.includes(input.atMs)) return false
      put(state, input.atMs, valueOf(input))
      return true
    },
    encode(writer, { timesMs, values }) {
      writer.count(values.length)
      values.forEach((value, at) => {
        writer.float64(timesMs[at] as number)
        write(writer, value)
      })
    },
    decode(reader) {
      const state: Recent<V> = { timesMs: [], values: [] }
      for (let count = reader.count(); count > 0; count--) {
        state.timesMs.push(reader.float64())
        state.values.push(read(reader))
      }
      return state
    },
  }
}

/** The numbers of the last `n` events. */
export const lastNumbers = (n: number): ObjectAggregation<Recent<number>> =>
  recent(n, 'number', {
    valueOf: ({ value }) => value,
    write: (writer, value) => writer.float64(value),
    read: reader => reader.float64(),
  })

/** The texts of the last `n` events. */
export const lastTexts = (n: number): ObjectAggregation<Recent<string>> =>
  recent(n, 'text', {
    valueOf: ({ other }) => other as string,
    write: (writer, value) => writer.text(value),
    read: reader => reader.text(),
  })
