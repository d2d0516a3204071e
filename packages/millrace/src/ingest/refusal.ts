/** The error of one event that was refused, for callers that sent one. */
import type { MillraceError } from '@millrace/core'
import { logErrors } from '@millrace/log'
import { checkErrors } from '@millrace/product'
import { serverErrors } from '../errors.ts'
import type { RefusedResult } from './results.ts'

/** The registered error that a result stands for. */
export function refusalOf(result: RefusedResult): MillraceError {
  const { code, reason } = result
  if (code === 'PERSON_ERASED') return logErrors.create(code, { id: result.id as string })
  if (result.status === 'conflict') {
    // The log wrote the whole sentence into the result; the error wants what differs.
    const frame = logErrors.create('EVENT_CONFLICT', { id: result.id, reason: '' }).message
    const difference = reason.slice(frame.length - 1, -1)
    return logErrors.create('EVENT_CONFLICT', { id: result.id, reason: difference })
  }
  const path = result.path === '' ? 'its root' : result.path
  if (code === 'CHECK_FAILED') return checkErrors.create(code, { path, reason })
  const known = code === 'EVENT_TYPE_UNKNOWN' ? code : 'EVENT_INVALID'
  return serverErrors.create(known, { path, reason })
}
