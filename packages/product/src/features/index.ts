export { type ListedFeatures } from './listed.ts'
export { createFeatures, type Features } from './module.ts'
