/**
 * Which runs to merge next: size-tiered, among neighbours.
 *
 * Runs of ordered ids are neighbours by their least key, so that merged runs cover one stretch of
 * time and stay apart from the others, and never across a gap of more than half of that time (between
 * an import of old events and the live ones); runs of random ids and texts all cover everything and are
 * neighbours by size. When `width` neighbours are of about one size, they are merged; an entry is so
 * written once for each size, log(n) times in all. When outliers keep neighbours from being alike,
 * the cheapest neighbours are merged as soon as there are too many runs: their number stays
 * logarithmic whatever the ids are.
 */
import { ORDERED } from './id-key.ts'
import type { RunFacts } from './run.ts'

/** Runs merged at once, by kind: ordered ids are rarely looked for in several runs, others always are. */
export const ORDERED_WIDTH = 8
export const OTHER_WIDTH = 4
/** Runs closer together than this are never kept apart, milliseconds. */
export const GAP_MS_MIN = 60_000
/** Neighbours are of about one size when together they have this share of `width` times the largest. */
const EVENNESS = 0.75
/** How many times as many runs as size classes ask for there may be. */
const CROWD = 2

/** The runs of one kind that should be merged now; empty when all is well. `base` is the size of a new run. */
export function chooseMerge(runs: readonly RunFacts[], base: number): readonly RunFacts[] {
  if (runs.length < 2) return []
  const kind = (runs[0] as RunFacts).kind
  const width = kind === ORDERED ? ORDERED_WIDTH : OTHER_WIDTH
  const sorted = kind === ORDERED ? runs.toSorted(byRange) : runs.toSorted(bySize)
  const windows: Window[] = []
  for (let start = 0; start + width <= sorted.length; start++) {
    const chosen = sorted.slice(start, start + width)
    windows.push({
      runs: chosen,
      count: chosen.reduce((sum, run) => sum + run.count, 0),
      largest: Math.max(...chosen.map(run => run.count), base / width),
      isClose: kind !== ORDERED || areClose(chosen),
    })
  }
  const close = windows.filter(window => window.isClose)
  const even = close.filter(window => window.count >= window.largest * width * EVENNESS)
  if (even.length > 0) return cheapest(even)
  const total = runs.reduce((sum, run) => sum + run.count, 0)
  const sizes = 1 + Math.max(0, Math.log(total / base) / Math.log(width))
  if (runs.length <= width * sizes * CROWD) return []
  return cheapest(close.length > 0 ? close : windows)
}

/** Neighbours that could be merged. */
interface Window {
  readonly runs: readonly RunFacts[]
  readonly count: number
  /** Entries of the largest of them. */
  readonly largest: number
  readonly isClose: boolean
}

function cheapest(windows: readonly Window[]): readonly RunFacts[] {
  let best = windows[0] as Window
  for (const window of windows) if (window.count < best.count) best = window
  return best.runs
}

/** False when more than half of the time that the runs span lies in one gap between two of them. */
function areClose(sorted: readonly RunFacts[]): boolean {
  const start = timeOf(sorted[0] as RunFacts, 0)
  let end = start
  let gap = 0
  for (const run of sorted) {
    gap = Math.max(gap, timeOf(run, 0) - end)
    end = Math.max(end, timeOf(run, 4))
  }
  return gap <= GAP_MS_MIN || gap * 2 <= end - start
}

/** The time in the least (word 0) or greatest (word 4) key of a run of ordered ids. */
function timeOf(run: RunFacts, word: 0 | 4): number {
  return ((run.range[word] as number) >>> 0) * 65_536 + ((run.range[word + 1] as number) >>> 16)
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
