import type { LogRecord } from '@millrace/log'
import type { Lane } from './lane.ts'
import { restoreFailed, type RefoldPorts } from './refold.ts'
import { Slices } from './slices.ts'

const CHUNK_RECORDS = 64

/** Folds a lane that nobody else folds up to offset `end`, or to the end of what can be read. */
export async function foldLane(
  ports: RefoldPorts,
  lane: Lane,
  end: number,
  options: {
    readonly batchRecords?: number
    /** Called after each batch, with the records of it that were folded. */
    readonly onBatch?: (batch: readonly LogRecord[]) => void | Promise<void>
  } = {},
): Promise<void> {
  const { batchRecords = 1_000, onBatch } = options
  const slices = new Slices(ports.clock, ports.sliceMs)
  const { definition, partition } = lane
  while (lane.consumed < end) {
    const from = lane.consumed
    const recordsMax = Math.min(batchRecords, end - from)
    const stream = definition.source
    const batch = await ports.log.read({ stream, partition, from, recordsMax })
    if (batch.length === 0) return
    for (let at = 0; at < batch.length;) {
      lane.run(batch, at, Math.min(at + CHUNK_RECORDS, batch.length))
      await restoreFailed(ports, lane)
      at = lane.consumed - from
      await slices.pause()
    }
    await onBatch?.(batch)
  }
}
