/** Who has to approve a changeset before it is applied, by the rules of the definition. */
import type { App, ApprovalRule } from '@millrace/core'
import { changesetErrors } from './errors.ts'
import type { Changeset } from './state.ts'

/** How many approvals a changeset needs, and has. */
export interface ApprovalStatus {
  readonly needed: number
  readonly given: number
}

const NO_RULES: readonly ApprovalRule[] = []

/** What the rules of the definition ask of a changeset. */
export function approvalOf(app: App, { plan, approvals }: Changeset): ApprovalStatus {
  return { needed: approvalsFor(app, plan.kind, plan.effects), given: approvals.length }
}

/** The approvals that so many effects of a kind need. */
export function approvalsFor(app: App, kind: string, effects: number): number {
  const rules = app.options.approvals ?? NO_RULES
  const asked = rules
    .filter(rule => (rule.kind === undefined || rule.kind === kind) && effects > rule.above)
    .map(({ approvals = 1 }) => approvals)
  return Math.max(0, ...asked)
}

/** Refuses an approval by somebody who may not give it (APPROVAL_REFUSED). */
export function assertMayApprove({ id, plan, plannedBy }: Changeset, actor: string): void {
  const refuse = (reason: string): never => {
    throw changesetErrors.create('APPROVAL_REFUSED', { id, actor, reason, hash: plan.hash })
  }
  if (actor === plannedBy) refuse('whoever planned it cannot')
  // `local`, `host` and `operator` are whoever reaches the machine: the one who planned it, too.
  if (!actor.startsWith('key:')) refuse('only a key tells two people apart')
}
