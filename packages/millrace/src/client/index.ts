export type { AnswersClient } from './answers.ts'
export type {
  BranchAnswer,
  BranchItem,
  BranchSurfaceAnswer,
  BranchDifference,
  BranchesClient,
  BranchViewDifferences,
  OpenBranchRequest,
} from './branches.ts'
export type { ChangesetsClient } from './changesets.ts'
export {
  createClient,
  type Client,
  type ClientOptions,
  type ItemsClient,
  type PastOptions,
  type ReadOptions,
  type RecommendAnswer,
  type RecommendedItem,
  type RecommendOptions,
  type ViewAnswer,
  type ViewClient,
} from './client.ts'
export { clientErrors } from './errors.ts'
export type { Acknowledged, QueueOptions } from './event-queue.ts'
export type { Fetch, RetryPolicy } from './transport.ts'
