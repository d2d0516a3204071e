import { defineErrors } from '@millrace/core'

/** What the modules of the product refuse. */
export const productErrors = defineErrors({
  KIND_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no item kind {kind}.',
    remedy: 'Name one of the declared kinds: {known}.',
  },
  ITEM_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no {kind} with the id {id}.',
    remedy: 'Check the id, or put the item first.',
  },
  PERSON_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'Nothing is known about this person.',
    remedy: 'Check the id; a person is known after an event or after its attributes were put.',
  },
  PEOPLE_UNDECLARED: {
    status: 400,
    retryable: false,
    message: 'The app declares no attributes of people.',
    remedy: 'Declare `people: person({...})` in the app definition.',
  },
  SURFACE_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no surface {surface}.',
    remedy: 'Name one of the declared surfaces: {known}.',
  },
  ROW_CONFLICT: {
    status: 409,
    retryable: false,
    message: 'Another change with this event id was made before: {reason}.',
    remedy: 'Give a new change a new event id.',
  },
  REQUEST_INVALID: {
    status: 400,
    retryable: false,
    message: 'The request is refused at {name}: {reason}.',
    remedy: 'Correct {name} and send the request again.',
  },
  SIGNAL_INVALID: {
    status: 500,
    retryable: false,
    message: 'The weight of signal {type} is not a finite number.',
    remedy: 'Correct the weight function of the signal in the app definition, then retry the key.',
  },
  STAGE_INVALID: {
    status: 500,
    retryable: false,
    message: 'Stage {stage} of surface {surface} cannot be used: {reason}.',
    remedy:
      'Make stages with defineSource, defineFilter, defineScorer, defineReranker or defineEffect.',
  },
  ANSWER_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'No exposure of answer {answer} is found.',
    remedy:
      'Check the id. An answer can be explained once its exposure is written (a moment later), if it was not dropped under overload.',
  },
  ANSWER_ERASED: {
    status: 410,
    retryable: false,
    message: 'The answer {answer} was given to somebody who was erased.',
    remedy: 'What was shown to them, and why, is not told any more.',
  },
  TOKEN_INVALID: {
    status: 400,
    retryable: false,
    message: 'The answer token cannot be trusted: {reason}.',
    remedy: 'Pass the token exactly as the answer gave it.',
  },
})
