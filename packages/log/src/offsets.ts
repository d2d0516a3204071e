/** The offsets of a read by offsets that it may give: ascending, from `from` to before `to`, at most `recordsMax` and at least one if there is any. */
export function offsetsIn(
  offsets: readonly number[],
  range: { readonly from: number; readonly to: number; readonly recordsMax: number },
): readonly number[] {
  const first = placeOf(offsets, range.from)
  return offsets.slice(first, Math.min(placeOf(offsets, range.to), first + Math.max(range.recordsMax, 1))) // prettier-ignore
}

/** The index of the first that is not less. */
function placeOf(offsets: readonly number[], offset: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((offsets[middle] as number) < offset) low = middle + 1
    else high = middle
  }
  return low
}
