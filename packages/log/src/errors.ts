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
  MOVE_DIFFERS: {
    status: 409,
    retryable: false,
    message: 'The two logs differ: {place} is not the same in both.',
    remedy:
      'Move into an empty place. The log that is moved is untouched; if it is damaged, millrace doctor --deep says where.',
  },
  MOVE_HISTORY_GONE: {
    status: 409,
    retryable: false,
    message:
      'The transient stream {stream} cannot be moved: its records before offset {start} were removed.',
    remedy:
      'Restore a backup from before they were removed, or begin the stream anew under another name.',
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
  DATABASE_AWAY: {
    status: 503,
    retryable: true,
    message: 'The database did not answer for {seconds} s.',
    remedy: 'Try again when it is back; nothing was changed.',
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
  BACKUP_NONE: {
    status: 404,
    retryable: false,
    message: '{place} holds no backup.',
    remedy: 'Check the place; take one with: millrace backup --to <place>.',
  },
  BACKUP_UNKNOWN: {
    status: 404,
    retryable: false,
    message: '{place} holds no backup {id}.',
    remedy: 'List them with: millrace backup list --from <place>.',
  },
  BACKUP_DAMAGED: {
    status: 500,
    retryable: false,
    message: 'The backup object {object} is damaged: {reason}.',
    remedy:
      'See what is affected with `millrace backup verify`; restore another backup with --backup, and take a new one into a new place.',
  },
  BACKUP_OF_OTHER: {
    status: 409,
    retryable: false,
    message: '{place} holds backups of another data directory (app {app}, newest {taken}).',
    remedy: 'Give each data directory a place of its own.',
  },
  BACKUP_FENCED: {
    status: 409,
    retryable: false,
    message:
      'A standby of this data directory was promoted: {place} takes term {least} and later, this is term {term}.',
    remedy:
      'Stop this server: another one took over. To start over from it, restore its backup into an empty directory.',
  },
  BACKUP_STORE_BUSY: {
    status: 409,
    retryable: true,
    message: 'A {kind} works on {place} (since {since}).',
    remedy:
      'Wait until it is done. If its process died, its mark counts for 15 minutes; remove {mark} to go on at once.',
  },
  BACKUP_SOURCE_CHANGED: {
    status: 409,
    retryable: true,
    message: 'The file {file} changed while it was backed up.',
    remedy: 'Run the backup again; what is stored already is not sent again.',
  },
  BACKUP_KEEP_INVALID: {
    status: 400,
    retryable: false,
    message: 'It is not possible to keep {keep} backups.',
    remedy: 'Keep one or more.',
  },
  RESTORE_NOT_EMPTY: {
    status: 409,
    retryable: false,
    message: 'The directory is not empty: it has {found}.',
    remedy: 'Name a directory that is empty or does not exist; nothing was changed.',
  },
  RESTORE_POINT_GONE: {
    status: 404,
    retryable: false,
    message: 'The backup cannot tell how the log was at {point}; it goes back to {earliest}.',
    remedy:
      'Choose a later point. The units of a log are kept since format 2 of the data directory.',
  },
  RESTORE_POINT_AHEAD: {
    status: 404,
    retryable: false,
    message: 'No backup reaches {point}; the newest goes to {newest}.',
    remedy: 'Choose an earlier point, or leave --at out for the newest.',
  },
  STANDBY_EMPTY: {
    status: 409,
    retryable: false,
    message: 'The directory holds no standby that could be promoted.',
    remedy: 'Follow backups first: millrace standby --from <place> --data <folder>.',
  },
  OBJECT_NAME_INVALID: {
    status: 400,
    retryable: false,
    message: '"{name}" cannot be the name of an object.',
    remedy: 'Use small letters, digits, dots, hyphens and underscores, and / between folders.',
  },
  OBJECTS_UNAVAILABLE: {
    status: 503,
    retryable: true,
    message: 'The object store {place} did not do {operation}: {reason}.',
    remedy: 'Try again when it answers; what is stored already is not sent again.',
  },
  OBJECTS_REFUSED: {
    status: 502,
    retryable: false,
    message: 'The object store {place} refused {operation}: {reason}.',
    remedy: 'Check that the place exists, and the rights of the account or of the keys.',
  },
  DIRECTORY_LOCKED: {
    status: 409,
    retryable: true,
    message: 'The data directory {directory} belongs to process {pid}, {command}; {where}.',
    remedy: 'Send requests to that process, or stop it first: kill {pid}.',
  },
  PERSON_ERASED: {
    status: 410,
    retryable: false,
    message: 'The event {id} names a person who was erased.',
    remedy: 'Leave it out. Who comes back is a new person, with another id.',
  },
  KEYS_DAMAGED: {
    status: 500,
    retryable: false,
    message: 'The keys in {file} are damaged at byte {at}: {reason}.',
    remedy:
      'Restore the directory from a backup: without its keys what was sealed cannot be read. Nothing was changed.',
  },
  KEYS_HELD: {
    status: 503,
    retryable: true,
    message:
      'Keys are not destroyed yet: the session {pid} of the database has had a transaction open since {since}, for which their rows are kept.',
    remedy:
      'End that transaction (SELECT pg_terminate_backend({pid})); the erasure goes on when it is asked for again.',
  },
  SEAL_KEY_MISSING: {
    status: 500,
    retryable: false,
    message: '{subject} is sealed with a key that is not there.',
    remedy: 'Put the folder `keys` of this data directory back; it belongs to its log.',
  },
  SEAL_BROKEN: {
    status: 500,
    retryable: false,
    message: 'A sealed part of {place} cannot be opened with its key.',
    remedy: 'Restore the log and its keys from one backup.',
  },
  ...diskErrors.specs,
})
