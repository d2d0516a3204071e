/**
 * What a changeset is after its records: a fold that takes every record, and leaves out what does not
 * follow from the ones before it.
 */
import type { Decision, Direction, OnMoved, Plan, Progress } from './events.ts'

/** Where a changeset stands. */
export type ChangesetState = 'planned' | 'applying' | 'applied' | 'undoing' | 'undone' | 'cancelled'

/** Numbers of entries, as bits. */
export class Marks {
  readonly #bits: Uint8Array
  #count = 0

  constructor(size: number) {
    this.#bits = new Uint8Array((size + 7) >>> 3)
  }

  has(number: number): boolean {
    return (((this.#bits[number >>> 3] ?? 0) >>> (number & 7)) & 1) === 1
  }

  set(number: number, isMarked: boolean): void {
    if (this.has(number) === isMarked) return
    const byte = this.#bits[number >>> 3] ?? 0
    this.#bits[number >>> 3] = byte ^ (1 << (number & 7))
    this.#count += isMarked ? 1 : -1
  }

  get count(): number {
    return this.#count
  }
}

/** A run of a changeset: one way through its chunks. */
export interface Run {
  readonly run: number
  readonly direction: Direction
  readonly onMoved: OnMoved
  readonly perSecond?: number
  readonly actor: string
  readonly begunMs: number
  /** Numbers of the chunks that are done. */
  readonly done: Set<number>
  /** Entries to write when it began. */
  readonly total: number
  /** Of these, looked at so far. */
  processed: number
  /** Of these, refused: number to reason. At most REFUSALS_KEPT; `refusedCount` counts all. */
  readonly refused: Map<number, { readonly code: string; readonly reason: string }>
  refusedCount: number
  isPaused: boolean
  pauseReason: string | undefined
  isCancelled: boolean
  hasEnded: boolean
  /** See `Decision`. */
  position: string | undefined
}

/** A changeset. */
export interface Changeset {
  readonly id: string
  plan: Plan
  plannedBy: string
  plannedMs: number
  state: ChangesetState
  /** Of the plan as it is now. */
  approvals: { readonly actor: string; readonly atMs: number }[]
  /** The last run; undefined before the first. */
  run: Run | undefined
  /** Entries that are in effect. */
  applied: Marks
  changedMs: number
}

/** Reasons kept in memory; those of all entries are in the log. */
const REFUSALS_KEPT = 1000

/** Takes in a decision; undefined when it does not follow. */
export function withDecision(
  known: Changeset | undefined,
  decision: Decision,
  from: { readonly id: string; readonly actor: string; readonly atMs: number },
): Changeset | undefined {
  if (decision.type === 'planned') {
    return known === undefined || isReplaceable(known) ? plannedFrom(decision, from) : known
  }
  if (known !== undefined) {
    decide(known, decision, from)
    known.changedMs = Math.max(known.changedMs, from.atMs)
  }
  return known
}

/** True when nothing of a changeset is in effect or under way: it may be planned anew. */
export function isReplaceable(changeset: Changeset): boolean {
  return !isUnderWay(changeset) && changeset.applied.count === 0
}

/** True while a run has not ended, paused ones included. */
export function isUnderWay({ run }: Changeset): boolean {
  return run !== undefined && !run.hasEnded
}

/** True when a run in a direction may begin. */
export function mayBegin(changeset: Changeset, direction: Direction): boolean {
  const { state, applied, plan } = changeset
  if (isUnderWay(changeset)) return false
  if (direction === 'undo') return applied.count > 0
  return state !== 'cancelled' && applied.count < plan.effects
}

function plannedFrom(
  plan: Plan,
  { id, actor, atMs }: { readonly id: string; readonly actor: string; readonly atMs: number },
): Changeset {
  return {
    id,
    plan,
    plannedBy: actor,
    plannedMs: atMs,
    state: 'planned',
    approvals: [],
    run: undefined,
    applied: new Marks(plan.entries),
    changedMs: atMs,
  }
}

function decide(
  known: Changeset,
  decision: Exclude<Decision, { type: 'planned' }>,
  { actor, atMs }: { readonly actor: string; readonly atMs: number },
): void {
  const { run } = known
  switch (decision.type) {
    case 'approved':
      if (decision.hash === known.plan.hash && !known.approvals.some(by => by.actor === actor)) {
        known.approvals.push({ actor, atMs })
      }
      return
    case 'begun': {
      const { direction, hash } = decision
      const isNext = decision.run === (run?.run ?? 0) + 1
      if (!isNext || hash !== known.plan.hash || !mayBegin(known, direction)) return
      known.run = begun(known, decision, { actor, atMs })
      known.state = direction === 'apply' ? 'applying' : 'undoing'
      return
    }
    case 'cancelled':
      if (known.state === 'planned') known.state = 'cancelled'
      else if (run !== undefined && !run.hasEnded) run.isCancelled = true
      return
    default:
      if (run !== undefined && run.run === decision.run && !run.hasEnded)
        ofRun(known, run, decision)
  }
}

function ofRun(
  known: Changeset,
  run: Run,
  decision: Extract<Decision, { type: 'paused' | 'resumed' | 'ended' }>,
): void {
  switch (decision.type) {
    case 'paused':
      run.isPaused = true
      run.pauseReason = decision.reason
      return
    case 'resumed':
      run.isPaused = false
      run.pauseReason = undefined
      return
    case 'ended':
      run.hasEnded = true
      run.position = decision.position
      known.state = endOf(known, run)
  }
}

/** What a run came to: an undo that left something in effect can be undone further. */
function endOf({ applied }: Changeset, { direction, isCancelled }: Run): ChangesetState {
  if (direction === 'apply') return isCancelled ? 'cancelled' : 'applied'
  return applied.count === 0 ? 'undone' : 'applied'
}

function begun(
  { plan, applied }: Changeset,
  { run, direction, onMoved, perSecond }: Extract<Decision, { type: 'begun' }>,
  { actor, atMs }: { readonly actor: string; readonly atMs: number },
): Run {
  return {
    run,
    direction,
    onMoved,
    ...(perSecond === undefined ? {} : { perSecond }),
    actor,
    begunMs: atMs,
    done: new Set(),
    total: direction === 'apply' ? plan.effects - applied.count : applied.count,
    processed: 0,
    refused: new Map(),
    refusedCount: 0,
    isPaused: false,
    pauseReason: undefined,
    isCancelled: false,
    hasEnded: false,
    position: undefined,
  }
}

/** Takes in that a chunk of a run is done; once more changes nothing. */
export function withProgress(known: Changeset, progress: Progress): void {
  const { run } = known
  if (run?.run !== progress.run || progress.plan !== known.plan.plan) return
  if (run.hasEnded || run.done.has(progress.chunk)) return
  run.done.add(progress.chunk)
  const isApply = run.direction === 'apply'
  const refused = new Map(
    progress.refused.map(([entry, code, reason]) => [entry, { code, reason }]),
  )
  for (const [entry, why] of refused) {
    run.refusedCount += 1
    if (run.refused.size < REFUSALS_KEPT) run.refused.set(entry, why)
  }
  for (const [from, end] of progress.written) {
    for (let entry = from; entry < end; entry++) known.applied.set(entry, isApply)
    run.processed += end - from
  }
  run.processed += refused.size
}
