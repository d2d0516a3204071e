/**
 * Gives decisions on dead letters their effect that an earlier process did not come to: it ended
 * between the decision, which is durable, and the step that releases the key. A fold without targets
 * has no such steps and tries all its keys when it is loaded.
 */
import type { Logger } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { decidedKeys } from './dead-letters.ts'
import type { FoldRunner, LaneRunner } from './runner.ts'

/** What following decisions needs. */
export interface DecisionsPorts {
  readonly log: EventLog
  readonly logger: Logger
  readonly retry: (request: { fold: string; key: string }) => Promise<boolean>
}

/** True while the lane has not come to where it stood when its steps were committed last: until then the log says what waits. */
export function isReplaying({ lane, writer, error }: LaneRunner): boolean {
  return error === undefined && writer?.leads === true && lane.consumed < lane.mutedBefore
}

/** See the head of the file. */
export class Decisions {
  readonly #ports: DecisionsPorts
  readonly #places: readonly { runner: FoldRunner; laneRunner: LaneRunner; isOwed: boolean }[]

  constructor(ports: DecisionsPorts, runners: readonly FoldRunner[]) {
    this.#ports = ports
    this.#places = runners.flatMap(runner =>
      runner.lanes
        .filter(({ writer }) => writer !== undefined)
        .map(laneRunner => ({ runner, laneRunner, isOwed: true })),
    )
  }

  /** Looks at the lanes whose steps this process has begun to commit. Called after each turn. */
  *due(): Generator<Promise<void>> {
    for (const place of this.#places) {
      const { runner, laneRunner } = place
      if (laneRunner.writer?.leads !== true) place.isOwed = true
      else if (place.isOwed && !isReplaying(laneRunner)) {
        place.isOwed = false
        yield this.#follow(runner, laneRunner)
      }
    }
  }

  async #follow(runner: FoldRunner, { lane }: LaneRunner): Promise<void> {
    const { log, logger, retry } = this.#ports
    try {
      for (const key of await decidedKeys(log, lane)) await retry({ fold: runner.name, key })
    } catch (error) {
      const reason = runner.stopText(error)
      logger.warn('a decision was not followed', { fold: runner.name, reason })
    }
  }
}
