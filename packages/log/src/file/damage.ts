import { logErrors } from '../errors.ts'
import type { Partition } from './partition.ts'

/** The refusal for what has the right checksum and cannot have been written. */
export function damagedFrame(file: string, at: number, reason: string): Error {
  return logErrors.create('LOG_DAMAGED', {
    file,
    at,
    reason,
    affected: 'the records of this unit and of those behind it',
    goOn: `cut ${file} at byte ${at} (truncate -s ${at}) with the directory ids removed, which is built again; what came later is lost`,
  })
}

/** The refusal for a record that is not where it was written. */
export function damagedRecord(
  file: string,
  at: number,
  partition: Partition,
  offset: number,
): Error {
  return logErrors.create('LOG_DAMAGED', {
    file,
    at,
    reason: 'it does not hold the record that was written there',
    affected: `${partition.name} at offset ${offset}`,
    goOn: 'read from a later offset',
  })
}
