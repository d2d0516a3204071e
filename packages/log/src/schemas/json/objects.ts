/**
 * The rules for objects. They turn on the content model: may a value hold properties that are not
 * declared? Open: any; closed: none; partly open: those that fit a schema.
 */
import { here, within, type Change, type JsonChangeCode } from './changes.ts'
import type { Comparison } from './compare.ts'
import { invalidSchema } from './keywords.ts'
import { compareLimits } from './scalars.ts'
import type { ObjectShape, Shape } from './shape.ts'
import { compareRest, compareUnevaluated } from './rest.ts'

/** Changes between two object shapes. */
export function compareObjects(
  original: ObjectShape,
  update: ObjectShape,
  comparison: Comparison,
): readonly Change[] {
  return [
    ...compareRequired(original, update),
    ...compareProperties(original, update, comparison),
    ...compareDependencies(original, update, comparison),
    ...within(
      ['additionalProperties'],
      compareRest('ADDITIONAL_PROPERTIES', original.additional, update.additional, comparison),
    ),
    ...within(
      ['unevaluatedProperties'],
      compareUnevaluated('PROPERTIES', original.unevaluated, update.unevaluated, comparison),
    ),
    ...compareLimits(['maxProperties', 'minProperties'], original, update),
  ]
}

function compareRequired(original: ObjectShape, update: ObjectShape): readonly Change[] {
  return [...original.properties.keys()].flatMap(name => {
    const property = update.properties.get(name)
    const [was, is] = [original.required.has(name), update.required.has(name)]
    if (property === undefined || was === is) return []
    const added =
      property.default === undefined
        ? 'REQUIRED_ATTRIBUTE_ADDED'
        : 'REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED'
    return within(['required', name], [here(was ? 'REQUIRED_ATTRIBUTE_REMOVED' : added)])
  })
}

function compareProperties(
  original: ObjectShape,
  update: ObjectShape,
  comparison: Comparison,
): readonly Change[] {
  const names = new Set([...original.properties.keys(), ...update.properties.keys()])
  return [...names].flatMap(name => {
    const [was, is] = [original.properties.get(name), update.properties.get(name)]
    const changes =
      is === undefined
        ? propertyRemoved(name, was as Shape, update, comparison)
        : was === undefined
          ? propertyAdded(name, is, { original, update }, comparison)
          : comparison.compare(was, is)
    return within(['properties', name], changes)
  })
}

/** Only the update's content model counts: does it still take the property? */
function propertyRemoved(
  name: string,
  was: Shape,
  update: ObjectShape,
  { compare, isCompatible }: Comparison,
): readonly Change[] {
  if (isOpen(update)) return [here('PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL')]
  const rest = restFor(name, update)
  if (rest !== undefined) {
    const changes = compare(was, rest)
    const covered = isCompatible(changes) ? 'IS' : 'NOT'
    return [...changes, here(`PROPERTY_REMOVED_${covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL`)]
  }
  return [
    here(
      was.kind === 'never'
        ? 'PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL'
        : 'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL',
    ),
  ]
}

/** Only the original's content model counts: may old values hold the property, as something else? */
function propertyAdded(
  name: string,
  is: Shape,
  { original, update }: { readonly original: ObjectShape; readonly update: ObjectShape },
  { compare, isCompatible }: Comparison,
): readonly Change[] {
  const isOriginalOpen = isOpen(original)
  if (isOriginalOpen && is.kind === 'any') {
    return [here('PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL')]
  }
  const need = !update.required.has(name)
    ? 'OPTIONAL_PROPERTY'
    : is.default === undefined
      ? 'REQUIRED_PROPERTY'
      : 'REQUIRED_PROPERTY_WITH_DEFAULT'
  if (isOriginalOpen) return [here(`${need}_ADDED_TO_OPEN_CONTENT_MODEL`)]
  const added: JsonChangeCode = `${need}_ADDED_TO_UNOPEN_CONTENT_MODEL`
  const rest = restFor(name, original)
  if (rest === undefined) return [here(added)]
  const changes = compare(rest, is)
  const covered = isCompatible(changes) ? 'IS' : 'NOT'
  return [
    ...changes,
    here(`PROPERTY_ADDED_${covered}_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL`),
    here(added),
  ]
}

function isOpen({ additional, patterns, unevaluated }: ObjectShape): boolean {
  if (additional !== undefined || patterns.size > 0) return false
  return unevaluated === undefined || unevaluated.kind === 'any'
}

/** The shape that an undeclared property of this name must have, where there is one. */
function restFor(name: string, shape: ObjectShape): Shape | undefined {
  for (const [pattern, of] of shape.patterns) if (expressionOf(pattern).test(name)) return of
  if (shape.additional !== undefined)
    return shape.additional === false ? undefined : shape.additional
  const { unevaluated } = shape
  return unevaluated?.kind === 'never' || unevaluated?.kind === 'any' ? undefined : unevaluated
}

function expressionOf(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u')
  } catch {
    return invalidSchema(`patternProperties/${pattern}`, 'it is not a regular expression')
  }
}

function compareDependencies(
  original: ObjectShape,
  update: ObjectShape,
  { compare }: Comparison,
): readonly Change[] {
  const lists = new Set([...original.dependentRequired.keys(), ...update.dependentRequired.keys()])
  const schemas = new Set([...original.dependentSchemas.keys(), ...update.dependentSchemas.keys()])
  const ofLists = [...lists].flatMap(name =>
    within(
      ['dependencies', name],
      compareNeeds(original.dependentRequired.get(name), update.dependentRequired.get(name)),
    ),
  )
  const ofSchemas = [...schemas].flatMap(name => {
    const [was, is] = [original.dependentSchemas.get(name), update.dependentSchemas.get(name)]
    const changes =
      is === undefined
        ? [here('DEPENDENCY_SCHEMA_REMOVED')]
        : was === undefined
          ? [here('DEPENDENCY_SCHEMA_ADDED')]
          : compare(was, is)
    return within(['dependencies', name], changes)
  })
  return [...ofLists, ...ofSchemas]
}

function compareNeeds(
  was: ReadonlySet<string> | undefined,
  is: ReadonlySet<string> | undefined,
): readonly Change[] {
  if (is === undefined) return [here('DEPENDENCY_ARRAY_REMOVED')]
  if (was === undefined) return [here('DEPENDENCY_ARRAY_ADDED')]
  const [isMore, isLess] = [was.isSubsetOf(is), is.isSubsetOf(was)]
  if (isMore && isLess) return []
  if (isMore) return [here('DEPENDENCY_ARRAY_EXTENDED')]
  return [here(isLess ? 'DEPENDENCY_ARRAY_NARROWED' : 'DEPENDENCY_ARRAY_CHANGED')]
}
