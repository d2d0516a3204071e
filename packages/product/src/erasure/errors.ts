import { defineErrors } from '@millrace/core'

/** What erasures refuse. */
export const erasureErrors = defineErrors({
  ERASURE_NOBODY: {
    status: 404,
    retryable: false,
    message: 'The log knows nobody under the id that is number {number} of the request.',
    remedy: 'Check the id. Nothing was erased.',
  },
  ERASURE_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no erasure {erasure}.',
    remedy: 'Take an id that `millrace erase --list` shows.',
  },
})
