import { defineErrors } from '@millrace/core'

/** What the recommendation maths refuses. */
export const recommendErrors = defineErrors({
  RECOMMEND_ARGUMENT_INVALID: {
    status: 500,
    retryable: false,
    message: '{name} cannot be {value}: {reason}.',
    remedy: 'Correct the argument; the caller is at fault, not the data.',
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
