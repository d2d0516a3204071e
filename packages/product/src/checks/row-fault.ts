import type { CompiledCheck, KnownItems } from '@millrace/core'

/** Why an event does not fit, where that decides about it. Code that throws refuses nothing and holds nothing: it is a fault of the check, which folds and reports count. */
export function rowFault(
  check: CompiledCheck,
  data: Readonly<Record<string, unknown>>,
  isKnown: KnownItems,
): string | undefined {
  try {
    return check.fault(data, isKnown)
  } catch {
    return undefined
  }
}
