/**
 * The rules for `allOf`, `anyOf` and `oneOf`. Parts have no names, so each part of the smaller side
 * must find a counterpart of its own on the other: a maximum matching over the compatible pairs.
 */
import { here, within, type Change } from './changes.ts'
import type { Comparison } from './compare.ts'
import { maximumMatching } from './matching.ts'
import { shapeKey, type CombinedShape, type Shape } from './shape.ts'

/** Changes between two combinations. */
export function compareCombined(
  original: CombinedShape,
  update: CombinedShape,
  { compare, isCompatible }: Comparison,
): readonly Change[] {
  const changes: Change[] = []
  if (original.criterion !== update.criterion) {
    if (!mayChangeCriterion(original, update)) return [here('COMBINED_TYPE_CHANGED')]
    changes.push(here('COMBINED_TYPE_EXTENDED'))
  }
  const [were, are] = [distinct(original.parts), distinct(update.parts)]
  if (were.length < are.length) {
    changes.push(here(update.criterion === 'allOf' ? 'PRODUCT_TYPE_EXTENDED' : 'SUM_TYPE_EXTENDED'))
  } else if (were.length > are.length) {
    changes.push(
      here(original.criterion === 'allOf' ? 'PRODUCT_TYPE_NARROWED' : 'SUM_TYPE_NARROWED'),
    )
  }
  const pairs = were.map(was => are.map(is => compare(was, is)))
  const matching = maximumMatching(
    pairs.map(row => row.flatMap((found, index) => (isCompatible(found) ? [index] : []))),
  )
  for (const [index, matched] of matching) {
    changes.push(...within([original.criterion, String(index)], pairs[index]?.[matched] ?? []))
  }
  if (matching.size < Math.min(were.length, are.length)) {
    changes.push(here('COMBINED_TYPE_SUBSCHEMAS_CHANGED'))
  }
  return changes
}

function mayChangeCriterion(original: CombinedShape, update: CombinedShape): boolean {
  const [one, alone] = [original.parts.length === 1, update.parts.length === 1]
  if (update.criterion === 'anyOf' || (one && alone)) return true
  return (one && update.criterion === 'oneOf') || (alone && original.criterion === 'allOf')
}

function distinct(parts: readonly Shape[]): readonly Shape[] {
  const byKey = new Map<string, Shape>()
  for (const part of parts) {
    const key = shapeKey(part)
    if (!byKey.has(key)) byKey.set(key, part)
  }
  return [...byKey.values()]
}
