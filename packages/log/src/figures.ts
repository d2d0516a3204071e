/**
 * What the figures of `LogStats` mean, by name: the texts of `/metrics`. Implementations share the
 * names; one that has no such thing leaves it out.
 */
export const LOG_FIGURES: Readonly<Record<string, string>> = {
  // Counters.
  units: 'Commit units put into the journal.',
  syncs: 'Times that the journal was synced to disk.',
  writtenBytes: 'Bytes written to the journal.',
  segments: 'Segments of the journal that were begun.',
  appended: 'Records appended, emitted ones included.',
  duplicates: 'Events that were there before.',
  conflicts: 'Events refused, because their id or the version of their key was taken.',
  steps: 'Steps of folds committed.',
  suspended: 'Commits that waited until files had been read.',
  splitSegments: 'Segments of the journal split into their streams.',
  splitFiles: 'Files of streams written by splitting.',
  mergedFiles: 'Small files of streams merged into larger ones.',
  removedFiles: 'Files of streams removed by merging or retention.',
  slowLookups: 'Event ids judged by reading files.',
  commitRetries: 'Calls of the database made again: it was away, or another process was faster.',
  refreshes: 'Times that the ends were read from the database.',
  notices: 'Notifications of other processes that were heard.',
  leasesTaken: 'Leases of partitions that this process took.',
  leasesGiven: 'Leases of partitions that this process gave up to others.',
  leasesLost: 'Leases of partitions that went to others because this process was silent.',
  // Gauges.
  isNotified:
    '1 while notifications of the database are heard; 0: appends of other processes are polled for.',
  leases: 'Leases of partitions that this process holds: it commits their steps.',
  journalSegments: 'Segments of the journal on disk.',
  tailBytes: 'Newest records kept in memory for readers.',
  ids: 'Event ids in the duplicate index.',
  idMemoryBytes: 'Memory of the duplicate index.',
  idRuns: 'Files of the duplicate index.',
}
