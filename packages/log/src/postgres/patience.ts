/** Calls of the database that are made again until they are answered. */
import type { Clock, Logger, Random } from '@millrace/core'
import { isLostConnection, isPassing } from './database.ts'

const RETRY_FIRST_MS = 20
const RETRY_LAST_MS = 1_000
/** The random part of a pause: what failed together does not come back together. */
const SPREAD = 0.5
/** Refusals in a row after which the fault is not somebody else's haste. */
const RETRIES_MAX = 100

/** How a call is made again. */
export interface PatienceOptions {
  readonly clock: Clock
  /** Default: pauses are not spread. */
  readonly random?: Random | undefined
  readonly logger: Logger
  /** True when nobody should wait any longer, after this error. */
  readonly isTooLate: (error: unknown) => boolean
  /** Called before the call is made again; `isLost` when nobody knows what became of it. */
  readonly onRetry?: (isLost: boolean) => void
}

/** Runs a call again until it is answered, unless the answer is a refusal that will stay. */
export async function patiently<T>(
  call: () => Promise<T>,
  { clock, random, logger, isTooLate, onRetry }: PatienceOptions,
): Promise<T> {
  let waitMs = RETRY_FIRST_MS
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      const isLost = isLostConnection(error)
      if (!isPassing(error) || (!isLost && attempt > RETRIES_MAX) || isTooLate(error)) throw error
      onRetry?.(isLost)
      if (isLost) logger.warn('the database is away: the call is made again', { waitMs, error })
      const pauseMs = waitMs * (1 - SPREAD * (random?.next() ?? 0))
      await new Promise<void>(resolve => clock.after(pauseMs, resolve))
      if (isLost) waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)
    }
  }
}
