import { defineErrors, diskErrors } from '@millrace/core'

/** What the test kit refuses or reports. */
export const simErrors = defineErrors({
  SIM_FAILED: {
    status: 500,
    retryable: false,
    message:
      'Scenario "{scenario}" fails under seed {seed}: {reason}\n  replay: {command}\n{trace}',
    remedy: 'Replay the seed, repair the fault, then add the seed to seeds.json beside the test.',
  },
  SIM_DIVERGED: {
    status: 500,
    retryable: false,
    message: 'Two runs under seed {seed} differ from step {step} on: "{first}" and "{second}".',
    remedy:
      'Find what the scenario takes from outside the ports: time, randomness, real I/O, threads.',
  },
  SIM_DEADLOCK: {
    status: 500,
    retryable: false,
    message: 'The work waits at {atMs} ms of virtual time, but no task is left that could wake it.',
    remedy:
      'Find the promise that nobody settles; a killed process never hears from its disk again.',
  },
  SIM_TIMED_OUT: {
    status: 500,
    retryable: false,
    message: 'The work is not done after {limitMs} ms of virtual time.',
    remedy:
      'Raise `limitMs` when the scenario is long on purpose; otherwise find what makes no progress.',
  },
  SIM_STUCK: {
    status: 500,
    retryable: false,
    message: '{tasks} tasks ran at {atMs} ms of virtual time without time passing.',
    remedy: 'Find the loop that schedules itself with no delay.',
  },
  SIM_REENTRANT: {
    status: 500,
    retryable: false,
    message: 'The scheduler is already running.',
    remedy: 'Inside driven work await `sleep` instead of `run`, `runUntil`, `settle` or `drive`.',
  },
  SIM_BUFFER_CHANGED: {
    status: 500,
    retryable: false,
    message: 'The bytes of a write to {path} at {position} changed before the write had ended.',
    remedy: 'Leave a buffer alone until the write resolves: the medium may get either content.',
  },
  SIM_OPTION_INVALID: {
    status: 500,
    retryable: false,
    message: 'Option {option} is invalid: {reason}.',
    remedy: 'Correct the option.',
  },
  ...diskErrors.specs,
})
