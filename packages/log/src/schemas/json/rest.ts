/** The rules for what a schema says of properties or items that it does not name. */
import { here, type Change } from './changes.ts'
import type { Comparison } from './compare.ts'
import type { Shape } from './shape.ts'

/** Additional properties or items: none (false), those of a shape, or any (undefined). */
export function compareRest(
  name: 'ADDITIONAL_PROPERTIES' | 'ADDITIONAL_ITEMS',
  was: Shape | false | undefined,
  is: Shape | false | undefined,
  { compare }: Comparison,
): readonly Change[] {
  if (was === false && is === false) return []
  if (was === false) return [here(`${name}_ADDED`)]
  if (is === false) return [here(`${name}_REMOVED`)]
  if (was === undefined && is !== undefined) return [here(`${name}_NARROWED`)]
  if (was !== undefined && is === undefined) return [here(`${name}_EXTENDED`)]
  return compare(was, is)
}

/** Unevaluated properties or items: undefined when nothing is said. */
export function compareUnevaluated(
  name: 'PROPERTIES' | 'ITEMS',
  was: Shape | undefined,
  is: Shape | undefined,
  { compare }: Comparison,
): readonly Change[] {
  if (was === undefined && is === undefined) return []
  const [wasNone, isNone] = [was?.kind === 'never', is?.kind === 'never']
  if (wasNone !== isNone) {
    return [here(isNone ? `UNEVALUATED_${name}_REMOVED` : `UNEVALUATED_${name}_ADDED`)]
  }
  if (was === undefined) return [here(`UNEVALUATED_${name}_NARROWED`)]
  if (is === undefined) return [here(`UNEVALUATED_${name}_EXTENDED`)]
  const [wasAny, isAny] = [was.kind === 'any', is.kind === 'any']
  if (wasAny && !isAny) return [here(`UNEVALUATED_${name}_NARROWED`)]
  if (!wasAny && isAny) return [here(`UNEVALUATED_${name}_EXTENDED`)]
  return compare(was, is)
}
