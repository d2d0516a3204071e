export { storeErrors } from './errors.ts'
export {
  CHUNK_BYTES_MAX,
  NAME_LENGTH_MAX,
  type Snapshot,
  type SnapshotMeta,
  type SnapshotStore,
} from './snapshots.ts'
