/** What the crash test and the program that it kills agree on. */

/** A disk call at which the program kills itself. */
export interface CrashStep {
  readonly name: string
  readonly when: 'before' | 'after'
  readonly call: 'write' | 'sync' | 'rename' | 'remove' | 'syncDirectory'
  /** A regular expression that the path must match; for a rename, the new path. */
  readonly path: string
  /** Only a write at this position. */
  readonly position?: number
  /** Which of the calls that match, from 1. */
  readonly nth: number
}

export const CRASH_STREAM = 'clicks'

/** Small sizes, so that segments fill, are split and are merged within a moment. */
export const CRASH_OPTIONS = {
  firstSegmentBytes: 16_384,
  segmentBytes: 32_768,
  blockBytes: 4_096,
  tailBytesMax: 50_000,
  mergeFiles: 2,
  idMemoryBytesMax: 4 * 1024 * 1024,
}

/** The data of the event with an id: the test checks that it comes back. */
export function dataOf(id: string): unknown {
  return { id, text: id.repeat(3) }
}

const JOURNAL = '\\.jnl$'
const NEXT = '\\.jnl\\.tmp$'

/** Every step of the life of a record at which a crash could tell. */
export const CRASH_STEPS: readonly CrashStep[] = [
  { name: 'a group is about to be written', when: 'before', call: 'write', path: JOURNAL, nth: 9 },
  { name: 'a group is written', when: 'after', call: 'write', path: JOURNAL, nth: 9 },
  { name: 'a group is synced', when: 'after', call: 'sync', path: JOURNAL, nth: 9 },
  { name: 'a segment is being preallocated', when: 'after', call: 'write', path: NEXT, nth: 2 },
  {
    name: 'a segment is about to get its name',
    when: 'before',
    call: 'rename',
    path: JOURNAL,
    nth: 2,
  },
  { name: 'a segment got its name', when: 'after', call: 'rename', path: JOURNAL, nth: 3 },
  {
    name: 'a checkpoint is about to be written',
    when: 'before',
    call: 'write',
    path: JOURNAL,
    position: 64,
    nth: 2,
  },
  {
    name: 'a checkpoint is written',
    when: 'after',
    call: 'write',
    path: JOURNAL,
    position: 64,
    nth: 2,
  },
  {
    name: 'a split file is being written',
    when: 'after',
    call: 'write',
    path: '\\.split\\.tmp$',
    nth: 5,
  },
  { name: 'a split file is synced', when: 'after', call: 'sync', path: '\\.split\\.tmp$', nth: 3 },
  { name: 'a split file got its name', when: 'after', call: 'rename', path: '\\.split$', nth: 2 },
  {
    name: 'split files are durable',
    when: 'after',
    call: 'syncDirectory',
    path: 'streams/0/3$',
    nth: 2,
  },
  { name: 'ids are about to be durable', when: 'before', call: 'rename', path: 'ids/', nth: 2 },
  { name: 'ids are durable', when: 'after', call: 'rename', path: 'ids/', nth: 2 },
  {
    name: 'a segment is about to be removed',
    when: 'before',
    call: 'remove',
    path: JOURNAL,
    nth: 2,
  },
  { name: 'a segment is removed', when: 'after', call: 'remove', path: JOURNAL, nth: 2 },
  {
    name: 'merged files are about to be removed',
    when: 'before',
    call: 'remove',
    path: '\\.split$',
    nth: 1,
  },
  {
    name: 'one of the merged files is removed',
    when: 'after',
    call: 'remove',
    path: '\\.split$',
    nth: 1,
  },
]
