import type { FoldShard } from '../fold.ts'
import { viewFoldName } from '../views/compile.ts'
import type { ReadableShard, ViewValue } from '../views/reader.ts'
import type { Branch } from './contract.ts'

/** Reads one declared view in a branch. */
export interface BranchViewReader<Out = unknown> {
  /** The value that the key has there. Rejects with BRANCH_UNKNOWN, BRANCH_TOO_LARGE. */
  get(key: string): Promise<ViewValue<Out>>
}

/** Creates the reader of a view in a branch; its reads reject with FOLD_UNKNOWN when there is no such view. */
export function createBranchViewReader<Out = unknown>(
  branch: Branch,
  view: string,
): BranchViewReader<Out> {
  const fold = viewFoldName(view)
  return {
    async get(key) {
      const state = await branch.state<FoldShard & ReadableShard>({ fold, key })
      const { shard, isParked, watermarkMs } = state
      return { key, value: shard.read(key) as Out | undefined, isParked, watermarkMs }
    },
  }
}
