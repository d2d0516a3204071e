/**
 * Moving a product between a data directory and PostgreSQL while it runs.
 *
 * What is there is moved beside the servers, round by round; then they stop, the rest is moved, and
 * the product goes on at its new home. Only that moment counts, and it is measured. Promise: the source
 * stays as it is; neither home is opened by a server while it is not known to be the only one; killed
 * at any time, the same call goes on where it stood.
 */
import { createIdSource, type Clock, type Random } from '@millrace/core'
import { Move, type MovedPartition } from '@millrace/log/move'
import { serverErrors } from '../errors.ts'
import { recordAct } from '../http/security/audit.ts'
import type { MoveHome } from './move-homes.ts'
import { refuseMarked } from './move-marker.ts'

/** How a move is watched. */
export interface MoveOptions {
  readonly from: MoveHome
  readonly to: MoveHome
  readonly clock: Clock
  readonly random: Random
  /** Ask the servers to stop when little is left, where that can be done from here. */
  readonly stopsServers: boolean
  readonly onProgress: (moved: number, all: number) => void
  /** Everything but the newest records is moved; these servers must stop now. */
  readonly onWaiting: (servers: readonly string[]) => void
}

/** What was moved. */
export interface MoveReport {
  readonly partitions: readonly MovedPartition[]
  /** Processors that go on where they were, counted by partition. */
  readonly steps: number
  readonly snapshots: number
  /** How long nobody served: from the stop of the last server until the new home was whole. */
  readonly stoodStillMs: number
  /** Records that were moved in this time. */
  readonly recordsLast: number
}

const LOOK_EVERY_MS = 100

/** Moves. Throws MOVE_SOURCE_EMPTY, MOVE_TARGET_TAKEN, MOVE_DIFFERS, MOVE_HISTORY_GONE, DIRECTORY_LOCKED. */
export async function moveData(options: MoveOptions): Promise<MoveReport> {
  const { from, to, clock, onProgress } = options
  const identity = await from.identity()
  if (identity === undefined) throw serverErrors.create('MOVE_SOURCE_EMPTY', { place: from.place })
  await claimTarget(options)
  const source = await from.openSource()
  const target = await to.openTarget()
  const all = (): number => [...source.ends().values()].reduce((sum, end) => sum + end, 0)
  const move = new Move({ source, target, onProgress: moved => onProgress(moved, all()) })
  await move.catchUp()
  let { stoppedMs } = await untilStopped(options, () => move.catchUp())
  stoppedMs ??= clock.monotonicMs()
  await from.seize(to.place)
  const before = all()
  await move.catchUp()
  const steps = await move.moveSteps()
  const [keys, newKeys] = [await from.openKeys(), await to.openKeys()]
  await newKeys.adopt(await keys.entries())
  const snapshots = await moveSnapshots(options)
  await to.putIdentity((await from.identity()) ?? identity)
  await from.putMark({ state: 'left', other: to.place })
  await to.putMark(undefined)
  const stoodStillMs = Math.round(clock.monotonicMs() - stoppedMs)
  const ports = { log: target, clock, newId: createIdSource(options) }
  await recordAct(ports, 'moveData', { from: from.place, to: to.place }, async () => undefined)
  const recordsLast = all() - before
  return { partitions: move.moved(), steps, snapshots, stoodStillMs, recordsLast }
}

/** Takes the target for this move, or goes on with one that was cut off. */
async function claimTarget({ from, to }: MoveOptions): Promise<void> {
  const [left, there] = [await from.mark(), await to.mark()]
  const isAgain = there?.state === 'arriving' && there.other === from.place
  // Cut off when all was done but the last mark.
  if (left?.state === 'arriving' || (left?.state === 'left' && !isAgain))
    refuseMarked(from.place, left)
  const isBack = there?.state === 'left' && there.other === from.place
  if (!isAgain && !isBack && (there !== undefined || !(await to.isEmpty()))) {
    throw serverErrors.create('MOVE_TARGET_TAKEN', { place: to.place })
  }
  await to.seize(from.place)
  await to.putMark({ state: 'arriving', other: from.place })
}

/** Keeps the target close to the source until nobody serves it; says when the stop began, if anybody did. */
async function untilStopped(
  { from, clock, stopsServers, onWaiting }: MoveOptions,
  catchUp: () => Promise<void>,
): Promise<{ readonly stoppedMs: number | undefined }> {
  let isTold = false
  let stoppedMs: number | undefined
  for (;;) {
    const servers = await from.servers()
    if (servers.length === 0) return { stoppedMs }
    if (!isTold) {
      isTold = true
      onWaiting(servers)
      if (stopsServers) from.stopServers()
    }
    // Asked to stop, they refuse requests at once; else they were last seen serving now.
    if (!stopsServers || stoppedMs === undefined) stoppedMs = clock.monotonicMs()
    await new Promise<void>(resolve => void clock.after(LOOK_EVERY_MS, resolve))
    await catchUp()
  }
}

/** States of views, so that they are not folded from the beginning; those that cannot be read are. */
async function moveSnapshots({ from, to }: MoveOptions): Promise<number> {
  const [source, target] = [await from.openSnapshots(), await to.openSnapshots()]
  let moved = 0
  for (const name of await source.list()) {
    const snapshot = await source.load(name)
    if (snapshot === undefined) continue
    await target.save(name, snapshot.meta, snapshot.chunks)
    moved += 1
  }
  return moved
}
