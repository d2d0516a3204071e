import { defineErrors } from '@millrace/core'

/** What features refuse. */
export const featuresErrors = defineErrors({
  FEATURE_VALUE_INVALID: {
    status: 500,
    retryable: false,
    message: 'The feature {feature} was given {value}, which cannot be aggregated.',
    remedy: 'Let its function give a finite number, or undefined for an event that does not count.',
  },
  TABLES_DRIVER_MISSING: {
    status: 500,
    retryable: false,
    message: 'Training sets and Parquet files need DuckDB, which is not installed.',
    remedy: 'Install it with `npm install @duckdb/node-api`.',
  },
  TABLES_FAILED: {
    status: 500,
    retryable: false,
    message: 'DuckDB refuses: {reason}.',
    remedy: 'Check the file that is named; give more room with --memory, or on the disk.',
  },
  TRAINING_SET_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'The app has no training set {name}. It has: {known}.',
    remedy: 'Name one that `trainingSets` of the app definition declares.',
  },
  TRAINING_SET_FILE: {
    status: 400,
    retryable: false,
    message: 'A training set is written as Parquet, and {file} does not end with .parquet.',
    remedy: 'Name a file that ends with .parquet.',
  },
  TRAINING_SET_COLUMN: {
    status: 400,
    retryable: false,
    message: 'The observations in {file} have no column {column}. They have: {columns}.',
    remedy: 'Give the file a column for each entity of the service, and `time`.',
  },
  SERVICE_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no feature service {service}.',
    remedy: 'Name a service of the definition; `millrace features list` has them.',
  },
  SERVICE_UNFITTED: {
    status: 409,
    retryable: false,
    message: 'The steps of the service {service} have learnt nothing yet.',
    remedy: 'Make a training set of it, and give what that writes to preparedService as `fitted`.',
  },
  FITTED_OUTDATED: {
    status: 500,
    retryable: false,
    message: 'The steps of {service}.{column} were learnt from another version of {feature}.',
    remedy:
      'Bring that version of the feature back; or leave `fitted` out, make the training set again, and give what it writes.',
  },
  FEATURE_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'There is no feature {feature}.',
    remedy: 'Name it as `<view>.<feature>`; `millrace features list` has them.',
  },
  FEATURE_REQUEST_UNKNOWN: {
    status: 404,
    retryable: false,
    message: 'No rows are kept that the request {request} was served.',
    remedy:
      'Name a request of the last seven days whose answer had a requestId; answers of more than 4,096 values have none.',
  },
  FEATURE_STATE_NOT_NOTED: {
    status: 409,
    retryable: false,
    message: 'It was not noted what {fold} reflected when the request was served.',
    remedy:
      'The service read other views then: check requests that were served since the definition changed.',
  },
  FEATURE_ROW_INVALID: {
    status: 400,
    retryable: false,
    message: 'The service {service} cannot make these rows: {reason}.',
    remedy: 'Give each row an id for every kind of entity of the service.',
  },
  FEATURE_CONTEXT_INVALID: {
    status: 400,
    retryable: false,
    message: 'The context does not fit the service {service}: {reason}.',
    remedy: 'Send what the context features of the service declare.',
  },
})

/** What a feature's function gave is no value: a throw of that function, as it were. */
export function invalidValue(feature: string, value: unknown): Error {
  const told = typeof value === 'number' ? String(value) : typeof value
  return featuresErrors.create('FEATURE_VALUE_INVALID', { feature, value: told })
}
