import { defineErrors } from '@millrace/core'

/** What the store refuses. */
export const storeErrors = defineErrors({
  SNAPSHOT_NAME_INVALID: {
    status: 500,
    retryable: false,
    message: 'The snapshot name {name} cannot be used: {reason}.',
    remedy: 'Use a short name of letters, digits, hyphens and underscores.',
  },
  SNAPSHOT_INVALID: {
    status: 500,
    retryable: false,
    message: 'The snapshot {name} cannot be saved: {reason}.',
    remedy: 'Save smaller chunks and facts that JSON can carry; the earlier snapshot is untouched.',
  },
  SNAPSHOT_DAMAGED: {
    status: 500,
    retryable: true,
    message: '{file} is damaged at byte {at}: {reason}.',
    remedy: 'Load again: an earlier snapshot is used, or the view is folded from the log.',
  },
  SNAPSHOT_STORE_CLOSED: {
    status: 503,
    retryable: true,
    message: 'The snapshot store is closed.',
    remedy: 'Send again to a running process.',
  },
})
