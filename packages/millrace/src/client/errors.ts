import { MillraceError, defineErrors } from '@millrace/core'

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

/** The error that a server threw, from what it said about it. */
export function serverError(told: {
  readonly code: string
  readonly status: number
  readonly retryable: boolean
  readonly detail: string
  readonly remedy: string
  readonly details: Readonly<Record<string, unknown>>
}): MillraceError {
  const { code, status, retryable, detail, remedy, details } = told
  // The sentences are filled in already: braces in them are no placeholders.
  const spec = { status, retryable, message: '{sentence}', remedy: '{advice}' }
  return new MillraceError(code, spec, { ...details, sentence: detail, advice: remedy })
}
