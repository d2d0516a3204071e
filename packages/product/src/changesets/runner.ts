/**
 * Carries out the runs of changesets: some chunks at a time, each written, then noted as done.
 *
 * Promise: whatever is killed, the run goes on in the process that leads it (again), and ends with
 * each entry written once or refused with a reason, and reflected by every view. A chunk that was written and not noted is read
 * again: what has its value already is not written again. Of several processes over one log one
 * leads a run; two that believe so for a moment write the same values under the same ids and
 * versions.
 */
import {
  Backoff,
  deriveId,
  encodePosition,
  isError,
  type Clock,
  type Logger,
  type Random,
  type Timer,
} from '@millrace/core'
import { isJsonEqual, type EventLog } from '@millrace/log'
import type { ChangesetBook } from './book.ts'
import type { ChangeKind, Reading, Write } from './change-kind.ts'
import { chunksOf, WRITES_MAX_DEFAULT } from './entries.ts'
import type { Chunk, Entry, Progress } from './events.ts'
import { isUnderWay, type Changeset, type Run } from './state.ts'

/** Groups of chunks that are written at a time; a group is a chunk, unless the kind writes more together. */
const GROUPS_AT_A_TIME = 4
/** Looks at an entry that others change at the same time. */
const TRIES_MAX = 3
/** How often it is looked whether this process leads a run that another one began. */
const LOOK_EVERY_MS = 500
/** Entries of one write under a limit: so that a pause is heard, and the limit kept, within a part of a second. */
const LIMITED_SHARE = 5

/** What a runner stands on. */
export interface RunnerPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly book: ChangesetBook
  readonly kinds: ReadonlyMap<string, ChangeKind>
  /** True while this process carries out the runs of a changeset. */
  readonly leads: (id: string) => boolean
}

/** See the head of the file. */
export class Runner {
  readonly #ports: RunnerPorts
  readonly #working = new Map<string, Promise<void>>()
  readonly #backoffs = new Map<string, Backoff>()
  readonly #stopListening: () => void
  #timer: Timer | undefined
  readonly #closing = Promise.withResolvers<undefined>()
  #isClosed = false
  /** Entries written by this process. */
  written = 0

  constructor(ports: RunnerPorts) {
    this.#ports = ports
    this.#stopListening = ports.book.onChange(() => this.wake())
  }

  /** Begins what is to be done here, and looks again while something is under way. */
  wake(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = undefined
    let isOwed = false
    for (const changeset of this.#ports.book.all()) {
      if (!isUnderWay(changeset)) continue
      isOwed = true
      if (this.#isDue(changeset)) this.#begin(changeset)
    }
    if (isOwed) this.#timer = this.#ports.clock.after(LOOK_EVERY_MS, () => this.wake())
  }

  /** Stops; what is being written is finished and noted. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#closing.resolve(undefined)
    this.#stopListening()
    this.#timer?.cancel()
    for (const backoff of this.#backoffs.values()) backoff.stop()
    await Promise.all(this.#working.values())
  }

  #isDue({ id, plan, run }: Changeset): boolean {
    if (run === undefined || (run.isPaused && !run.isCancelled)) return false
    if (this.#working.has(id) || this.#backoffs.get(id)?.isPausing === true) return false
    return this.#ports.kinds.has(plan.kind) && this.#ports.leads(id)
  }

  #begin(changeset: Changeset): void {
    const { id } = changeset
    const work = this.#work(changeset).finally(() => {
      this.#working.delete(id)
      // What was decided while it ended is seen to now.
      this.wake()
    })
    this.#working.set(id, work)
  }

  async #work(changeset: Changeset): Promise<void> {
    const { id } = changeset
    try {
      await this.#run(changeset)
      this.#backoffs.delete(id)
    } catch (error) {
      if (this.#isClosed || isError(error, 'LOG_CLOSED')) return
      this.#ports.logger.warn('a changeset waits', { changeset: id, error: String(error) })
      if (isError(error) && error.retryable) return this.#later(id)
      await this.#pause(changeset, error)
    }
  }

  /** Tries again after a pause that grows. */
  #later(id: string): void {
    const { clock, random } = this.#ports
    let backoff = this.#backoffs.get(id)
    if (backoff === undefined) {
      backoff = new Backoff({ clock, random, wake: () => this.wake() })
      this.#backoffs.set(id, backoff)
    }
    backoff.fail()
  }

  /** Leaves a run that cannot go on to people. */
  async #pause({ id, run }: Changeset, error: unknown): Promise<void> {
    if (run === undefined) return
    const reason = isError(error) ? error.message : `it failed: ${nameOf(error)}`
    try {
      await this.#ports.book.decide(id, 'runner', { type: 'paused', run: run.run, reason })
    } catch {
      this.#later(id)
    }
  }

  /** True when the run of the changeset is to stop here and now. */
  #isOver({ id }: Changeset, run: Run): boolean {
    const { book, leads } = this.#ports
    const isPaused = run.isPaused && !run.isCancelled
    return this.#isClosed || book.find(id)?.run !== run || run.hasEnded || isPaused || !leads(id)
  }

  async #run(changeset: Changeset): Promise<void> {
    const { log, book, kinds } = this.#ports
    const { id, plan, run } = changeset
    const kind = kinds.get(plan.kind)
    if (run === undefined || kind === undefined) return
    const writing = new Set<Promise<void>>()
    const failures: unknown[] = []
    const pace = createPace(this.#ports.clock, run.perSecond)
    const isStopped = (): boolean => failures.length > 0 || this.#isOver(changeset, run)
    // What a process that was killed may have written without a note of it.
    const reach = kind.writesMax === undefined ? newestOf(run.done) + GROUPS_AT_A_TIME : Infinity
    const work = { changeset, run, kind, pace, isStopped }
    const most = kind.writesMax ?? WRITES_MAX_DEFAULT
    let group: Chunk[] = []
    const write = async (): Promise<void> => {
      if (writing.size === GROUPS_AT_A_TIME) await Promise.race(writing)
      const written = this.#chunks(work, group)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => writing.delete(written))
      writing.add(written)
      group = []
    }
    for await (const chunk of chunksOf(log, plan)) {
      if (isStopped()) break
      if (run.done.has(chunk.chunk)) continue
      if (run.isCancelled && chunk.chunk > reach) break
      group.push(chunk)
      if (group.reduce((sum, { entries }) => sum + entries.length, 0) >= most) await write()
    }
    if (group.length > 0 && !isStopped()) await write()
    await Promise.all(writing)
    if (failures.length > 0) throw failures[0]
    if (this.#isOver(changeset, run)) return
    if (!run.isCancelled && run.done.size < plan.chunks) return
    // Whoever opens the log next looks again whether the views have come so far.
    const position = await Promise.race([kind.reflected?.(), this.#closing.promise])
    if (this.#isOver(changeset, run)) return
    const reflected = position === undefined ? {} : { position: encodePosition(position) }
    await book.decide(id, 'runner', { type: 'ended', run: run.run, ...reflected })
  }

  /** Writes what is to be written of some chunks, and notes them; what is stopped half-way is not noted. */
  async #chunks(work: Work, chunks: readonly Chunk[]): Promise<void> {
    const { changeset, run } = work
    const { applied, plan, id } = changeset
    const isApply = run.direction === 'apply'
    const open = chunks.flatMap(({ first, entries }) =>
      entries.flatMap((entry, place) =>
        entry.refused === undefined && applied.has(first + place) !== isApply
          ? [{ entry, number: first + place }]
          : [],
      ),
    )
    const results = new Map<number, Refused | undefined>()
    const step = run.perSecond === undefined ? open.length : Math.ceil(run.perSecond / LIMITED_SHARE) // prettier-ignore
    for (let from = 0; from < open.length; from += step) {
      const part = open.slice(from, from + step)
      await work.pace(part.length)
      if (work.isStopped()) return
      for (const [index, result] of (await this.#entries(work, part)).entries()) {
        results.set((part[index] as NumberedEntry).number, result)
      }
    }
    for (const { chunk, first, entries } of chunks) {
      const refused: Progress['refused'][number][] = []
      const written: number[] = []
      for (let number = first; number < first + entries.length; number++) {
        const result = results.get(number)
        if (result !== undefined) refused.push([number, result.code, result.reason])
        else if (results.has(number)) written.push(number)
      }
      const progress = { changeset: id, plan: plan.plan, run: run.run, chunk }
      await this.#ports.book.note({ ...progress, written: rangesOf(written), refused })
    }
  }

  /** Writes entries; a reason for each that was not written. */
  async #entries(
    { changeset, run, kind }: Work,
    entries: readonly NumberedEntry[],
  ): Promise<readonly (Refused | undefined)[]> {
    const { id, plan } = changeset
    const isApply = run.direction === 'apply'
    const results = new Map<number, Refused | undefined>()
    for (let attempt = 1; results.size < entries.length; attempt++) {
      const open = entries.filter(({ number }) => !results.has(number))
      const readings = await kind.read(open.map(({ entry }) => entry.target))
      const writes: (Write & { readonly number: number })[] = []
      for (const [index, { entry, number }] of open.entries()) {
        const reading = readings[index] as Reading
        const wanted = isApply ? entry.after : entry.before
        const refusal = refusalOf(run, entry, reading)
        if (isJsonEqual(reading.value, wanted)) results.set(number, undefined)
        else if (refusal !== undefined) results.set(number, refusal)
        else if (attempt > TRIES_MAX) results.set(number, MOVED)
        else {
          const { target } = entry
          // A write that was refused because its version had moved is another one the next time.
          const name = `${plan.plan}\n${run.run}\n${number}\n${reading.version}`
          const { version } = reading
          writes.push({ target, value: wanted, version, id: deriveId(run.begunMs, name), number })
        }
      }
      if (writes.length === 0) continue
      const context = { changeset: id, title: plan.title, actor: run.actor, atMs: run.begunMs }
      const given = await kind.write(writes, context)
      for (const [index, { number }] of writes.entries()) {
        const result = given[index]
        if (result === 'moved' || result === undefined) continue
        if (result === 'written') this.written += 1
        results.set(number, result === 'written' ? undefined : result.refused)
      }
    }
    return entries.map(({ number }) => results.get(number))
  }
}

interface Work {
  readonly changeset: Changeset
  readonly run: Run
  readonly kind: ChangeKind
  /** Resolves when so many entries more may be written. */
  readonly pace: (entries: number) => Promise<void>
  readonly isStopped: () => boolean
}

interface NumberedEntry {
  readonly entry: Entry
  readonly number: number
}

interface Refused {
  readonly code: string
  readonly reason: string
}

const MOVED: Refused = { code: 'MOVED', reason: 'others changed it since' }

/** Why an entry is not to be written over what is there; undefined when it is. */
function refusalOf(
  { direction, onMoved, isCancelled }: Run,
  { before, after }: Entry,
  { value, refused }: Reading,
): Refused | undefined {
  if (isCancelled) return { code: 'CANCELLED', reason: 'the run was cancelled before it' }
  if (refused !== undefined) return refused
  if (onMoved === 'overwrite') return undefined
  return isJsonEqual(value, direction === 'apply' ? before : after) ? undefined : MOVED
}

function newestOf(done: ReadonlySet<number>): number {
  let newest = -1
  for (const chunk of done) newest = Math.max(newest, chunk)
  return newest
}

/** Numbers in order as ranges. */
function rangesOf(numbers: readonly number[]): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = []
  for (const number of numbers) {
    const last = ranges.at(-1)
    if (last?.[1] === number) last[1] = number + 1
    else ranges.push([number, number + 1])
  }
  return ranges
}

/** Lets entries through, at most `perSecond` of them a second. */
function createPace(
  clock: Clock,
  perSecond: number | undefined,
): (entries: number) => Promise<void> {
  // prettier-ignore
  let freeMs = clock.monotonicMs()
  return async entries => {
    if (perSecond === undefined) return
    const nowMs = clock.monotonicMs()
    const waitMs = Math.max(0, freeMs - nowMs)
    freeMs = Math.max(freeMs, nowMs) + (entries * 1000) / perSecond
    if (waitMs > 0) await new Promise<void>(resolve => clock.after(waitMs, resolve))
  }
}

/** Messages of errors that nobody foresaw may quote personal data. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}
