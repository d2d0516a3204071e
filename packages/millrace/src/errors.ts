import { defineErrors } from '@millrace/core'

/** What the server and the wiring refuse. */
export const serverErrors = defineErrors({
  ROUTE_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no {method} {path}.',
    remedy: 'Look the operation up in /openapi.json or read /docs.',
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
    remedy: 'Call Millrace from your own server, or from a page that it serves.',
  },
  LISTEN_REFUSED: {
    status: 500,
    retryable: false,
    message:
      'Listening on {host} is refused: Millrace has no keys yet, so it serves loopback only.',
    remedy:
      'Use 127.0.0.1, ::1 or localhost, and put your own server with authentication before it.',
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
  DATA_FORMAT_UNKNOWN: {
    status: 500,
    retryable: false,
    message: '{file} cannot be used: {reason}.',
    remedy: 'Start the version of Millrace that wrote it, or restore the file from a backup.',
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
