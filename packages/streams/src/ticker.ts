/**
 * Ticks: records that carry nothing but time, so that windows close and timers fire while nothing
 * happens. They are in the log like everything else, so a rebuild sees the same time.
 *
 * A partition gets ticks once it has a live record: imported history does not age by the wall
 * clock. The longer a partition is idle, the rarer its ticks, at a twentieth of the idle time, so
 * that a quiet log grows by the logarithm of time only.
 */
import { deriveId, isError, partitionName, type Clock, type Logger } from '@millrace/core'
import { DEFAULT_TENANT, TICK_TYPE, type EventLog, type NewEvent } from '@millrace/log'
import { errorText } from './lane.ts'

/** What `startTicker` needs. */
export interface TickerOptions {
  readonly log: EventLog
  readonly clock: Clock
  readonly logger: Logger
  /** Streams that get ticks: the sources of folds that look at time. */
  readonly streams: readonly string[]
  readonly intervalMs: number
  /** Whether this process is the one that ticks partitions with a number. Default: it is. */
  readonly owns?: (partition: number) => boolean
}

interface Place {
  readonly stream: string
  readonly partition: number
  /** Records before were looked at. */
  seen: number
  isLive: boolean
  /** When the last record that is no tick was seen. */
  activeAtMs: number
  tickAtMs: number
}

/** Records at the end of a partition that are looked at first; live ones before them do not count. */
const LOOK_BACK = 1_000
const IDLE_SHARE = 20

/** Starts to tick; returns how to stop. A tick that cannot be committed is left out: the next one says more. */
export function startTicker(options: TickerOptions): { stop(): Promise<void> } {
  const { log, clock, logger, intervalMs } = options
  const places = new Map<string, Place>()
  let isStopped = false
  let running: Promise<void> = Promise.resolve()
  let timer = clock.after(intervalMs, beat)
  function beat(): void {
    running = tickAll(options, places)
      .catch((error: unknown) => {
        if (isError(error, 'LOG_CLOSED')) isStopped = true
        else logger.warn('ticks could not be committed', { reason: errorText(error) })
      })
      .then(() => {
        if (!isStopped) timer = clock.after(intervalMs, beat)
      })
  }
  return {
    async stop() {
      isStopped = true
      timer.cancel()
      await running
    },
  }

  async function tickAll(
    { streams, owns }: TickerOptions,
    known: Map<string, Place>,
  ): Promise<void> {
    const nowMs = clock.nowMs()
    const events: NewEvent[] = []
    for (const { stream, partitions } of log.stats().streams) {
      if (!streams.includes(stream)) continue
      for (const [partition, { start, end }] of partitions.entries()) {
        const name = partitionName(stream, partition)
        let place = known.get(name)
        if (place === undefined) {
          const seen = Math.max(start, end - LOOK_BACK)
          place = { stream, partition, seen, isLive: false, activeAtMs: nowMs, tickAtMs: nowMs }
          known.set(name, place)
        }
        await look(log, place, end, nowMs)
        if (!isDue(place, nowMs, intervalMs) || owns?.(partition) === false) continue
        place.tickAtMs = nowMs
        events.push(tickOf(place, nowMs))
      }
    }
    if (events.length > 0 && !isStopped) await log.commit({ events })
  }
}

async function look(log: EventLog, place: Place, end: number, nowMs: number): Promise<void> {
  const { stream, partition } = place
  while (place.seen < end) {
    const records = await log.read({ stream, partition, from: place.seen })
    if (records.length === 0) return
    for (const record of records) {
      if (record.type === TICK_TYPE) {
        // Where ticks are, live records were, however long ago.
        place.isLive = true
        continue
      }
      place.activeAtMs = nowMs
      if (!record.isHistory) place.isLive = true
    }
    place.seen += records.length
  }
}

function isDue(place: Place, nowMs: number, intervalMs: number): boolean {
  if (!place.isLive) return false
  const idleMs = nowMs - place.activeAtMs
  return idleMs >= intervalMs && nowMs - place.tickAtMs >= Math.max(intervalMs, idleMs / IDLE_SHARE)
}

function tickOf({ stream, partition, seen }: Place, nowMs: number): NewEvent {
  return {
    tenant: DEFAULT_TENANT,
    stream,
    type: TICK_TYPE,
    key: TICK_TYPE,
    id: deriveId(nowMs, `tick\n${stream}/${partition}\n${seen}`),
    eventTimeMs: nowMs,
    data: null,
    partition,
    isUnique: true,
  }
}
