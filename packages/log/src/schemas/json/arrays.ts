/** The rules for lists: like those for objects, with places instead of names. */
import { here, of, within, type Change } from './changes.ts'
import type { Comparison } from './compare.ts'
import { compareRest, compareUnevaluated } from './rest.ts'
import { compareLimits } from './scalars.ts'
import type { ArrayShape, Shape } from './shape.ts'

/** Changes between two list shapes. */
export function compareArrays(
  original: ArrayShape,
  update: ArrayShape,
  comparison: Comparison,
): readonly Change[] {
  return [
    ...within(['items'], comparison.compare(original.all, update.all)),
    ...comparePrefixes(original, update, comparison),
    ...within(
      ['additionalItems'],
      compareRest('ADDITIONAL_ITEMS', original.additional, update.additional, comparison),
    ),
    ...within(
      ['unevaluatedItems'],
      compareUnevaluated('ITEMS', original.unevaluated, update.unevaluated, comparison),
    ),
    ...compareLimits(['maxItems', 'minItems'], original, update),
    ...compareUniqueness(original.uniqueItems === true, update.uniqueItems === true),
    ...compareLimits(['maxContains', 'minContains'], original, update),
  ]
}

function compareUniqueness(was: boolean, is: boolean): readonly Change[] {
  if (was === is) return []
  return [of('uniqueItems', was ? 'UNIQUE_ITEMS_REMOVED' : 'UNIQUE_ITEMS_ADDED')]
}

function comparePrefixes(
  original: ArrayShape,
  update: ArrayShape,
  comparison: Comparison,
): readonly Change[] {
  const length = Math.max(original.prefix.length, update.prefix.length)
  return Array.from({ length }, (_, index) => index).flatMap(index => {
    const [was, is] = [original.prefix[index], update.prefix[index]]
    const changes =
      is === undefined
        ? itemRemoved(was as Shape, update, comparison)
        : was === undefined
          ? itemAdded(is, original, comparison)
          : comparison.compare(was, is)
    return within(['items', String(index)], changes)
  })
}

function itemRemoved(
  was: Shape,
  update: ArrayShape,
  { compare, isCompatible }: Comparison,
): readonly Change[] {
  if (isOpen(update)) return [here('ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL')]
  const rest = restOf(update)
  if (rest !== undefined) {
    const changes = compare(was, rest)
    const covered = isCompatible(changes) ? 'IS' : 'NOT'
    return [...changes, here(`ITEM_REMOVED_${covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL`)]
  }
  return [
    here(
      was.kind === 'never'
        ? 'ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL'
        : 'ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL',
    ),
  ]
}

function itemAdded(
  is: Shape,
  original: ArrayShape,
  { compare, isCompatible }: Comparison,
): readonly Change[] {
  if (isOpen(original)) {
    return [
      here(
        is.kind === 'any'
          ? 'ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL'
          : 'ITEM_ADDED_TO_OPEN_CONTENT_MODEL',
      ),
    ]
  }
  const rest = restOf(original)
  if (rest === undefined) return [here('ITEM_ADDED_TO_CLOSED_CONTENT_MODEL')]
  const changes = compare(rest, is)
  const covered = isCompatible(changes) ? 'IS' : 'NOT'
  return [...changes, here(`ITEM_ADDED_${covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL`)]
}

function isOpen({ additional, unevaluated }: ArrayShape): boolean {
  return additional === undefined && (unevaluated === undefined || unevaluated.kind === 'any')
}

/** The shape that items after the declared ones must have, where there is one. */
function restOf({ additional, unevaluated }: ArrayShape): Shape | undefined {
  if (additional !== undefined) return additional === false ? undefined : additional
  return unevaluated?.kind === 'never' || unevaluated?.kind === 'any' ? undefined : unevaluated
}
