import { defineErrors } from '@millrace/core'

/** What changesets refuse. */
export const changesetErrors = defineErrors({
  CHANGESET_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no changeset {id}.',
    remedy: 'Take an id that `millrace changeset list` shows.',
  },
  CHANGE_KIND_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no kind of change {kind}.',
    remedy: 'Name one of: {known}.',
  },
  CHANGESET_INVALID: {
    status: 400,
    retryable: false,
    message: 'The changeset cannot be planned: {reason}.',
    remedy: 'Correct the request and plan again. Nothing was changed.',
  },
  CHANGESET_TAKEN: {
    status: 409,
    retryable: false,
    message: 'There is a changeset {id}, and it is {state}.',
    remedy:
      'Plan under another id; or undo or cancel this one first, or look at it with: millrace changeset show {id}',
  },
  CHANGESET_STATE: {
    status: 409,
    retryable: false,
    message: 'The changeset {id} is {state}: it cannot be {verb}.',
    remedy: 'Look at it with: millrace changeset show {id}',
  },
  CHANGESET_HASH: {
    status: 409,
    retryable: false,
    message: 'The plan of {id} is not the one that is meant: its hash is {hash}.',
    remedy: 'Look at it again with: millrace changeset dry-run {id}',
  },
  CHANGESET_UNAPPROVED: {
    status: 409,
    retryable: false,
    message: 'The changeset {id} has {effects} effects and {given} of {needed} approvals.',
    remedy:
      'Let somebody else approve this plan, with an admin key of their own: millrace changeset approve {id} {hash}',
  },
  APPROVAL_REFUSED: {
    status: 403,
    retryable: false,
    message: '{actor} cannot approve {id}: {reason}.',
    remedy:
      'A second person approves, with an admin key of their own: millrace keys create admin --name <who>, then MILLRACE_KEY=<key> millrace changeset approve {id} {hash}',
  },
  CHANGESET_STALE: {
    status: 409,
    retryable: false,
    message: '{moved} of the values that {id} is about were changed by others since: {names}.',
    remedy:
      'Plan again on what is there now, or leave these out with onMoved skip (--moved skip). Nothing was changed.',
  },
  CHANGESET_OVERLAPS: {
    status: 409,
    retryable: true,
    message: '{other} is {state} and changes {names} too.',
    remedy: 'Wait until {other} has ended, or cancel it; then try again. Nothing was changed.',
  },
  CHANGESET_CONTENDED: {
    status: 409,
    retryable: true,
    message: 'Others decide on changesets at the same time.',
    remedy: 'Try again.',
  },
})
