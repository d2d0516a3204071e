/** For a team's own tests: old events of every shape, read by the definition of today. */
import type { App } from '@millrace/core'
import { tryOldEvents as tryDeclared, type Trial } from '@millrace/log/schemas/trial'
import { declaredEvents } from './wiring/schemas.ts'

/**
 * Generates events of every shape that the upcasters of an app take and reads them: what comes out
 * must fit today's definition. `faults` is empty when all do. Needs the package fast-check.
 */
export function tryOldEvents(
  app: App,
  options: { readonly events?: number; readonly seed?: number } = {},
): Trial {
  return tryDeclared(declaredEvents(app), options)
}
