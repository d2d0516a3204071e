export { type ObjectStore, type StoredObject } from './objects.ts'
export { patient } from './patient.ts'
