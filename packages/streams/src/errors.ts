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
  SWEEP_IMPOSSIBLE: {
    status: 409,
    retryable: false,
    message: 'The past of the fold {fold} cannot be folded again: {reason}.',
    remedy:
      'Name a later moment, or a definition that has the fold as it was; surfaces may differ, signals may not.',
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
  CORRECTION_INVALID: {
    status: 400,
    retryable: false,
    message: 'Nothing was corrected: {reason}.',
    remedy: 'Say which events, what is to become of each, why, and who says so.',
  },
  EMISSION_INVALID: {
    status: 500,
    retryable: false,
    message: 'The fold {fold} cannot emit to {stream}: {reason}.',
    remedy: 'Correct the fold, then retry the key that it parked.',
  },
  STATE_INVALID: {
    status: 500,
    retryable: false,
    message: 'The state of the view {view} would be another one after a restart: it has {found}.',
    remedy:
      'Let the fold keep finite numbers, texts, booleans, null, lists and plain objects; then retry the key that it parked.',
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
  REBUILD_UNSUPPORTED: {
    status: 409,
    retryable: false,
    message: 'The fold {fold} cannot be rebuilt beside the live one: {reason}.',
    remedy: 'Rebuild declared views; modules build their state at the start.',
  },
  REBUILD_RUNNING: {
    status: 409,
    retryable: true,
    message: 'A rebuild of {fold} is under way.',
    remedy: 'Wait for it, or end it: millrace rebuild drop.',
  },
  REBUILD_NOT_READY: {
    status: 409,
    retryable: false,
    message: 'There is no compared build of {fold} to switch to.',
    remedy: 'Start it, or go on with it: millrace rebuild <view>.',
  },
  REBUILD_REFUSED: {
    status: 409,
    retryable: false,
    message: '{fold} was not switched: {different} rows differ, {allowed} may.',
    remedy:
      'Look at the differences; then switch with a number that allows them, or drop the build.',
  },
  REBUILD_LIMIT_MISSING: {
    status: 400,
    retryable: false,
    message: 'The version of {fold} changes from {from} to {to}, so that rows will differ.',
    remedy: 'Say how many may (maxDifferences), or compare first with a dry run.',
  },
  REBUILD_NOTHING: {
    status: 409,
    retryable: false,
    message: 'There is no build of {fold} for that: {reason}.',
    remedy: 'See what there is: millrace rebuild status.',
  },
  REBUILD_SHARED: {
    status: 409,
    retryable: true,
    message:
      '{fold} was not switched: the process at {where} did not load the build within {seconds} s.',
    remedy:
      'Start all processes with the same definition, then switch: millrace rebuild <view> goes on with the build.',
  },
  REBUILD_ELSEWHERE: {
    status: 409,
    retryable: false,
    message: 'The rebuild of {fold} is with another process: {where}.',
    remedy: 'Ask there. Once that process has ended, any other goes on with the build.',
  },
  REBUILD_OUTDATED: {
    status: 409,
    retryable: true,
    message:
      'The build of {fold} no longer fits: something was decided on its dead letters, or its cut is gone.',
    remedy: 'Start it again: millrace rebuild <view>.',
  },
  REBUILD_DROPPED: {
    status: 409,
    retryable: true,
    message: 'The rebuild of {fold} was ended before it was done.',
    remedy: 'Start it again: it goes on with what was kept.',
  },
  REPLAY_INVALID: {
    status: 409,
    retryable: false,
    message: 'The range cannot be folded by {fold}: {reason}.',
    remedy: 'Name a range that begins before it ends.',
  },
  MOMENT_AHEAD: {
    status: 409,
    retryable: false,
    message: 'The log has not come to {moment}.',
    remedy: 'Name a moment that has been; without one the answer is as of now.',
  },
  MOMENT_EMPTY: {
    status: 404,
    retryable: false,
    message: 'Nothing had arrived on {stream} then, from which {fold} is made.',
    remedy: 'Name a later moment: the time of arrival counts, not that of the event.',
  },
  MOMENT_GONE: {
    status: 410,
    retryable: false,
    message: 'The past cannot be read: {stream} keeps its records from offset {start} on.',
    remedy: 'Read it as of now, or keep the stream: a transient one loses its history.',
  },
  MOMENT_UNSUPPORTED: {
    status: 501,
    retryable: false,
    message:
      '{fold} cannot be read as of a moment: {stream} does not tell what caused its records.',
    remedy: 'Read it as of now.',
  },
  PAST_BUSY: {
    status: 503,
    retryable: true,
    message: '{waiting} reads of the past wait already.',
    remedy: 'Try again in a moment, and ask for fewer at a time.',
  },
  CAUSES_TOO_LARGE: {
    status: 422,
    retryable: false,
    message:
      'What changed in all of {fold} would read {records} records; the limit is {recordsMax}.',
    remedy: 'Ask for one key, or raise the limit.',
  },
  BRANCH_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no branch {branch}.',
    remedy: 'Open one anew: it was thrown away, or nobody asked it anything for too long.',
  },
  BRANCH_INVALID: {
    status: 409,
    retryable: false,
    message: 'The branch cannot be: {reason}.',
    remedy: 'Change what is to be otherwise in it.',
  },
  BRANCH_TOO_LARGE: {
    status: 422,
    retryable: false,
    message: 'The branch is too large: {cost}; the limit is {limit}.',
    remedy: 'Change less in it, ask for less of it, or raise its limits.',
  },
  BRANCH_STALE: {
    status: 409,
    retryable: false,
    message: 'What branch {branch} changes was changed since it was opened: {names}.',
    remedy: 'Open another branch, and look again at what it changes.',
  },
  BRANCHES_FULL: {
    status: 429,
    retryable: true,
    message: '{branches} branches are open already.',
    remedy: 'Close one that nobody needs, or try again when one has expired.',
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
