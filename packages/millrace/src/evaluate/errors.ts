import { defineErrors } from '@millrace/core'

/** What an evaluation refuses. */
export const evaluateErrors = defineErrors({
  EVALUATE_FILE_UNREADABLE: {
    status: 404,
    retryable: false,
    message: '{file} cannot be read: {reason}.',
    remedy: 'Name a file that exists and can be read, plain or gzip.',
  },
  EVALUATE_ROW_INVALID: {
    status: 400,
    retryable: false,
    message: '{file}, line {line}: {reason}.',
    remedy:
      'Correct the row. lightgcn: a person and the items, separated by blanks; csv: a header with person and item, and at or weight if there are.',
  },
  EVALUATE_FILE_EMPTY: {
    status: 400,
    retryable: false,
    message: '{file} holds no event.',
    remedy: 'Check the file and --format: an evaluation needs events to learn from and to predict.',
  },
})
