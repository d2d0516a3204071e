import { defineErrors, diskErrors } from '@millrace/core'

/** What the log refuses. */
export const logErrors = defineErrors({
  LOG_OVERLOADED: {
    status: 503,
    retryable: true,
    message:
      'The log has {queuedBytes} bytes waiting to become durable, its limit is {limitBytes}.',
    remedy: 'Send again after {retryAfterMs} ms.',
  },
  LOG_READ_ONLY: {
    status: 503,
    retryable: false,
    message: 'The log takes no more events: {reason}. What was acknowledged stays readable.',
    remedy: 'Free disk space or repair the volume, then restart on the same data directory.',
  },
  LOG_CLOSED: {
    status: 503,
    retryable: true,
    message: 'The log is closed.',
    remedy: 'Send again to a running process.',
  },
  LOG_STREAM_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no stream {stream}.',
    remedy: 'Name a declared stream; `millrace log stats` lists them.',
  },
  LOG_STREAM_CONFLICT: {
    status: 409,
    retryable: false,
    message: 'Stream {stream} exists with {existing} partitions, not {wanted}.',
    remedy: 'Keep the number of partitions; a stream with another number needs another name.',
  },
  LOG_STREAM_INVALID: {
    status: 400,
    retryable: false,
    message: 'Stream {stream} cannot be declared: {reason}.',
    remedy: 'Correct the declaration.',
  },
  LOG_PARTITION_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'Stream {stream} has no partition {partition}.',
    remedy: 'Partitions count from 0 to {last}.',
  },
  LOG_EVENT_INVALID: {
    status: 400,
    retryable: false,
    message: 'Event {index} cannot be appended: {reason}.',
    remedy: 'Correct the event and send it again.',
  },
  LOG_OFFSET_GONE: {
    status: 410,
    retryable: false,
    message: '{stream}/{partition} starts at offset {start}; {from} was removed by its retention.',
    remedy: 'Read from offset {start}, or from a base snapshot.',
  },
  EVENT_CONFLICT: {
    status: 409,
    retryable: false,
    message: 'Another event with id {id} was appended before: {reason}.',
    remedy: 'Give a new event a new id; to change an old one, send a correction.',
  },
  VERSION_CONFLICT: {
    status: 409,
    retryable: true,
    message: 'Key {key} of {stream} is at version {actual}, not {expected}.',
    remedy: 'Read the key again, decide again, append with the new version.',
  },
  STEP_STALE: {
    status: 409,
    retryable: false,
    message: 'A step of {processor} on {source} does not follow its last one: {reason}.',
    remedy: 'Stop this instance of the processor; another one has committed since.',
  },
  UNSUPPORTED: {
    status: 501,
    retryable: false,
    message: 'This log cannot do {capability}.',
    remedy: 'Check `capabilities`, or configure a log that has it.',
  },
  LOG_DAMAGED: {
    status: 500,
    retryable: false,
    message: '{file} is damaged at byte {at}: {reason}. Affected: {affected}.',
    remedy: 'Restore the file from a backup. To go on without the damaged part: {goOn}.',
  },
  LOG_SPLIT_FAILED: {
    status: 500,
    retryable: true,
    message: 'A segment of the journal could not be split: {reason}.',
    remedy:
      'Nothing is lost and it is tried again; when it goes on, look at the disk and at the memory of the machine.',
  },
  LOG_FORMAT_UNKNOWN: {
    status: 500,
    retryable: false,
    message: '{file} has format version {found}; this build reads up to {known}.',
    remedy: 'Start the version of Millrace that wrote the data directory, or a newer one.',
  },
  SCHEMA_INVALID: {
    status: 400,
    retryable: false,
    message: 'The schema cannot be read at {at}: {reason}.',
    remedy: 'Correct the schema; JSON Schema draft-07 and 2020-12 and Avro are understood.',
  },
  DATABASE_INVALID: {
    status: 500,
    retryable: false,
    message: 'The database cannot be used: {reason}.',
    remedy: 'Correct the address of the database or its schema.',
  },
  LEASE_LOST: {
    status: 503,
    retryable: true,
    message: 'Partition {partition} is processed by another process now.',
    remedy: 'Nothing was committed; the process that holds the lease goes on from there.',
  },
  COMMIT_UNKNOWN: {
    status: 503,
    retryable: true,
    message:
      'This process was cut off from the database for so long that the others took it for dead; whether the last events were committed is not known.',
    remedy: 'Send them again with the same ids: what was committed is recognised.',
  },
  SCHEMA_INCOMPATIBLE: {
    status: 409,
    retryable: false,
    message:
      'The definition of {type} does not keep {level} with version {version}, of which the log holds events (such as {event}): {reasons}.',
    remedy:
      "Keep old events readable: make an added field optional, or read them by upcastFrom in the event’s options; `millrace schemas check` shows every fault. To give the promise up for this event, declare `compatibility: 'NONE'`.",
  },
  UPCAST_FAILED: {
    status: 500,
    retryable: false,
    message:
      'The {type} event {id}, written under definition {definition}, cannot be read as of today: {reason}.',
    remedy: 'Correct the upcaster of the event; the event itself is kept as it was written.',
  },
  DIRECTORY_LOCKED: {
    status: 409,
    retryable: true,
    message: 'The data directory {directory} belongs to process {pid}, {command}; {where}.',
    remedy: 'Send requests to that process, or stop it first: kill {pid}.',
  },
  ...diskErrors.specs,
})
