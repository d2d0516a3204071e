import { defineErrors } from '@millrace/core'

/** What the identity module refuses. */
export const identityErrors = defineErrors({
  MERGE_REFUSED: {
    status: 409,
    retryable: false,
    message: '{from} cannot be merged into {into}: {reason}.',
    remedy: '`millrace identity <id>` says who is who.',
  },
  NOT_MERGED: {
    status: 409,
    retryable: false,
    message: '{id} is merged into nobody.',
    remedy: '`millrace identity <id>` says who is who.',
  },
})
