export { atTheEnd, consequenceOf, UNCHANGED } from './change-kind.ts'
export type {
  ChangeKind,
  Consequence,
  PlannedChange,
  Reading,
  RefusedRow,
  Write,
  WriteContext,
  Written,
} from './change-kind.ts'
export type { Changesets, DryRun, EntryView, PlanRequest, RunRequest } from './changesets.ts'
export { changesetErrors } from './errors.ts'
export { CHANGESET_ITEMS_STREAM, CHANGESETS_STREAM } from './events.ts'
export type { Refusal } from './events.ts'
export { createChangesets } from './module.ts'
export type { ChangesetView, RunView } from './views.ts'
