/**
 * An aggregation of a team's own. Its state is kept as the text of its JSON, parsed anew for each call:
 * what is changed in place, or would not survive a snapshot, cannot make two ways differ.
 */
import { isOfKind, type CustomAggregation, type FeatureKind, type Json } from '@millrace/core'
import { invalidValue } from '../errors.ts'
import type { ObjectAggregation } from './aggregation.ts'

/** See the head of the file. Throws FEATURE_VALUE_INVALID where a state is no JSON or a value of another kind. */
export function custom(
  { init, add, merge, read }: CustomAggregation,
  { values, feature }: { readonly values: FeatureKind; readonly feature: string },
): ObjectAggregation<string> {
  const parse = (state: string): Json => JSON.parse(state) as Json
  const text = (state: Json): string => {
    // Undefined is no JSON, and no state.
    const written = JSON.stringify(state) as string | undefined
    if (written === undefined) throw invalidValue(feature, state)
    return written
  }
  return {
    isObject: true,
    takes: 'json',
    isContinuous: true,
    init: () => text(init()),
    add: (state, { other, atMs }) => text(add(parse(state), other, { atMs })),
    copy: state => state,
    merge: (into, from) => text(merge(parse(into), parse(from))),
    read(state, tMs) {
      const value = read(parse(state), { atMs: tMs })
      if (value !== undefined && !isOfKind(value, values)) throw invalidValue(feature, value)
      return value
    },
    encode: (writer, state) => writer.text(state),
    decode: reader => reader.text(),
  }
}
