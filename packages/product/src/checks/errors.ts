import { defineErrors } from '@millrace/core'

/** What the checks module refuses. */
export const checkErrors = defineErrors({
  CHECK_FAILED: {
    status: 400,
    retryable: false,
    message: 'The event is refused at {path}: {reason}.',
    remedy: 'Correct the event and send it again; `millrace checks list` shows what is expected.',
  },
  CHECK_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no check {check}.',
    remedy: 'Name one of the declared checks: {known}.',
  },
})
