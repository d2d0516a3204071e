/**
 * Which runs to merge next: size-tiered, among neighbours.
 *
 * Runs of ordered ids are neighbours by their least key, so that merged runs cover one stretch of
 * time and stay apart from the others; runs of random ids and texts all cover everything and are
 * neighbours by size. When `width` neighbours are of one size class or smaller, they are merged; an
 * entry is so written once for each class, log(n) times in all. When outliers keep neighbours from
 * being alike, the cheapest neighbours are merged as soon as there are too many runs: their number
 * stays logarithmic whatever the ids are.
 */
import { ORDERED } from './id-key.ts'
import type { RunFacts } from './run.ts'

/** Runs merged at once, by kind: ordered ids are rarely looked for in several runs, others always are. */
export const ORDERED_WIDTH = 8
export const OTHER_WIDTH = 4

/** The runs of one kind that should be merged now; empty when all is well. `base` is the size of a new run. */
export function chooseMerge(runs: readonly RunFacts[], base: number): readonly RunFacts[] {
  if (runs.length < 2) return []
  const kind = (runs[0] as RunFacts).kind
  const width = kind === ORDERED ? ORDERED_WIDTH : OTHER_WIDTH
  const sorted = kind === ORDERED ? runs.toSorted(byRange) : runs.toSorted(bySize)
  const classes = sorted.map(run => classOf(run.count, base, width))
  const highest = Math.max(...classes)
  for (let size = 0; size <= highest; size++) {
    let start = 0
    for (let index = 0; index <= sorted.length; index++) {
      if (index < sorted.length && (classes[index] as number) <= size) {
        if (index - start + 1 === width) return sorted.slice(start, index + 1)
        continue
      }
      start = index + 1
    }
  }
  return runs.length > width * (highest + 3) ? cheapest(sorted, width) : []
}

function cheapest(sorted: readonly RunFacts[], width: number): readonly RunFacts[] {
  let best: readonly RunFacts[] = []
  let bestCount = Infinity
  for (let start = 0; start + width <= sorted.length; start++) {
    const window = sorted.slice(start, start + width)
    const count = window.reduce((sum, run) => sum + run.count, 0)
    if (count < bestCount) [best, bestCount] = [window, count]
  }
  return best
}

/** 0 for runs of about `base` entries or fewer, then one more for each factor `width`. */
function classOf(count: number, base: number, width: number): number {
  return Math.max(0, Math.round(Math.log(count / base) / Math.log(width)))
}

function bySize(a: RunFacts, b: RunFacts): number {
  return b.count - a.count || a.number - b.number
}

function byRange(a: RunFacts, b: RunFacts): number {
  for (let word = 0; word < 4; word++) {
    const x = (a.range[word] as number) >>> 0
    const y = (b.range[word] as number) >>> 0
    if (x !== y) return x - y
  }
  return a.number - b.number
}
