/**
 * True when two values have the same JSON text up to the order of members: `undefined` members
 * count as absent, `-0` as `0`. This is what "the same event" means to the duplicate check.
 */
export function isJsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return normalScalar(a) === normalScalar(b)
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    for (let index = 0; index < a.length; index++) {
      if (!isJsonEqual(a[index] ?? null, b[index] ?? null)) return false
    }
    return true
  }
  return hasSameMembers(a as Record<string, unknown>, b as Record<string, unknown>)
}

function hasSameMembers(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  let members = 0
  for (const name of Object.keys(a)) {
    const value = a[name]
    if (value === undefined) continue
    if (!Object.hasOwn(b, name) || b[name] === undefined) return false
    if (!isJsonEqual(value, b[name])) return false
    members += 1
  }
  for (const name of Object.keys(b)) if (b[name] !== undefined) members -= 1
  return members === 0
}

/** JSON has neither NaN nor infinities: they are written as null. */
function normalScalar(value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? null : value
}
