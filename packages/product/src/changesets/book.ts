/**
 * All changesets of a log, as its records tell: read when it is opened, followed since, and changed
 * only by records. Each process has its own; they agree on everything that is durable.
 */
import { deriveId, type Clock, type Logger } from '@millrace/core'
import { StreamFollower, type EventLog, type LogRecord, type NewEvent } from '@millrace/log'
import { changesetErrors } from './errors.ts'
import {
  CHANGESETS_STREAM,
  RUNS_KEY,
  type Decision,
  type DecisionData,
  type Progress,
} from './events.ts'
import { withDecision, withProgress, type Changeset } from './state.ts'

const PREFIX = 'changeset.'
const PROGRESS_TYPE = `${PREFIX}progress`

/** What a book stands on. */
export interface BookPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly logger: Logger
  readonly newId: () => string
}

/** See the head of the file. */
export class ChangesetBook {
  readonly #ports: BookPorts
  readonly #changesets = new Map<string, Changeset>()
  /** Versions of the keys of decisions. */
  readonly #versions = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  readonly #stop: () => void
  readonly #follower: StreamFollower

  private constructor(ports: BookPorts) {
    this.#ports = ports
    this.#follower = new StreamFollower(ports.log, CHANGESETS_STREAM)
    this.#stop = ports.log.onAdvance(() => {
      if (!this.#follower.hasNews) return
      this.follow().catch((error: unknown) => {
        ports.logger.warn('changesets cannot be read', { error: String(error) })
      })
    })
  }

  /** Reads the changesets that the log holds, and follows it. */
  static async open(ports: BookPorts): Promise<ChangesetBook> {
    const book = new ChangesetBook(ports)
    await book.follow()
    return book
  }

  /** In the order in which they were planned first. */
  all(): Iterable<Changeset> {
    return this.#changesets.values()
  }

  find(id: string): Changeset | undefined {
    return this.#changesets.get(id)
  }

  /** Throws CHANGESET_UNKNOWN. */
  get(id: string): Changeset {
    const found = this.#changesets.get(id)
    if (found === undefined) throw changesetErrors.create('CHANGESET_UNKNOWN', { id: id.slice(0, 128) }) // prettier-ignore
    return found
  }

  /** Reads what came since. */
  async follow(): Promise<void> {
    let isChanged = false
    await this.#follower.follow(record => {
      this.#add(record)
      isChanged = true
    })
    if (isChanged) for (const listener of this.#listeners) listener()
  }

  /** Calls `listener` after changesets changed; returns how to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Puts a decision on the log, if nothing else was decided since this book read the log last; false
   * when something was: follow, look again, and decide anew.
   */
  async decide(id: string, actor: string, decision: Decision): Promise<boolean> {
    const { type, ...facts } = decision
    const isRun = type === 'begun'
    const key = isRun ? RUNS_KEY : id
    const data: DecisionData = { changeset: id, actor, ...facts }
    const result = await this.#append({
      ...this.#event(`${PREFIX}${type}`, key, data),
      ...(isRun ? { keys: [RUNS_KEY, id] } : {}),
      id: this.#ports.newId(),
      expectedVersion: this.#versions.get(key) ?? 0,
    })
    return result !== 'conflict'
  }

  /** Puts on the log that a chunk is done; once more changes nothing. */
  async note(progress: Progress): Promise<void> {
    const { changeset, plan, run, chunk } = progress
    const begunMs = this.get(changeset).run?.begunMs ?? 0
    const event = this.#event(PROGRESS_TYPE, `${changeset}~${run}`, progress)
    // Of two processes that did the same chunk the first to say so counts.
    const id = deriveId(begunMs, `changeset\n${plan}\n${run}\n${chunk}`)
    await this.#append({ ...event, id, eventTimeMs: begunMs })
  }

  close(): void {
    this.#stop()
    this.#listeners.clear()
  }

  #event(type: string, key: string, data: unknown): Omit<NewEvent, 'id'> {
    return {
      stream: CHANGESETS_STREAM,
      type,
      key,
      eventTimeMs: this.#ports.clock.nowMs(),
      data,
    }
  }

  async #append(event: NewEvent): Promise<'appended' | 'duplicate' | 'conflict'> {
    const { results } = await this.#ports.log.commit({ events: [event] })
    await this.follow()
    return results[0]?.status ?? 'conflict'
  }

  #add({ key, keys, type, data, offset, eventTimeMs }: LogRecord): void {
    if (type === PROGRESS_TYPE) {
      const progress = data as Progress
      const known = this.#changesets.get(progress.changeset)
      if (known !== undefined) withProgress(known, progress)
      return
    }
    for (const name of new Set([key, ...keys])) this.#versions.set(name, offset + 1)
    const { changeset: id, actor, ...facts } = data as DecisionData
    const decision = { ...facts, type: type.slice(PREFIX.length) } as Decision
    const known = this.#changesets.get(id)
    const next = withDecision(known, decision, { id, actor, atMs: eventTimeMs })
    if (next !== undefined) this.#changesets.set(id, next)
  }
}
