/**
 * What was decided about builds, kept in the log: which state of a fold is served is what the last
 * `switched` says, for every process that opens the log.
 */
import { deriveId, encodePosition, type Position } from '@millrace/core'
import { DEFAULT_TENANT, type EventLog, type NewEvent } from '@millrace/log'

/** The stream of builds: one record each decision, keyed by the fold. */
export const REBUILDS_STREAM = 'streams.rebuilds'

/** A state of a fold, made from the log. */
export interface Build {
  /** Counts per fold; 0 is what was there before the first rebuild. */
  readonly build: number
  /** Version of the fold that made it. */
  readonly version: string
}

/** What the log says about the builds of one fold. */
export interface BuildHistory {
  /** The one that is served; absent: build 0, of whatever version. */
  readonly live?: Build
  /** The one that was served before, kept to go back to. */
  readonly before?: Build
  /** The one that was begun and neither switched to nor dropped. */
  readonly open?: Build
  /** The next number. */
  readonly next: number
}

/** One decision. */
export type BuildEvent =
  | ({ readonly kind: 'started' } & Build)
  | ({
      readonly kind: 'compared'
      readonly keys: number
      readonly different: number
      readonly position: Position
    } & Build)
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

/** Reads all builds of a log, by fold. */
export async function readBuilds(log: EventLog): Promise<Map<string, BuildHistory>> {
  await log.declare([{ name: REBUILDS_STREAM, partitions: 1 }])
  const byFold = new Map<string, BuildHistory>()
  for (let from = 0; ;) {
    const records = await log.read({ stream: REBUILDS_STREAM, partition: 0, from })
    if (records.length === 0) return byFold
    for (const { key, type, data } of records) {
      const kind = type.slice('rebuild.'.length)
      byFold.set(key, withEvent(byFold.get(key), { ...(data as object), kind } as BuildEvent))
    }
    from += records.length
  }
}

/** The history with one more decision. */
export function withEvent(history = NOTHING, event: BuildEvent): BuildHistory {
  const { build, version } = event
  const next = Math.max(history.next, build + 1)
  switch (event.kind) {
    case 'started':
      return { ...history, next, open: { build, version } }
    case 'compared':
      return history
    case 'switched': {
      const { open: _open, ...rest } = history
      return { ...rest, next, live: { build, version }, before: event.before }
    }
    case 'dropped': {
      const { open, before, ...rest } = history
      return {
        ...rest,
        ...(open === undefined || open.build === build ? {} : { open }),
        ...(before === undefined || before.build === build ? {} : { before }),
      }
    }
  }
}

/** Puts a decision on the log; it is durable when this resolves. */
export async function commitBuildEvent(
  log: EventLog,
  fold: string,
  nowMs: number,
  { kind, ...event }: BuildEvent,
): Promise<void> {
  const data = 'position' in event ? { ...event, position: encodePosition(event.position) } : event
  const end = log.ends().get(`${REBUILDS_STREAM}/0`) ?? 0
  const record: NewEvent = {
    tenant: DEFAULT_TENANT,
    stream: REBUILDS_STREAM,
    type: `rebuild.${kind}`,
    key: fold,
    id: deriveId(nowMs, `rebuild\n${fold}\n${kind}\n${event.build}\n${end}`),
    eventTimeMs: nowMs,
    data,
  }
  await log.commit({ events: [record] })
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
