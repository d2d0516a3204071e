import { logErrors } from '../errors.ts'
import type { Partition } from './partition.ts'

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
