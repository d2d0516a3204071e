/** Faults that are planted in the real code, one at a time, to see that they are found. */

/** A change of one file that a suite must find. */
export interface Fault {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The suite that must find it. */
  readonly suite: string
}

const LOG = 'packages/log/src/file/file-log.sim.test.ts'
const LOG_FAULTS = 'packages/log/src/file/file-log-faults.sim.test.ts'
const IDS = 'packages/log/src/dedup/disk-index.sim.test.ts'
const STORE = 'packages/store/src/file/file.sim.test.ts'
const STREAMS = 'packages/streams/src/runtime.sim.test.ts'
const LEASES = 'packages/log/src/postgres/leases.int.test.ts'
const ROLES = 'packages/streams/src/roles.sim.test.ts'

/** Each found by a simulation. */
export const faults: readonly Fault[] = [
  {
    name: 'an event is acknowledged before it is on the disk',
    file: 'packages/log/src/file/journal.ts',
    find: 'await file.sync()',
    replace: 'void file.sync().catch(() => undefined)',
    suite: LOG,
  },
  {
    name: 'a torn tail is not cut off',
    file: 'packages/log/src/file/recovery.ts',
    find: 'walk.stop === undefined ? 0 : await cutTail(walk.stop)',
    replace: '0',
    suite: LOG_FAULTS,
  },
  {
    name: 'a run of the duplicate index is used before it is on the disk',
    file: 'packages/log/src/dedup/run-writer.ts',
    find: 'await (this.#file as DiskFile).sync()',
    replace: '',
    suite: IDS,
  },
  {
    name: 'a snapshot takes its name before it is on the disk',
    file: 'packages/store/src/file/format.ts',
    find: 'await file.sync()',
    replace: '',
    suite: STORE,
  },
  {
    name: 'the range of a step is committed without what it emitted',
    file: 'packages/streams/src/step-writer.ts',
    find: 'emitted: lane.emitted,',
    replace: 'emitted: [],',
    suite: STREAMS,
  },
  {
    name: 'a snapshot says that it holds more than it does',
    file: 'packages/streams/src/snapshot-codec.ts',
    find: 'consumed: lane.consumed,',
    replace: 'consumed: lane.consumed + 1,',
    suite: STREAMS,
  },
  {
    name: 'what was emitted before a crash is emitted again',
    file: 'packages/streams/src/load.ts',
    find: 'writer.leads ? writer.committed : Infinity',
    replace: 'writer.leads ? 0 : Infinity',
    suite: STREAMS,
  },
  {
    name: 'what was emitted and lost with a lease is not emitted under the next one',
    file: 'packages/streams/src/roles.ts',
    find: 'if (lane.consumed > writer.committed) {',
    replace: 'if (lane.consumed < 0) {',
    suite: ROLES,
  },
]

/** Found on a real server only. */
export const databaseFault: Fault = {
  name: 'a lease is lost, and a step is committed all the same',
  file: 'packages/log/src/postgres/schema.ts',
  find: '(l.token IS DISTINCT FROM t.token OR l.owner IS DISTINCT FROM a_member)',
  replace: 'false',
  suite: LEASES,
}
