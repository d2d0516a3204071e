/**
 * What was decided about builds, kept in the log: which state of a fold is served is what the last
 * `switched` says, for every process that opens the log.
 *
 * Where several processes share the log, the one that began a build is named in `started`; before it
 * switches it says so (`announced`), and the others say that they hold the build beside theirs
 * (`joined`). A decision is refused when another one on the same fold came before it.
 */
import { deriveId, encodePosition, invariant, type Position } from '@millrace/core'
import {
  DEFAULT_TENANT,
  StreamFollower,
  type EventLog,
  type LogRecord,
  type NewEvent,
} from '@millrace/log'
import { streamsErrors } from '../errors.ts'

/** The stream of builds: one record each decision, keyed by the fold. */
export const REBUILDS_STREAM = 'streams.rebuilds'

/** A state of a fold, made from the log. */
export interface Build {
  /** Counts per fold; 0 is what was there before the first rebuild. */
  readonly build: number
  /** Version of the fold that made it. */
  readonly version: string
}

/** A build in the making. */
export interface OpenBuild extends Build {
  /** The process that makes it, where several share the log. */
  readonly process?: string
}

/** What the log says about the builds of one fold. */
export interface BuildHistory {
  /** The one that is served; absent: build 0, of whatever version. */
  readonly live?: Build
  /** The one that was served before, kept to go back to. */
  readonly before?: Build
  /** The one that was begun and neither switched to nor dropped. */
  readonly open?: OpenBuild
  /** The one that is about to be served, and the processes that hold it. */
  readonly announced?: OpenBuild & { readonly joined: readonly string[] }
  /** The next number. */
  readonly next: number
}

/** One decision. */
export type BuildEvent =
  | ({ readonly kind: 'started' } & OpenBuild)
  | ({
      readonly kind: 'compared'
      readonly keys: number
      readonly different: number
      readonly position: Position
    } & Build)
  | ({ readonly kind: 'announced' } & OpenBuild)
  | ({ readonly kind: 'joined'; readonly process: string } & Build)
  | ({
      readonly kind: 'switched'
      readonly before: Build
      /** Ends of the source partitions that both had consumed. */
      readonly position: Position
      /** Differences that the comparison found; absent when there was none, going back. */
      readonly different?: number
    } & Build)
  | ({ readonly kind: 'dropped' } & Build)

const NOTHING: BuildHistory = { next: 1 }
/** Joins are no decisions: they have a key of their own, behind a sign that no name of a fold has. */
const JOINED = '~joined'

/** All builds of a log, by fold; grows with what is decided. */
export class BuildBook {
  readonly #log: EventLog
  readonly #byFold = new Map<string, BuildHistory>()
  /** Versions of the folds as keys of the stream. */
  readonly #versions = new Map<string, number>()
  readonly #follower: StreamFollower

  private constructor(log: EventLog) {
    this.#log = log
    this.#follower = new StreamFollower(log, REBUILDS_STREAM)
  }

  /** Reads the builds that the log holds. */
  static async open(log: EventLog): Promise<BuildBook> {
    await log.declare([{ name: REBUILDS_STREAM, partitions: 1 }])
    const book = new BuildBook(log)
    await book.follow()
    return book
  }

  of(fold: string): BuildHistory {
    return this.#byFold.get(fold) ?? NOTHING
  }

  /** True when the log holds decisions that were not read. */
  hasNews(): boolean {
    return this.#follower.hasNews
  }

  /** Reads what was decided since. */
  async follow(): Promise<void> {
    await this.#follower.follow(record => this.#add(record))
  }

  /** Puts a decision on the log; it is durable when this resolves. Throws REBUILD_ELSEWHERE when another one came before it. */
  async decide(fold: string, nowMs: number, event: BuildEvent): Promise<void> {
    const { kind, ...facts } = event
    const data =
      'position' in facts ? { ...facts, position: encodePosition(facts.position) } : facts
    const isJoin = kind === 'joined'
    const { expectedVersion } = this.#log.capabilities
    const version = this.#versions.get(fold) ?? 0
    const record: NewEvent = {
      tenant: DEFAULT_TENANT,
      stream: REBUILDS_STREAM,
      type: `rebuild.${kind}`,
      key: isJoin ? `${fold}${JOINED}` : fold,
      id: deriveId(nowMs, `rebuild\n${fold}\n${JSON.stringify(event)}\n${version}`),
      eventTimeMs: nowMs,
      data,
      ...(isJoin || !expectedVersion ? {} : { expectedVersion: version }),
    }
    const [result] = (await this.#log.commit({ events: [record] })).results
    await this.follow()
    if (result?.status !== 'conflict') return
    invariant(result.code === 'VERSION_CONFLICT', 'a decision has an id of its own')
    throw streamsErrors.create('REBUILD_ELSEWHERE', { fold, where: 'another process' })
  }

  #add({ key, type, data, offset }: LogRecord): void {
    const kind = type.slice('rebuild.'.length)
    const fold = kind === 'joined' ? key.slice(0, -JOINED.length) : key
    if (kind !== 'joined') this.#versions.set(fold, offset + 1)
    const event = { ...(data as object), kind } as BuildEvent
    this.#byFold.set(fold, withEvent(this.of(fold), event))
  }
}

/** The history with one more decision. */
function withEvent(history: BuildHistory, event: BuildEvent): BuildHistory {
  const { build, version } = event
  const next = Math.max(history.next, build + 1)
  const { announced, ...quiet } = history
  switch (event.kind) {
    case 'started': {
      const { process } = event
      const maker = process === undefined ? {} : { process }
      return { ...quiet, next, open: { build, version, ...maker } }
    }
    case 'compared':
      return quiet
    case 'announced': {
      const { kind: _kind, ...facts } = event
      return { ...quiet, announced: { ...facts, joined: [] } }
    }
    case 'joined': {
      if (announced?.build !== build) return history
      return {
        ...history,
        announced: { ...announced, joined: [...announced.joined, event.process] },
      }
    }
    case 'switched': {
      const { open: _open, ...rest } = quiet
      return { ...rest, next, live: { build, version }, before: event.before }
    }
    case 'dropped': {
      const { open, before, ...rest } = quiet
      return {
        ...rest,
        ...(open === undefined || open.build === build ? {} : { open }),
        ...(before === undefined || before.build === build ? {} : { before }),
      }
    }
  }
}

/** Name of the snapshots of a build. The name of a fold has no tilde. */
export function snapshotNameOf(fold: string, build: number): string {
  return build === 0 ? fold : `${fold}~${build}`
}

/** Name of what a thread that builds keeps of one partition. */
export function partNameOf(fold: string, build: number, partition: number): string {
  return `${fold}~${build}.${partition}`
}

/** Name of the cut of the live state that a build is compared with. */
export function cutNameOf(fold: string, build: number): string {
  return `${fold}~${build}.live`
}

/** The build of a fold that a snapshot is of, and whether it is a part or the cut of one; undefined for other names. */
export function parseSnapshotName(
  fold: string,
  name: string,
): { readonly build: number; readonly isPart: boolean } | undefined {
  if (!name.startsWith(fold)) return undefined
  const found = /^(?:~(\d+)(\.(?:\d+|live))?)?$/.exec(name.slice(fold.length))
  if (found === null) return undefined
  return { build: Number(found[1] ?? 0), isPart: found[2] !== undefined }
}
