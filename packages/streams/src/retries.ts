/**
 * Work on a standing lane, like folding keys again, that ends early because the log is away: it is
 * made again after pauses, as long as that takes. The lane stands still meanwhile, and says why.
 */
import { Backoff, isError, type Clock, type Logger, type Random } from '@millrace/core'
import type { FoldRunner, LaneRunner } from './runner.ts'

/** What retries need. */
export interface RetriesPorts {
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
}

/** See the head of the file. */
export class Retries {
  readonly #ports: RetriesPorts
  /** Ends the pauses that are going on. */
  readonly #endings = new Set<() => void>()
  #isClosed = false

  constructor(ports: RetriesPorts) {
    this.#ports = ports
  }

  /** Runs `work` while the lane stands still; rejects with what no pause can heal. */
  async persist(
    runner: FoldRunner,
    laneRunner: LaneRunner,
    work: () => Promise<void>,
  ): Promise<void> {
    const { clock, random, logger } = this.#ports
    let resume: () => void = () => undefined
    const backoff = new Backoff({ clock, random, wake: () => resume() })
    for (;;) {
      try {
        return await laneRunner.exclusively(work)
      } catch (error) {
        if (!isError(error, 'DATABASE_AWAY') || this.#isClosed) throw error
        laneRunner.error = error
        const { partition } = laneRunner.lane
        const facts = { fold: runner.name, partition, reason: laneRunner.lane.stopText(error) }
        logger.warn('a fold waits for the database', facts)
        await new Promise<void>(resolve => {
          resume = resolve
          this.#endings.add(resolve)
          backoff.fail()
        })
        this.#endings.delete(resume)
        backoff.stop()
        laneRunner.error = undefined
      }
    }
  }

  /** From now on a failure is final. */
  close(): void {
    this.#isClosed = true
    for (const end of this.#endings) end()
  }
}
