import { defineErrors } from '@millrace/core'

/** What the recommendation maths refuses. */
export const recommendErrors = defineErrors({
  RECOMMEND_ARGUMENT_INVALID: {
    status: 500,
    retryable: false,
    message: '{name} cannot be {value}: {reason}.',
    remedy: 'Correct the argument; the caller is at fault, not the data.',
  },
  FOREST_DAMAGED: {
    status: 422,
    retryable: false,
    message: 'The model cannot be read at {place}: {reason}.',
    remedy: 'Save it again by the library that trained it, and copy the whole file.',
  },
  FOREST_UNSUPPORTED: {
    status: 422,
    retryable: false,
    message: 'The model has {what}, which is not supported.',
    remedy: 'Train without it, or export the model as ONNX.',
  },
  MODEL_DAMAGED: {
    status: 422,
    retryable: false,
    message: 'The saved models cannot be read at {place}: {reason}.',
    remedy: 'Copy the whole file again, or train again.',
  },
  MODEL_UNSUPPORTED: {
    status: 422,
    retryable: false,
    message: 'The saved models have {what}, which this version does not read.',
    remedy: 'Read them with the version of Millrace that wrote them, or train again.',
  },
})

/** Refuses an argument that breaks a function's precondition. */
export function checkArgument(
  condition: boolean,
  name: string,
  value: unknown,
  reason: string,
): void {
  if (!condition) {
    throw recommendErrors.create('RECOMMEND_ARGUMENT_INVALID', {
      name,
      value: String(value),
      reason,
    })
  }
}
