export { type RestorePoint } from './cut.ts'
export { raiseFence, readFence } from './fence.ts'
export { listBackups, newestBackup, readManifest, type Manifest } from './manifest.ts'
export { pruneBackups, type PruneResult } from './prune.ts'
export {
  RESTORING,
  followBackups,
  promoteStandby,
  restoreBackup,
  standbyManifest,
  type RestoreResult,
} from './restore.ts'
export { takeBackup, type BackupResult, type OnProgress } from './take.ts'
export { verifyBackups, type VerifyResult } from './verify.ts'
