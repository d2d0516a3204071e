import { defineErrors } from '@millrace/core'

/** What features refuse. */
export const featuresErrors = defineErrors({
  FEATURE_VALUE_INVALID: {
    status: 500,
    retryable: false,
    message: 'The feature {feature} was given {value}, which cannot be aggregated.',
    remedy: 'Let its function give a finite number, or undefined for an event that does not count.',
  },
})
