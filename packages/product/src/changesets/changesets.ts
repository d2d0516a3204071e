/** The commands on changesets: plan, dry run, approve, apply, pause, resume, cancel, undo. */
import { compileSchema, invariant, type App, type Validator } from '@millrace/core'
import { isJsonEqual, type EventLog } from '@millrace/log'
import type { ModuleContext } from '../module.ts'
import { approvalOf, approvalsFor, assertMayApprove } from './approval.ts'
import type { ChangesetBook } from './book.ts'
import type { ChangeKind } from './change-kind.ts'
import { differencesOf, showEntry, type Differences, type ShownEntry } from './differences.ts'
import { chunksOf, EntryHash, hashOf } from './entries.ts'
import { changesetErrors } from './errors.ts'
import type { Decision, Direction, OnMoved } from './events.ts'
import { planOf } from './planner.ts'
import { isReplaceable, isUnderWay, mayBegin, type Changeset } from './state.ts'
import { viewOf, type ChangesetView } from './views.ts'

/** What to plan. */
export interface PlanRequest {
  /** Names the changeset: the same request under the same id again changes nothing. Default: a new one. */
  readonly id?: string | undefined
  readonly kind: string
  /** What people call it. */
  readonly title?: string | undefined
  /** What the kind takes. */
  readonly request: unknown
}

/** How to run. */
export interface RunRequest {
  /** The plan that is meant; CHANGESET_HASH when it is another one by now. */
  readonly hash?: string | undefined
  /** At most so many entries a second. */
  readonly perSecond?: number | undefined
  /** What to do with values that others changed. `refuse` (the default) begins nothing then; `overwrite` is for undo alone. */
  readonly onMoved?: OnMoved | undefined
}

/** A dry run. */
export interface DryRun extends ChangesetView, Differences {
  /** Values that others changed since the plan: how many, and some. */
  readonly moved: { readonly count: number; readonly targets: readonly string[] }
  /** Changesets under way that change the same. */
  readonly overlaps: readonly string[]
}

/** An entry with what became of it. */
export interface EntryView extends ShownEntry {
  readonly number: number
  /** Whether it is in effect. */
  readonly isApplied: boolean
}

/** What other modules and the host process may call. `actor`: who acts, as the audit names them. */
export interface Changesets {
  /** Adds a kind of change; runs of it that were interrupted go on. A name may be taken once. */
  register(kind: ChangeKind): void
  plan(request: PlanRequest, actor: string): Promise<ChangesetView>
  dryRun(id: string, options?: { readonly samples?: number }): Promise<DryRun>
  approve(id: string, hash: string, actor: string): Promise<ChangesetView>
  apply(id: string, request: RunRequest, actor: string): Promise<ChangesetView>
  undo(id: string, request: RunRequest, actor: string): Promise<ChangesetView>
  pause(id: string, actor: string): Promise<ChangesetView>
  resume(id: string, actor: string): Promise<ChangesetView>
  cancel(id: string, actor: string): Promise<ChangesetView>
  show(id: string): ChangesetView
  /** The newest first. */
  list(options: { readonly state?: string | undefined; readonly limit: number }): readonly ChangesetView[] // prettier-ignore
  /** Entries from a number on. */
  entries(id: string, options: { readonly from: number; readonly limit: number }): Promise<readonly EntryView[]> // prettier-ignore
  /** Resolves when no run of it is under way, or it is paused. */
  settled(id: string): Promise<ChangesetView>
}

/** What the commands stand on. */
export interface ChangesetPorts {
  readonly context: ModuleContext
  readonly book: ChangesetBook
  readonly kinds: Map<string, ChangeKind>
  /** Called when a kind was added. */
  readonly onRegister: () => void
}

const NAME = /^[a-z][a-z0-9-]{0,63}$/
const DECISION_TRIES_MAX = 20
const SAMPLES_DEFAULT = 5
const NAMES_SHOWN = 10

/** Creates the commands. */
export function createCommands(ports: ChangesetPorts): Changesets {
  return new Commands(ports)
}

class Commands implements Changesets {
  readonly #app: App
  readonly #log: EventLog
  readonly #ports: ChangesetPorts
  readonly #book: ChangesetBook
  readonly #validators = new Map<string, Validator>()

  constructor(ports: ChangesetPorts) {
    this.#app = ports.context.app
    this.#log = ports.context.log
    this.#book = ports.book
    this.#ports = ports
  }

  register(kind: ChangeKind): void {
    const { kinds } = this.#ports
    if (!NAME.test(kind.name) || kinds.has(kind.name)) {
      const reason = `a kind of change is named [a-z][a-z0-9-]* and once: ${kind.name.slice(0, 64)}`
      throw changesetErrors.create('CHANGESET_INVALID', { reason })
    }
    kinds.set(kind.name, kind)
    this.#validators.set(kind.name, compileSchema(kind.request))
    this.#ports.onRegister()
  }

  async plan(request: PlanRequest, actor: string): Promise<ChangesetView> {
    const { context } = this.#ports
    const { kind: name, title = '', id = context.newId() } = request
    const kind = this.#kind(name)
    const requestHash = hashOf([name, title, request.request])
    await this.#book.follow()
    const known = this.#book.find(id)
    if (known?.plan.requestHash === requestHash && known.state === 'planned') {
      if (known.plannedBy === actor && !(await this.#hasMoved(known))) return this.#view(known)
    }
    if (known !== undefined && !isReplaceable(known)) throw taken(known)
    this.#check(kind, request.request)
    const plan = await planOf(context, kind, { title, requestHash, request: request.request })
    return this.#decide(id, actor, now => {
      if (now !== undefined && !isReplaceable(now)) throw taken(now)
      return { type: 'planned', ...plan }
    })
  }

  async #hasMoved(changeset: Changeset): Promise<boolean> {
    return (await this.#movedOf(changeset, 'apply')).count > 0
  }

  /** Throws CHANGESET_INVALID. */
  #check(kind: ChangeKind, request: unknown): void {
    const issues = this.#validators.get(kind.name)?.issues(request) ?? []
    const [first] = issues
    if (first === undefined) return
    const place = first.path === '' ? 'the request' : first.path
    throw changesetErrors.create('CHANGESET_INVALID', { reason: `${place}: ${first.reason}`, issues }) // prettier-ignore
  }

  async dryRun(id: string, options: { readonly samples?: number } = {}): Promise<DryRun> {
    const changeset = await this.#current(id)
    const kind = this.#kind(changeset.plan.kind)
    const { samples = SAMPLES_DEFAULT } = options
    const chunks = chunksOf(this.#log, changeset.plan)
    const differences = await differencesOf(kind, chunks, samples)
    const direction = changeset.applied.count > 0 ? 'undo' : 'apply'
    const moved = isUnderWay(changeset)
      ? { count: 0, targets: [] }
      : await this.#movedOf(changeset, direction)
    const overlaps = (await this.#overlaps(changeset)).map(({ other }) => other.id)
    return { ...this.#view(changeset), ...differences, moved, overlaps }
  }

  async approve(id: string, hash: string, actor: string): Promise<ChangesetView> {
    return this.#decide(id, actor, known => {
      const changeset = known ?? this.#book.get(id)
      assertHash(changeset, hash)
      assertMayApprove(changeset, actor)
      if (changeset.approvals.some(by => by.actor === actor)) return undefined
      return { type: 'approved', hash }
    })
  }

  async apply(id: string, request: RunRequest, actor: string): Promise<ChangesetView> {
    if (request.onMoved === 'overwrite') {
      const reason = 'onMoved overwrite is for undo; plan again on what is there now'
      throw changesetErrors.create('CHANGESET_INVALID', { reason })
    }
    return this.#begin(id, 'apply', request, actor)
  }

  undo(id: string, request: RunRequest, actor: string): Promise<ChangesetView> {
    return this.#begin(id, 'undo', request, actor)
  }

  async #begin(
    id: string,
    direction: Direction,
    { hash, perSecond, onMoved = 'refuse' }: RunRequest,
    actor: string,
  ): Promise<ChangesetView> {
    const verb = direction === 'apply' ? 'applied' : 'undone'
    const isDone = (known: Changeset): boolean => known.run?.direction === direction && (isUnderWay(known) || known.state === verb && known.run.refusedCount === 0) // prettier-ignore
    let checked: { readonly changeset: Changeset; readonly run: number } | undefined
    for (let attempt = 0; attempt < DECISION_TRIES_MAX; attempt++) {
      const known = await this.#current(id)
      this.#kind(known.plan.kind)
      if (hash !== undefined) assertHash(known, hash)
      if (isDone(known)) return this.#view(known)
      if (!mayBegin(known, direction)) throw stateError(known, verb)
      if (direction === 'apply') this.#assertApproved(known)
      const run = (known.run?.run ?? 0) + 1
      if (checked?.changeset !== known || checked.run !== run) {
        await this.#assertFresh(known, direction, onMoved)
        checked = { changeset: known, run }
      }
      await this.#assertAlone(known)
      const { plan } = known
      const decision: Decision = {
        type: 'begun',
        hash: plan.hash,
        run,
        direction,
        onMoved,
        ...(perSecond === undefined ? {} : { perSecond }),
      }
      if (await this.#book.decide(id, actor, decision)) return this.#view(this.#book.get(id))
    }
    throw changesetErrors.create('CHANGESET_CONTENDED')
  }

  /** Throws CHANGESET_UNAPPROVED. */
  #assertApproved(changeset: Changeset): void {
    const { needed, given } = approvalOf(this.#app, changeset)
    if (given >= needed) return
    const { id, plan } = changeset
    const details = { id, effects: plan.effects, hash: plan.hash, needed, given }
    throw changesetErrors.create('CHANGESET_UNAPPROVED', details)
  }

  /** Throws CHANGESET_STALE, naming what moved; and CHANGESET_UNAPPROVED for writing over more than the rules let one person change. */
  async #assertFresh(changeset: Changeset, direction: Direction, onMoved: OnMoved): Promise<void> {
    const { count, targets } = await this.#movedOf(changeset, direction)
    if (count === 0 || onMoved === 'skip') return
    const { id, plan } = changeset
    if (onMoved === 'overwrite') {
      const needed = approvalsFor(this.#app, plan.kind, count)
      if (needed === 0) return
      const details = { id, effects: count, hash: plan.hash, needed, given: 0 }
      throw changesetErrors.create('CHANGESET_UNAPPROVED', details)
    }
    const names = namesOf(targets, count)
    throw changesetErrors.create('CHANGESET_STALE', { id, moved: count, names, targets })
  }

  /** The values that are not those that a run would begin with. */
  async #movedOf(
    { plan, applied }: Changeset,
    direction: Direction,
  ): Promise<{ readonly count: number; readonly targets: readonly string[] }> {
    const kind = this.#kind(plan.kind)
    const isApply = direction === 'apply'
    const targets: string[] = []
    let count = 0
    const hash = new EntryHash(plan, kind.erased?.bind(kind))
    for await (const { first, entries } of chunksOf(this.#log, plan)) {
      for (const entry of entries) hash.add(entry)
      const open = entries.filter(
        (entry, place) => entry.refused === undefined && applied.has(first + place) !== isApply,
      )
      const readings = await kind.read(open.map(({ target }) => target))
      for (const [index, { target, before, after }] of open.entries()) {
        if (isJsonEqual(readings[index]?.value, isApply ? before : after)) continue
        count += 1
        if (targets.length < NAMES_SHOWN) targets.push(target)
      }
    }
    const found = hash.ends()
    // What is left of a plan when people of it were erased is not what was approved, and no other plan.
    const isPlan = found.hash === plan.hash || found.erasedHash === plan.erasedHash
    invariant(isPlan, 'the log holds the plan that was approved')
    return { count, targets }
  }

  /** Throws CHANGESET_OVERLAPS. */
  async #assertAlone(changeset: Changeset): Promise<void> {
    const [first] = await this.#overlaps(changeset)
    if (first === undefined) return
    const { other, targets } = first
    const names = namesOf(targets, targets.length)
    const details = { other: other.id, state: stateOf(other), names, id: changeset.id }
    throw changesetErrors.create('CHANGESET_OVERLAPS', details)
  }

  /** The changesets under way that change what this one changes. */
  async #overlaps(
    changeset: Changeset,
  ): Promise<readonly { readonly other: Changeset; readonly targets: readonly string[] }[]> {
    const others = [...this.#book.all()].filter(
      other => other !== changeset && isUnderWay(other) && other.plan.kind === changeset.plan.kind,
    )
    if (others.length === 0) return []
    const own = new Set<string>()
    for await (const target of this.#targets(changeset)) own.add(target)
    const found: { other: Changeset; targets: string[] }[] = []
    for (const other of others) {
      const targets: string[] = []
      for await (const target of this.#targets(other)) {
        if (own.has(target) && targets.length < NAMES_SHOWN) targets.push(target)
      }
      if (targets.length > 0) found.push({ other, targets })
    }
    return found
  }

  async *#targets({ plan }: Changeset): AsyncGenerator<string, void> {
    for await (const { entries } of chunksOf(this.#log, plan)) {
      for (const { target, refused } of entries) if (refused === undefined) yield target
    }
  }

  pause(id: string, actor: string): Promise<ChangesetView> {
    return this.#ofRun(id, actor, 'paused')
  }

  resume(id: string, actor: string): Promise<ChangesetView> {
    return this.#ofRun(id, actor, 'resumed')
  }

  #ofRun(id: string, actor: string, type: 'paused' | 'resumed'): Promise<ChangesetView> {
    return this.#decide(id, actor, known => {
      const changeset = known ?? this.#book.get(id)
      const { run } = changeset
      if (run === undefined || run.hasEnded) throw stateError(changeset, type)
      return run.isPaused === (type === 'paused') ? undefined : { type, run: run.run }
    })
  }

  cancel(id: string, actor: string): Promise<ChangesetView> {
    return this.#decide(id, actor, known => {
      const changeset = known ?? this.#book.get(id)
      const { state, run } = changeset
      if (state === 'cancelled' || (isUnderWay(changeset) && run?.isCancelled === true)) return undefined // prettier-ignore
      if (state !== 'planned' && !isUnderWay(changeset)) throw stateError(changeset, 'cancelled')
      return { type: 'cancelled' }
    })
  }

  show(id: string): ChangesetView {
    return this.#view(this.#book.get(id))
  }

  list({
    state,
    limit,
  }: {
    readonly state?: string | undefined
    readonly limit: number
  }): readonly ChangesetView[] {
    // prettier-ignore
    const all = [...this.#book.all()].reverse().map(changeset => this.#view(changeset))
    return all.filter(view => state === undefined || view.state === state).slice(0, limit)
  }

  async entries(
    id: string,
    { from, limit }: { readonly from: number; readonly limit: number },
  ): Promise<readonly EntryView[]> {
    const { plan, applied, run } = await this.#current(id)
    const kind = this.#kind(plan.kind)
    const shown: EntryView[] = []
    for await (const { first, entries } of chunksOf(this.#log, plan)) {
      if (first + entries.length <= from) continue
      for (const [place, entry] of entries.entries()) {
        const number = first + place
        if (number < from) continue
        if (shown.length === limit) return shown
        const refused = run?.refused.get(number) ?? {}
        shown.push({
          number,
          isApplied: applied.has(number),
          ...showEntry(kind, entry),
          ...refused,
        })
      }
    }
    return shown
  }

  async settled(id: string): Promise<ChangesetView> {
    const isSettled = (): boolean => {
      const changeset = this.#book.get(id)
      return !isUnderWay(changeset) || (changeset.run?.isPaused === true && !changeset.run.isCancelled) // prettier-ignore
    }
    if (!isSettled()) {
      await new Promise<void>(resolve => {
        const stop = this.#book.onChange(() => {
          if (!isSettled()) return
          stop()
          resolve()
        })
      })
    }
    return this.show(id)
  }

  /** Makes a decision on what is known, and makes it again when others decided meanwhile; undefined: there is nothing to decide. */
  async #decide(
    id: string,
    actor: string,
    make: (known: Changeset | undefined) => Decision | undefined,
  ): Promise<ChangesetView> {
    for (let attempt = 0; attempt < DECISION_TRIES_MAX; attempt++) {
      await this.#book.follow()
      const decision = make(this.#book.find(id))
      if (decision === undefined || (await this.#book.decide(id, actor, decision))) {
        return this.show(id)
      }
    }
    throw changesetErrors.create('CHANGESET_CONTENDED')
  }

  async #current(id: string): Promise<Changeset> {
    await this.#book.follow()
    return this.#book.get(id)
  }

  #kind(name: string): ChangeKind {
    const kind = this.#ports.kinds.get(name)
    if (kind !== undefined) return kind
    const known = [...this.#ports.kinds.keys()].join(', ')
    throw changesetErrors.create('CHANGE_KIND_UNKNOWN', { kind: name.slice(0, 64), known })
  }

  #view(changeset: Changeset): ChangesetView {
    return viewOf(changeset, approvalOf(this.#app, changeset))
  }
}

function assertHash({ id, plan }: Changeset, hash: string): void {
  if (hash !== plan.hash) throw changesetErrors.create('CHANGESET_HASH', { id, hash: plan.hash })
}

function taken(changeset: Changeset): Error {
  return changesetErrors.create('CHANGESET_TAKEN', { id: changeset.id, state: stateOf(changeset) })
}

function stateError(changeset: Changeset, verb: string): Error {
  const { id } = changeset
  return changesetErrors.create('CHANGESET_STATE', { id, state: stateOf(changeset), verb })
}

function stateOf({ state, run }: Changeset): string {
  return run?.isPaused === true && !run.hasEnded ? `${state} (paused)` : state
}

/** Some names, and how many more there are. */
function namesOf(targets: readonly string[], count: number): string {
  const more = count - targets.length
  return targets.join(', ') + (more > 0 ? ` and ${more} more` : '')
}
