/** Finding the split files of the partitions when a log is opened. */
import type { Disk } from '@millrace/core'
import { logErrors } from '../errors.ts'
import type { Partition, StreamTable } from './partition.ts'
import { rangeOf, splitDirectory } from './split-layout.ts'
import { SplitFile } from './split-file.ts'
import type { SplitStore } from './split-store.ts'

/**
 * Gives every partition its split files. Removes what crashes left: files half written, and files
 * whose range a merged file covers; `isReadOnly` leaves them, for a log that another thread writes.
 * Refuses missing ranges (LOG_DAMAGED).
 */
export async function loadSplits(
  disk: Disk,
  root: string,
  streams: StreamTable,
  store: SplitStore,
  { isReadOnly = false }: { readonly isReadOnly?: boolean } = {},
): Promise<void> {
  const remove = async (path: string): Promise<void> =>
    isReadOnly ? undefined : await disk.remove(path)
  for (const partition of streams.partitions()) {
    const directory = directoryOf(root, partition)
    const splits: SplitFile[] = []
    for (const { name, first, end } of await listRanges(disk, directory, remove)) {
      const path = `${directory}/${name}`
      const reached = splits.at(-1)?.end ?? first
      if (end <= reached) {
        await remove(path)
        continue
      }
      if (first !== reached) throw missing(directory, partition, reached, first)
      const bytes = (await disk.sizeOf(path)) ?? 0
      splits.push(openSplit(store, partition, { path, first, end, bytes }))
    }
    const journalStart = partition.parts[0]?.first ?? partition.nextOffset
    const isTransient = partition.stream.declared.transient !== undefined
    const start = splits[0]?.first ?? journalStart
    if (start > 0 && !isTransient) throw missing(directory, partition, 0, start)
    const splitEnd = splits.at(-1)?.end ?? journalStart
    if (splitEnd < journalStart) throw missing(directory, partition, splitEnd, journalStart)
    partition.splits = splits
    partition.start = start
  }
}

/** The directory of the split files of a partition. */
export function directoryOf(root: string, partition: Partition): string {
  return splitDirectory(root, partition.stream.number, partition.number)
}

/** A split file of a partition. */
export function openSplit(
  store: SplitStore,
  partition: Partition,
  facts: { path: string; first: number; end: number; bytes: number },
): SplitFile {
  const stream = partition.stream.declared.name
  return new SplitFile(store, { ...facts, stream, partition: partition.name })
}

/** Ranges by their first offset, the longer of two first: a merged file comes before its sources. */
async function listRanges(
  disk: Disk,
  directory: string,
  remove: (path: string) => Promise<void>,
): Promise<{ name: string; first: number; end: number }[]> {
  const found: { name: string; first: number; end: number }[] = []
  for (const name of await disk.list(directory)) {
    const range = rangeOf(name)
    if (range !== undefined) found.push({ name, ...range })
    else if (name.endsWith('.tmp')) await remove(`${directory}/${name}`)
  }
  return found.sort((a, b) => a.first - b.first || b.end - a.end)
}

function missing(directory: string, partition: Partition, from: number, to: number): Error {
  return logErrors.create('LOG_DAMAGED', {
    file: directory,
    at: 0,
    reason: `there is no file with the records from offset ${from} to ${to - 1}`,
    affected: `${partition.name} from offset ${from} to ${to - 1}`,
    goOn: 'declare the stream transient, which lets old records be missing',
  })
}
