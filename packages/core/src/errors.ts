/**
 * The error registry. Every package declares what it can refuse in its `errors.ts`: a stable code,
 * the HTTP status that carries it (RFC 9457), whether a retry can help and what the caller can do.
 * Only registered errors are thrown; callers test with `isError`, never with `instanceof`, because
 * two copies of a package may be loaded side by side.
 */

/** What a package says about one of its refusals. */
export interface ErrorSpec {
  /** HTTP status of the problem details that carry it. */
  readonly status: number
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean
  /** One sentence: what is wrong. `{name}` is replaced by the detail of that name. */
  readonly message: string
  /** One sentence: what to do about it. `{name}` is replaced by the detail of that name. */
  readonly remedy: string
}

/** Facts about one occurrence: where it happened and with which values. Never personal data. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/** A refusal with a stable code, a place (in `details`) and a remedy. */
export class MillraceError extends Error {
  readonly code: string
  readonly status: number
  readonly retryable: boolean
  readonly remedy: string
  readonly details: ErrorDetails

  constructor(code: string, spec: ErrorSpec, details: ErrorDetails, cause?: unknown) {
    super(fill(spec.message, details), cause === undefined ? undefined : { cause })
    this.name = 'MillraceError'
    this.code = code
    this.status = spec.status
    this.retryable = spec.retryable
    this.remedy = fill(spec.remedy, details)
    this.details = details
  }

  /** Milliseconds after which a retry makes sense; undefined when the error does not say. */
  get retryAfterMs(): number | undefined {
    const value = this.details['retryAfterMs']
    return typeof value === 'number' ? value : undefined
  }
}

/** Creates the errors of one package; `specs` is kept for the generated reference. */
export interface ErrorRegistry<Code extends string> {
  readonly specs: Readonly<Record<Code, ErrorSpec>>
  create(code: Code, details?: ErrorDetails, cause?: unknown): MillraceError
}

/** Registers the errors of a package. Codes are `UPPER_SNAKE`, unique in the process. */
export function defineErrors<const Code extends string>(
  specs: Readonly<Record<Code, ErrorSpec>>,
): ErrorRegistry<Code> {
  return {
    specs,
    create: (code, details = {}, cause) => new MillraceError(code, specs[code], details, cause),
  }
}

/** True when `error` is a registered error, with this code when one is given. */
export function isError(error: unknown, code?: string): error is MillraceError {
  return (
    error instanceof Error &&
    error.name === 'MillraceError' &&
    (code === undefined || (error as MillraceError).code === code)
  )
}

/** Fills in what braces name. What is a sentence itself brings its own full stop. */
function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}(\.?)/g, (whole, name: string, stop: string) => {
    const value = details[name]
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    if (text === undefined) return whole
    return text.endsWith('.') ? text : text + stop
  })
}

/** What `core` itself refuses. */
export const coreErrors = defineErrors({
  DEFINITION_INVALID: {
    status: 500,
    retryable: false,
    message: 'The app definition is invalid at {path}: {reason}.',
    remedy: 'Correct the definition at {path}; nothing was started.',
  },
  DATA_INVALID: {
    status: 400,
    retryable: false,
    message: '{subject} does not fit its schema at {path}: {reason}.',
    remedy: 'Correct the value at {path} and send it again.',
  },
  POSITION_INVALID: {
    status: 409,
    retryable: false,
    message: 'The position token cannot be read: {reason}.',
    remedy: 'Pass a position exactly as an earlier answer gave it.',
  },
  DURATION_INVALID: {
    status: 400,
    retryable: false,
    message: 'The duration {value} cannot be read.',
    remedy: 'Write a number and a unit, such as 90s, 15m, 6h or 7d.',
  },
  INVARIANT_BROKEN: {
    status: 500,
    retryable: false,
    message: 'An invariant does not hold: {reason}.',
    remedy: 'This is a fault of Millrace: keep the data directory and report it.',
  },
})

/** What a `Disk` refuses, on a machine and simulated: every implementation rejects with these. */
export const diskErrors = defineErrors({
  DISK_NOT_FOUND: {
    status: 500,
    retryable: false,
    message: '{path} is missing.',
    remedy: 'Check the data directory.',
  },
  DISK_EXISTS: {
    status: 500,
    retryable: false,
    message: '{path} exists already.',
    remedy: 'Check the data directory.',
  },
  DISK_FULL: {
    status: 507,
    retryable: false,
    message: 'There is no space left for {path}.',
    remedy: 'Free disk space, then restart.',
  },
  DISK_FAILED: {
    status: 500,
    retryable: false,
    message: '{operation} of {path} failed: {reason}.',
    remedy: 'Check the volume, then restart on the same data directory.',
  },
})

/** Asserts an invariant, in production too. */
export function invariant(condition: unknown, reason: string): asserts condition {
  if (!condition) throw coreErrors.create('INVARIANT_BROKEN', { reason })
}
