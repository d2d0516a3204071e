/** The records of a range as they count by all that is known: corrected, and without what was taken back. */
import type { EventLog, LogRecord } from '@millrace/log'
import { withData } from '../amendments.ts'
import { CorrectionBook } from '../corrections/book.ts'
import { OUTSIDE } from '../generations.ts'
import type { Canonical } from '../identity/contract.ts'
import type { KnownRange } from './order.ts'

const BATCH_RECORDS = 4_096

/** See the head of the file. */
export interface CountedRecords {
  /** Records from outside, in the order of the log. */
  readonly records: AsyncIterable<LogRecord>
  /** Who an id of a person is. */
  readonly canonical: Canonical
}

/** Opens a range of a stream that comes from outside. */
export async function openCounted(
  log: Pick<EventLog, 'read' | 'ends'>,
  range: KnownRange,
): Promise<CountedRecords> {
  const corrections = (await CorrectionBook.read(log)).head()
  const { stream, partition, end } = range
  async function* counted(): AsyncGenerator<LogRecord> {
    for (let from = 0; from < end;) {
      const recordsMax = Math.min(BATCH_RECORDS, end - from)
      const batch = await log.read({ stream, partition, from, recordsMax })
      for (const record of batch) {
        if (record.generation !== OUTSIDE) continue
        const correction = corrections.of(record)
        if (correction === undefined) yield record
        else if (correction.action === 'correct') yield withData(record, correction.data)
      }
      from += batch.length
    }
  }
  return { records: counted(), canonical: corrections.canonical ?? (id => id) }
}
