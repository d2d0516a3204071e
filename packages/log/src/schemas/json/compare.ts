/**
 * Compares two JSON Schemas by the rules of Confluent's registry: can the updated schema read what
 * the original allowed?
 *
 * Promise: the same verdict, the same names and the same places as the registry (its published
 * cases are a test); exceptions are listed in ADR 9. Cost: each pair of parts is compared once, so
 * O(parts of one x parts of the other); combinations cost a matching of their parts.
 * Source: the behaviour of Confluent Schema Registry 8 and its published test cases.
 */
import { compareArrays } from './arrays.ts'
import { compatibleChanges, here, of, type Change, type Policy } from './changes.ts'
import { compareCombined } from './combined.ts'
import { compareObjects } from './objects.ts'
import { compareNumbers, compareTexts } from './scalars.ts'
import type { EnumShape, Shape } from './shape.ts'

/** What the rules for one kind need to compare the parts of it. */
export interface Comparison {
  /** Changes of a part; undefined: it is not there. Places are relative to the part. */
  readonly compare: (original: Shape | undefined, update: Shape | undefined) => readonly Change[]
  readonly isCompatible: (changes: readonly Change[]) => boolean
}

type Pairs = Map<Shape, Map<Shape, readonly Change[]>>

/** All changes from the original to the update, compatible ones included. */
export function compareShapes(original: Shape, update: Shape, policy: Policy): readonly Change[] {
  // A pair that is met again inside itself (recursive schemas) is taken for compatible. That guess
  // may be wrong, and then what rested on it is: what was found incompatible is put in for the next
  // round, until nothing is added. Without recursion there is one round.
  let refuted: Pairs = new Map()
  for (;;) {
    const round = createRound(policy, refuted)
    const changes = round.compare(original, update)
    const incompatible = round.incompatiblePairs()
    if (!round.hasGuessed() || countOf(incompatible) === countOf(refuted)) return changes
    refuted = incompatible
  }
}

const countOf = (pairs: Pairs): number =>
  [...pairs.values()].reduce((count, { size }) => count + size, 0)

interface Round extends Comparison {
  readonly hasGuessed: () => boolean
  readonly incompatiblePairs: () => Pairs
}

function createRound(policy: Policy, refuted: Pairs): Round {
  const allowed = compatibleChanges(policy)
  const known: Pairs = new Map()
  const open = new Map<Shape, Set<Shape>>()
  let guessed = false
  const isCompatible = (changes: readonly Change[]): boolean =>
    changes.every(({ code }) => allowed.has(code))
  const compare = (o: Shape | undefined, u: Shape | undefined): readonly Change[] => {
    if (o === undefined) return u === undefined ? [] : [here('SCHEMA_ADDED')]
    if (u === undefined) return [here('SCHEMA_REMOVED')]
    const original = referred(o)
    const update = referred(u)
    const before = known.get(original)?.get(update)
    if (before !== undefined) return before
    const inside = open.get(original) ?? new Set<Shape>()
    if (inside.has(update)) {
      const wrong = refuted.get(original)?.get(update)
      guessed ||= wrong === undefined
      return wrong ?? []
    }
    open.set(original, inside.add(update))
    const changes = compareKinds(original, update, { compare, isCompatible })
    inside.delete(update)
    const row = known.get(original) ?? new Map<Shape, readonly Change[]>()
    known.set(original, row.set(update, changes))
    return changes
  }
  const incompatiblePairs = (): Pairs => {
    const pairs: Pairs = new Map()
    for (const [original, row] of known) {
      const wrong = [...row].filter(([, changes]) => !isCompatible(changes))
      if (wrong.length > 0) pairs.set(original, new Map(wrong))
    }
    return pairs
  }
  return { compare, isCompatible, hasGuessed: () => guessed, incompatiblePairs }
}

const referred = (shape: Shape): Shape => (shape.kind === 'reference' ? shape.target() : shape)

function compareKinds(original: Shape, update: Shape, comparison: Comparison): readonly Change[] {
  const through = throughCombination(original, update, comparison)
  if (through !== undefined) return through
  if (original.kind !== update.kind) {
    const isReadable =
      original.kind === 'never' ||
      update.kind === 'any' ||
      (original.isConnectBytes === true && update.isConnectBytes === true)
    return isReadable ? [] : [here('TYPE_CHANGED')]
  }
  return [
    ...annotationChanges(original, update),
    ...constraintChanges(original, update, comparison),
  ]
}

/** One side is a combination and the other is not: one part of it may stand for the whole. */
function throughCombination(
  original: Shape,
  update: Shape,
  { compare, isCompatible }: Comparison,
): readonly Change[] | undefined {
  if (original.kind !== 'combined' && update.kind === 'combined') {
    if (update.parts.length > 1 && update.criterion === 'allOf') return undefined
    for (const part of update.parts) {
      const changes = compare(original, part)
      if (!isCompatible(changes)) continue
      return update.parts.length === 1 ? changes : [...changes, here('SUM_TYPE_EXTENDED')]
    }
  } else if (original.kind === 'combined' && update.kind !== 'combined') {
    if (original.parts.length > 1 && original.criterion !== 'allOf') return undefined
    for (const part of original.parts) {
      const changes = compare(part, update)
      if (!isCompatible(changes)) continue
      return original.parts.length === 1 ? changes : [...changes, here('PRODUCT_TYPE_NARROWED')]
    }
  }
  return undefined
}

function annotationChanges(original: Shape, update: Shape): readonly Change[] {
  const changes: Change[] = []
  if (original.id !== update.id) changes.push(here('ID_CHANGED'))
  if (original.title !== update.title) changes.push(here('TITLE_CHANGED'))
  if (original.description !== update.description) changes.push(here('DESCRIPTION_CHANGED'))
  if (JSON.stringify(original.default) !== JSON.stringify(update.default)) {
    changes.push(here('DEFAULT_CHANGED'))
  }
  return changes
}

function constraintChanges(o: Shape, u: Shape, comparison: Comparison): readonly Change[] {
  if (o.kind === 'string' && u.kind === 'string') return compareTexts(o, u)
  if (o.kind === 'number' && u.kind === 'number') return compareNumbers(o, u)
  if (o.kind === 'object' && u.kind === 'object') return compareObjects(o, u, comparison)
  if (o.kind === 'array' && u.kind === 'array') return compareArrays(o, u, comparison)
  if (o.kind === 'combined' && u.kind === 'combined') return compareCombined(o, u, comparison)
  if (o.kind === 'enum' && u.kind === 'enum') return compareEnums(o, u)
  if (o.kind === 'const' && u.kind === 'const') {
    return o.value === u.value ? [] : [of('const', 'ENUM_ARRAY_CHANGED')]
  }
  if (o.kind === 'not' && u.kind === 'not') {
    // What is excluded may become less: the comparison is turned round.
    const isLess = comparison.isCompatible(comparison.compare(u.negated, o.negated))
    return [of('not', isLess ? 'NOT_TYPE_NARROWED' : 'NOT_TYPE_EXTENDED')]
  }
  return []
}

function compareEnums(original: EnumShape, update: EnumShape): readonly Change[] {
  const hasAll = original.values.isSubsetOf(update.values)
  const hasOnly = update.values.isSubsetOf(original.values)
  if (hasAll && hasOnly) return []
  if (hasAll) return [of('enum', 'ENUM_ARRAY_EXTENDED')]
  return [of('enum', hasOnly ? 'ENUM_ARRAY_NARROWED' : 'ENUM_ARRAY_CHANGED')]
}
