export type { FeatureExplanation } from './explained.ts'
export type { Lineage } from './lineage.ts'
export { type ListedFeatures } from './listed.ts'
export { createFeatures, type Features } from './module.ts'
