export {
  createAudience,
  type Audience,
  type AudiencePorts,
  type AudienceReport,
  type RunLimits,
} from './audience.ts'
export type { BaselineName, Baselines, Policy } from './baselines.ts'
export type { AudienceCreator, AudienceItem } from './catalogue.ts'
export type { PaceOptions, PacedRun } from './pace.ts'
export type { AudienceBatch, AudienceEvent, EventKind } from './events.ts'
export { DEFAULT_NAMES, type AudienceNames, type AudienceOptions } from './options.ts'
export type { Oracle, TrueItem } from './oracle.ts'
export type { AudiencePerson } from './people.ts'
export type { Recommend, RecommendRequest, Slate, Tally } from './world.ts'
