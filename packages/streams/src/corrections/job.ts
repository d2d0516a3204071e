/** What the corrector stands on, and its work on one lane. */
import type { Clock, Logger, Random } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import type { Bases } from '../bases.ts'
import type { PersonEvent } from '../identity/contract.ts'
import type { RefoldPorts } from '../refold.ts'
import type { Retries } from '../retries.ts'
import type { FoldRunner, LaneRunner } from '../runner.ts'
import type { TableWatch } from '../table-watch.ts'
import type { CorrectionBook } from './book.ts'

/** What the corrector needs of the runtime. */
export interface CorrectorPorts extends RefoldPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly random?: Random | undefined
  readonly logger: Logger
  readonly book: CorrectionBook
  readonly watch: TableWatch
  readonly bases: Bases
  readonly retries: Retries
  /** Events that name people. */
  readonly people?: readonly PersonEvent[] | undefined
  /** Commits what a standing lane did, and waits until it is durable. */
  readonly settle: (runner: FoldRunner, laneRunner: LaneRunner) => Promise<void>
  /** Work in the background; the runtime waits for it when it closes. */
  track(work: Promise<unknown>): void
  wake(): void
}

/** How a lane gets on with what it has to fold again. */
export interface LaneProgress {
  /** Keys that corrections touch. */
  keys: number
  /** Of these, the ones that are done. */
  done: number
}

export interface CorrectionJob extends LaneProgress {
  readonly runner: FoldRunner
  readonly laneRunner: LaneRunner
  /** Keys that corrections touch. */
  readonly touched: Set<string>
  /** Of these, the ones that are still to be folded again. */
  readonly again: Set<string>
}
