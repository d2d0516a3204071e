/** A changeset as reads give it. */
import type { ApprovalStatus } from './approval.ts'
import type { Direction } from './events.ts'
import type { Changeset, ChangesetState } from './state.ts'

/** How far a run has come. */
export interface RunView {
  readonly run: number
  readonly direction: Direction
  readonly by: string
  readonly begunMs: number
  /** Entries to write when it began; of these, looked at; of these, refused. */
  readonly total: number
  readonly processed: number
  readonly refused: number
  readonly isPaused: boolean
  /** Why it paused by itself. */
  readonly reason?: string
  readonly isCancelled: boolean
  /** All entries were looked at, and every view reflects what was written. */
  readonly hasEnded: boolean
  /** Token of a position at which they do: reads at it, or behind, see what the run did. */
  readonly position?: string
}

/** A changeset. */
export interface ChangesetView {
  readonly id: string
  readonly kind: string
  readonly title: string
  readonly state: ChangesetState
  readonly plannedBy: string
  readonly plannedMs: number
  /** The position that the plan was made on. */
  readonly position: string
  /** SHA-256 of the plan: what an approval is of. */
  readonly hash: string
  /** Values that it changes. */
  readonly effects: number
  /** Rows of the request that were refused. */
  readonly refused: number
  /** Rows that would change nothing. */
  readonly unchanged: number
  /** Of the effects, those that hold now. */
  readonly applied: number
  readonly approvals: readonly { readonly actor: string; readonly atMs: number }[]
  readonly approvalsNeeded: number
  readonly run?: RunView
}

/** Shows a changeset. */
export function viewOf(changeset: Changeset, { needed }: ApprovalStatus): ChangesetView {
  const { id, plan, state, plannedBy, plannedMs, approvals, applied, run } = changeset
  return {
    id,
    kind: plan.kind,
    title: plan.title,
    state,
    plannedBy,
    plannedMs,
    position: plan.position,
    hash: plan.hash,
    effects: plan.effects,
    refused: plan.refused,
    unchanged: plan.unchanged,
    applied: applied.count,
    approvals: [...approvals],
    approvalsNeeded: needed,
    ...(run === undefined
      ? {}
      : {
          run: {
            run: run.run,
            direction: run.direction,
            by: run.actor,
            begunMs: run.begunMs,
            total: run.total,
            processed: run.processed,
            refused: run.refusedCount,
            isPaused: run.isPaused,
            ...(run.pauseReason === undefined ? {} : { reason: run.pauseReason }),
            isCancelled: run.isCancelled,
            hasEnded: run.hasEnded,
            ...(run.position === undefined ? {} : { position: run.position }),
          },
        }),
  }
}
