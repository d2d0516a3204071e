import { defineErrors } from '@millrace/core'

/** What the server and the wiring refuse. */
export const serverErrors = defineErrors({
  ROUTE_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no {method} {path}.',
    remedy: 'Look the operation up in /openapi.json or read /docs.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    retryable: false,
    message: '{path} has no {method}.',
    remedy: 'Use {allowed}; /openapi.json and /docs say what each does.',
  },
  ENCODING_UNSUPPORTED: {
    status: 415,
    retryable: false,
    message: 'The content encoding {encoding} is not understood.',
    remedy: 'Send the body as it is, without content-encoding.',
  },
  BODY_INVALID: {
    status: 400,
    retryable: false,
    message: 'The body is not JSON: {reason}.',
    remedy: 'Send one JSON text in UTF-8.',
  },
  BODY_NOT_UTF8: {
    status: 400,
    retryable: false,
    message: 'The body is not UTF-8.',
    remedy: 'Encode the body in UTF-8 and send it again.',
  },
  BODY_MISSING: {
    status: 400,
    retryable: false,
    message: 'The request has no body.',
    remedy: 'Send the JSON that the operation describes in /openapi.json.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    message: 'The body has more than {limitBytes} bytes.',
    remedy: 'Split it into smaller requests.',
  },
  BODY_INCOMPLETE: {
    status: 400,
    retryable: true,
    message: 'The body ended early: {reason}.',
    remedy: 'Send the whole body again; events with ids are recognised.',
  },
  EVENTS_TOO_MANY: {
    status: 413,
    retryable: false,
    message: 'The request has more than {limit} events.',
    remedy: 'Split it into smaller requests.',
  },
  MEDIA_TYPE_UNSUPPORTED: {
    status: 415,
    retryable: false,
    message: 'The media type {type} is not understood here.',
    remedy: 'Send application/json; /v1/events also takes application/x-ndjson.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    retryable: false,
    message: 'The request line and headers have more than {limitBytes} bytes.',
    remedy: 'Send fewer or shorter headers.',
  },
  REQUEST_MALFORMED: {
    status: 400,
    retryable: false,
    message: 'The bytes received are not an HTTP request: {reason}.',
    remedy: 'Send HTTP/1.1.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    retryable: true,
    message: 'The request did not arrive within its time.',
    remedy: 'Send it again; events with ids are recognised.',
  },
  HOST_REFUSED: {
    status: 421,
    retryable: false,
    message: 'This server does not answer for the host {host}.',
    remedy: 'Use http://127.0.0.1 or http://localhost with the port of the server.',
  },
  ORIGIN_REFUSED: {
    status: 403,
    retryable: false,
    message: 'Requests from pages of {origin} are refused.',
    remedy:
      'Call Millrace from your own server, from a page that it serves, or with a public key that names the origin.',
  },
  KEY_MISSING: {
    status: 401,
    retryable: false,
    message: 'The request has no key.',
    remedy: 'Send `Authorization: Bearer <key>`; `millrace keys create` makes a key.',
  },
  KEY_INVALID: {
    status: 401,
    retryable: false,
    message: 'The key of the request is not valid: {reason}.',
    remedy: 'Send a key that `millrace keys list` shows as valid, or make one.',
  },
  KEY_SCOPE_TOO_SMALL: {
    status: 403,
    retryable: false,
    message: 'The key has the scope {scope}; this needs {needed}.',
    remedy: 'Use a key with the scope {needed}.',
  },
  CORRECTION_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'Nothing was ever corrected of the event {event}.',
    remedy: '`millrace corrections list` shows what was corrected.',
  },
  KEY_ID_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no key {id}.',
    remedy: '`millrace keys list` shows the ids of all keys.',
  },
  KEY_REVOKED: {
    status: 409,
    retryable: false,
    message: 'The key {id} was revoked.',
    remedy: 'Make another one: millrace keys create.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    message: 'The key {key} may ask {requestsPerSecond} times a second.',
    remedy: 'Send again after {retryAfterMs} ms, and put more events into one request.',
  },
  LISTEN_REFUSED: {
    status: 500,
    retryable: false,
    message: 'Listening on {host} is refused: there are no keys yet, so loopback alone is served.',
    remedy: 'Make a key first: millrace keys create admin; or use 127.0.0.1, ::1 or localhost.',
  },
  PORT_IN_USE: {
    status: 500,
    retryable: false,
    message: 'Port {port} of {host} is taken by another process.',
    remedy: 'Stop that process, or choose another port with --port or PORT.',
  },
  SERVER_CLOSING: {
    status: 503,
    retryable: true,
    message: 'The server is shutting down.',
    remedy: 'Send again after {retryAfterMs} ms to the process that follows.',
  },
  SERVER_BUSY: {
    status: 503,
    retryable: true,
    message: 'Request bodies of {bytes} bytes are being received, the limit is {limitBytes}.',
    remedy: 'Send again after {retryAfterMs} ms.',
  },
  SUBSCRIPTIONS_TOO_MANY: {
    status: 503,
    retryable: true,
    message: 'There are {limit} live subscriptions already.',
    remedy: 'Close some, or read the view from time to time.',
  },
  EVENT_TYPE_UNKNOWN: {
    status: 400,
    retryable: false,
    message: 'The event is refused at {path}: {reason}.',
    remedy: 'Declare the event type in the app definition, or correct the name.',
  },
  EVENT_INVALID: {
    status: 400,
    retryable: false,
    message: 'The event is refused at {path}: {reason}.',
    remedy: 'Correct the event at {path} and send it again.',
  },
  EVENT_TOO_LARGE: {
    status: 413,
    retryable: false,
    message: 'The event has more than {limitBytes} bytes.',
    remedy: 'Keep large content elsewhere and refer to it by id.',
  },
  VIEW_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no view {view}.',
    remedy: 'GET /v1/views lists the declared views, as millrace view does.',
  },
  MODULE_INVALID: {
    status: 500,
    retryable: false,
    message: 'Module {module} cannot be used: {reason}.',
    remedy: 'Correct the module; nothing was started.',
  },
  MODULE_UNKNOWN: {
    status: 500,
    retryable: false,
    message: 'There is no module {module}.',
    remedy: 'Name a built-in module or one of `modules` in the app definition.',
  },
  DATA_OF_OTHER_APP: {
    status: 409,
    retryable: false,
    message: 'The data directory {directory} belongs to the app {existing}, not {wanted}.',
    remedy: 'Choose another data directory, or start {existing}.',
  },
  DATA_PARTITIONS_FIXED: {
    status: 409,
    retryable: false,
    message: 'The data directory {directory} has {existing} partitions, the definition {wanted}.',
    remedy: 'Set `partitions: {existing}` in the definition, or start with a new data directory.',
  },
  DATA_MOVED: {
    status: 409,
    retryable: false,
    message: 'The data of {place} was moved to {other}; what is here is the copy of that moment.',
    remedy:
      'Start the server with the data at its new home. To come back with all that happened since, run millrace move the other way.',
  },
  MOVE_UNFINISHED: {
    status: 409,
    retryable: false,
    message: 'The data of {place} is being moved, and the other end is {other}.',
    remedy:
      'Run the same millrace move again: it goes on where it stood. Until it is done no server may open either.',
  },
  MOVE_TARGET_TAKEN: {
    status: 409,
    retryable: false,
    message: '{place} holds data already.',
    remedy: 'Move into an empty directory or database. Nothing was changed.',
  },
  MOVE_SOURCE_EMPTY: {
    status: 404,
    retryable: false,
    message: 'There is no product at {place}.',
    remedy: 'Name its data directory with --data, or its database with --database.',
  },
  DATABASE_DRIVER_MISSING: {
    status: 500,
    retryable: false,
    message: 'DATABASE_URL names a PostgreSQL, and its driver is not installed.',
    remedy: 'Install it with `npm install pg`, or unset DATABASE_URL to use a data directory.',
  },
  DATABASE_IN_USE: {
    status: 409,
    retryable: true,
    message: 'The database is in use by {processes} processes.',
    remedy: 'Stop all of them, wait ten seconds after one that was killed, and run it again.',
  },
  DATABASE_UNREACHABLE: {
    status: 503,
    retryable: true,
    message: 'The database of DATABASE_URL cannot be used: {reason}.',
    remedy: 'Check the address and the rights of its user; it makes the schema `millrace`.',
  },
  DATA_FORMAT_UNKNOWN: {
    status: 500,
    retryable: false,
    message: '{file} cannot be used: {reason}.',
    remedy: 'Start the version of Millrace that wrote it, or restore the file from a backup.',
  },
  REBUILD_THREAD_FAILED: {
    status: 500,
    retryable: true,
    message: 'The thread that builds {fold} ended: {reason} ({code}).',
    remedy:
      'Remove the cause and start it again: millrace rebuild <view> goes on with what was kept.',
  },
  REBUILD_DEFINITION_CHANGED: {
    status: 409,
    retryable: false,
    message: 'The file of the definition no longer has version {version} of {fold}.',
    remedy: 'Restart the server, which runs an earlier state of the file.',
  },
  RESTORE_UNFINISHED: {
    status: 409,
    retryable: false,
    message:
      'The data directory {directory} is not whole: a restore was not finished, or it is a standby.',
    remedy:
      'Run the restore again, or make the standby a primary with: millrace standby promote --data {directory}.',
  },
  BACKUP_UNSUPPORTED: {
    status: 409,
    retryable: false,
    message: 'This log is not in a data directory, so `millrace backup` cannot copy it.',
    remedy:
      'A log in PostgreSQL is backed up with the database (pg_basebackup and archived WAL, or what your provider offers); `millrace export` writes its records in open formats.',
  },
  BACKUPS_TOO_MANY: {
    status: 429,
    retryable: true,
    message: 'There are {limit} backups under way or about to begin.',
    remedy: 'Send again after {retryAfterMs} ms, or let one end.',
  },
  BACKUP_HOLD_UNKNOWN: {
    status: 409,
    retryable: false,
    message: 'No files are held under {id}.',
    remedy: 'Ask for them again with POST /v1/backups and connect within 30 seconds.',
  },
  BACKUP_HOLD_LOST: {
    status: 503,
    retryable: true,
    message: 'The server let the files go: it stopped, or the connection broke.',
    remedy: 'Run the backup again; what is stored already is not sent again.',
  },
  BACKUP_NOT_LOCAL: {
    status: 409,
    retryable: false,
    message: 'The server keeps its data in {directory}, which cannot be read here: {reason}.',
    remedy: 'Run the backup on the machine of the server, as the owner of the data directory.',
  },
  OBJECT_STORE_INVALID: {
    status: 400,
    retryable: false,
    message: '{place} cannot be used to keep backups: {reason}.',
    remedy:
      'Name a folder, or s3://bucket/folder with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, unless it is AWS, AWS_ENDPOINT_URL in the environment.',
  },
  OBJECT_STORE_DRIVER_MISSING: {
    status: 500,
    retryable: false,
    message: 'Backups to S3 need the package aws4fetch, which is not installed.',
    remedy: 'Install it with `npm install aws4fetch`.',
  },
  CONFIG_INVALID: {
    status: 500,
    retryable: false,
    message: '{name} cannot be used: {reason}.',
    remedy: 'Correct {name} and start again.',
  },
  MILLRACE_CLOSED: {
    status: 503,
    retryable: true,
    message: 'This Millrace is closed.',
    remedy: 'Open it again.',
  },
  INTERNAL: {
    status: 500,
    retryable: false,
    message: 'The request failed for a reason that is the fault of the server.',
    remedy: 'Look into the log of the server for the request id {requestId}, and report it.',
  },
})
