import { defineErrors } from '@millrace/core'

/** Codes that the client makes itself, when no answer of a server tells more. */
export const clientErrors = defineErrors({
  CONNECTION_FAILED: {
    status: 503,
    retryable: true,
    message: 'The server at {url} did not answer: {reason}.',
    remedy: 'Check that the server runs and the address is right; events stay queued.',
  },
  ANSWER_INVALID: {
    status: 502,
    retryable: false,
    message: 'The server at {url} gave an answer that cannot be read: {reason}.',
    remedy: 'Check that the address is that of a Millrace server.',
  },
  QUEUE_FULL: {
    status: 503,
    retryable: true,
    message: 'There are {limit} events waiting to be sent.',
    remedy: 'Wait for flush(), or raise `queueMax`.',
  },
  CLIENT_CLOSED: {
    status: 500,
    retryable: false,
    message: 'The client is closed.',
    remedy: 'Create another client.',
  },
})
