/** The rules for limits, texts and numbers. */
import { here, of, type Change, type JsonChangeCode } from './changes.ts'
import { remainderIsZero } from './decimal.ts'
import type { NumberShape, TextShape } from './shape.ts'

/** The changes that a limit may go through. */
export interface LimitCodes {
  readonly added: JsonChangeCode
  readonly removed: JsonChangeCode
  readonly increased: JsonChangeCode
  readonly decreased: JsonChangeCode
}

/** The codes of a limit by the start of their names. */
const limit = <P extends string>(prefix: P) =>
  ({
    added: `${prefix}_ADDED`,
    removed: `${prefix}_REMOVED`,
    increased: `${prefix}_INCREASED`,
    decreased: `${prefix}_DECREASED`,
  }) as const

/** Limits by the keyword that sets them. */
export const LIMITS = {
  maxLength: limit('MAX_LENGTH'),
  minLength: limit('MIN_LENGTH'),
  maximum: limit('MAXIMUM'),
  minimum: limit('MINIMUM'),
  exclusiveMaximum: limit('EXCLUSIVE_MAXIMUM'),
  exclusiveMinimum: limit('EXCLUSIVE_MINIMUM'),
  maxProperties: limit('MAX_PROPERTIES'),
  minProperties: limit('MIN_PROPERTIES'),
  maxItems: limit('MAX_ITEMS'),
  minItems: limit('MIN_ITEMS'),
  maxContains: limit('MAX_CONTAINS'),
  minContains: limit('MIN_CONTAINS'),
} satisfies Readonly<Record<string, LimitCodes>>

/** Changes of the limits that two shapes have in common. */
export function compareLimits<K extends keyof typeof LIMITS>(
  keywords: readonly K[],
  original: { readonly [k in K]?: number },
  update: { readonly [k in K]?: number },
): readonly Change[] {
  return keywords.flatMap(keyword => {
    const [was, is, codes] = [original[keyword], update[keyword], LIMITS[keyword]]
    if (was === is) return []
    if (was === undefined) return [of(keyword, codes.added)]
    if (is === undefined) return [of(keyword, codes.removed)]
    return [of(keyword, was < is ? codes.increased : codes.decreased)]
  })
}

/** Changes between two text shapes. */
export function compareTexts(original: TextShape, update: TextShape): readonly Change[] {
  return [
    ...compareLimits(['maxLength', 'minLength'], original, update),
    ...comparePatterns(original.pattern, update.pattern),
  ]
}

function comparePatterns(was: string | undefined, is: string | undefined): readonly Change[] {
  if (was === is) return []
  if (was === undefined) return [of('pattern', 'PATTERN_ADDED')]
  // Whether one pattern matches whatever another does is not decided: another pattern refuses.
  return [of('pattern', is === undefined ? 'PATTERN_REMOVED' : 'PATTERN_CHANGED')]
}

/** Changes between two number shapes. */
export function compareNumbers(original: NumberShape, update: NumberShape): readonly Change[] {
  const limits = compareLimits(
    ['maximum', 'minimum', 'exclusiveMaximum', 'exclusiveMinimum'],
    original,
    update,
  )
  const changes = [...limits, ...compareMultiples(original.multipleOf, update.multipleOf)]
  const [wasInteger, isInteger] = [original.isInteger === true, update.isInteger === true]
  if (wasInteger !== isInteger) changes.push(here(wasInteger ? 'TYPE_EXTENDED' : 'TYPE_NARROWED'))
  return changes
}

function compareMultiples(was: number | undefined, is: number | undefined): readonly Change[] {
  if (was === is) return []
  if (was === undefined) return [of('multipleOf', 'MULTIPLE_OF_ADDED')]
  if (is === undefined) return [of('multipleOf', 'MULTIPLE_OF_REMOVED')]
  if (remainderIsZero(is, was)) return [of('multipleOf', 'MULTIPLE_OF_EXPANDED')]
  return [
    of('multipleOf', remainderIsZero(was, is) ? 'MULTIPLE_OF_REDUCED' : 'MULTIPLE_OF_CHANGED'),
  ]
}
