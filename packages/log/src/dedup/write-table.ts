/** Writes a table of new ids to disk: a run for each kind, and for each stretch of time of ordered ids. */
import { ORDERED, RANDOM, TEXT, type IdKey } from './id-key.ts'
import { ENTRY_WORDS, type MemoryTable } from './memory-table.ts'
import { kindOf } from './place.ts'
import type { Run } from './run.ts'
import type { RunWriter } from './run-writer.ts'
import type { Sorter } from './sort.ts'
import { GAP_MS_MIN } from './tiers.ts'

/** Entries written between two turns of the event loop. */
const PIECE = 4096
/** Entries looked at between two turns of the event loop. */
const SCANNED = 65_536
/** Stretches of time that one table is cut into at most, minus one. */
const CUTS_MAX = 3

/** Writes the first `count` entries; resolves to the runs, synced and open. Removes what it wrote when it fails. */
export async function writeTable(options: {
  table: MemoryTable
  count: number
  key: IdKey
  sorter: Sorter
  createWriter: (kind: number) => RunWriter
  breathe: () => Promise<void>
}): Promise<readonly Run[]> {
  const { table, count, sorter, breathe } = options
  sorter.reserve(Math.max(count, table.capacity))
  const writers: RunWriter[] = []
  const runs: Run[] = []
  try {
    for (const kind of [ORDERED, RANDOM, TEXT]) {
      const order = await sorter.sort(table.entries, await numbersOf(options, kind), breathe)
      const ends = kind === ORDERED ? cutByTime(table.entries, order) : [order.length]
      let start = 0
      for (const end of ends) {
        if (end === start) continue
        const writer = options.createWriter(kind)
        writers.push(writer)
        runs.push(await writeRun(options, writer, order.subarray(start, end)))
        start = end
      }
    }
    return runs
  } catch (error) {
    // What is left over is removed at the next open; the first error is what the caller needs.
    for (const writer of writers) await writer.abandon().catch(() => undefined)
    throw error
  }
}

async function writeRun(
  options: { table: MemoryTable; key: IdKey; breathe: () => Promise<void> },
  writer: RunWriter,
  order: Int32Array,
): Promise<Run> {
  const { table, key, breathe } = options
  await writer.open()
  for (let index = 0; index < order.length; index++) {
    if (writer.isFull) await writer.flush()
    if (index % PIECE === PIECE - 1) await breathe()
    const at = (order[index] as number) * ENTRY_WORDS
    table.readKey(at, key)
    writer.append(key, table.entries[at + 4] as number, table.entries[at + 5] as number)
  }
  return await writer.finish()
}

/** Puts the numbers of the entries of a kind into those of the sorter; answers how many there are. */
async function numbersOf(
  options: { table: MemoryTable; count: number; sorter: Sorter; breathe: () => Promise<void> },
  kind: number,
): Promise<number> {
  const { count, breathe } = options
  const { entries } = options.table
  const { numbers } = options.sorter
  let found = 0
  for (let number = 0; number < count; number++) {
    if (number % SCANNED === SCANNED - 1) await breathe()
    if (kindOf(entries[number * ENTRY_WORDS + 5] as number) === kind) numbers[found++] = number
  }
  return found
}

/**
 * Where to cut sorted ids so that each run covers a short stretch of time: live events and an import
 * of old ones, or one client whose clock is years ahead, must not make runs that cover everything,
 * because a new id is known to be new at once only when no run covers it. Cuts the largest gap while
 * it is more than half of the stretch.
 */
export function cutByTime(entries: Int32Array, order: Int32Array): readonly number[] {
  const ends = [order.length]
  let start = 0
  for (let cuts = 0; cuts < CUTS_MAX && order.length > 0; cuts++) {
    // The stretch with the largest span is the one worth cutting; the others are short.
    let widest = -1
    start = 0
    let from = 0
    let span = GAP_MS_MIN
    for (const [index, end] of ends.entries()) {
      const width = timeAt(entries, order, end - 1) - timeAt(entries, order, start)
      if (width > span) [widest, span, from] = [index, width, start]
      start = end
    }
    if (widest < 0) break
    const cut = largestGap(entries, order, from, ends[widest] as number)
    if (cut.gap * 2 <= span) break
    ends.splice(widest, 0, cut.at)
  }
  return ends
}

function largestGap(
  entries: Int32Array,
  order: Int32Array,
  from: number,
  end: number,
): { gap: number; at: number } {
  let best = { gap: 0, at: from }
  let before = timeAt(entries, order, from)
  for (let index = from + 1; index < end; index++) {
    const time = timeAt(entries, order, index)
    if (time - before > best.gap) best = { gap: time - before, at: index }
    before = time
  }
  return best
}

/** The first 48 bits of a key: milliseconds since the epoch. */
function timeAt(entries: Int32Array, order: Int32Array, index: number): number {
  const at = (order[index] as number) * ENTRY_WORDS
  return ((entries[at] as number) >>> 0) * 65_536 + ((entries[at + 1] as number) >>> 16)
}
