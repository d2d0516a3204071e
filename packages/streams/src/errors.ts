import { defineErrors } from '@millrace/core'

/** What the streams runtime refuses. */
export const streamsErrors = defineErrors({
  FOLD_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no fold {fold}.',
    remedy: 'Name a fold of the definition; the status lists them.',
  },
  FOLD_INVALID: {
    status: 500,
    retryable: false,
    message: 'The fold {fold} cannot run: {reason}.',
    remedy: 'Correct its definition; nothing was started.',
  },
  FOLD_FAILED: {
    status: 503,
    retryable: false,
    message: 'The fold {fold} stopped: {reason}.',
    remedy: 'Remove the cause, then restart; the fold goes on from its last step.',
  },
  KEY_NOT_PARKED: {
    status: 404,
    retryable: false,
    message: 'The key {key} does not wait in the fold {fold}.',
    remedy: 'List the dead letters again: it was released, or its name is another.',
  },
  AMENDMENT_INVALID: {
    status: 409,
    retryable: false,
    message: 'Nothing was decided on the key {key} of the fold {fold}: {reason}.',
    remedy: 'Show the records that wait for the key, and name one of them.',
  },
  EMISSION_INVALID: {
    status: 500,
    retryable: false,
    message: 'The fold {fold} cannot emit to {stream}: {reason}.',
    remedy: 'Correct the fold, then retry the key that it parked.',
  },
  POSITION_NOT_REACHED: {
    status: 504,
    retryable: true,
    message: 'The position was not reached within {timeoutMs} ms by {folds}.',
    remedy: 'Ask again, or allow more time.',
  },
  STREAMS_CLOSED: {
    status: 503,
    retryable: true,
    message: 'The streams runtime is closed.',
    remedy: 'Send again to a running process.',
  },
  TIMERS_ENDLESS: {
    status: 500,
    retryable: false,
    message: 'Timers fired too often at once.',
    remedy: 'Let `onTimer` set the next timer to a later time, then retry the key.',
  },
  SNAPSHOT_UNREADABLE: {
    status: 500,
    retryable: true,
    message: 'The snapshot of {fold} cannot be restored: {reason}.',
    remedy: 'Nothing needs to be done: the fold is built from the log.',
  },
  PARTITION_ELSEWHERE: {
    status: 409,
    retryable: true,
    message: 'The steps of {fold} on partition {partition} are committed by {where}.',
    remedy: 'Send the request there; `millrace doctor` says who owns which partitions.',
  },
  GENERATIONS_CONTENDED: {
    status: 503,
    retryable: true,
    message: 'Other processes took the next generation {turns} times in a row.',
    remedy: 'Start again when fewer processes start with changed folds at once.',
  },
})
