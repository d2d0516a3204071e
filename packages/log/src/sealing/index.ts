export { readKeyBytes, keyFileBytes } from './key-bytes.ts'
export { OTHER_KEYS, type KeyEntry, type KeyStore } from './keys.ts'
export {
  KEYS_DIRECTORY,
  openFileKeys,
  openFileKeysView,
  readKeyEntries,
  restoredKeyFile,
} from './file/index.ts'
export { openMemoryKeys } from './memory/index.ts'
export { SEALED_MEMBER, type ReplaceNested, type Spot } from './nested.ts'
export {
  sealingLog,
  sealingReads,
  type Doors,
  type Personal,
  type SealingPorts,
} from './sealing-log.ts'
export { seal, SEAL_BYTES, unseal } from './seal.ts'
