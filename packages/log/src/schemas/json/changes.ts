/**
 * What can change between two JSON Schemas, and which changes keep old values readable. The names
 * are those of Confluent's registry, so that what it prints can be compared with what we print.
 */

/** Changes after which the new schema still reads what the old one allowed. */
const COMPATIBLE = [
  'ID_CHANGED',
  'DESCRIPTION_CHANGED',
  'TITLE_CHANGED',
  'DEFAULT_CHANGED',
  'SCHEMA_REMOVED',
  'TYPE_EXTENDED',
  'MAX_LENGTH_INCREASED',
  'MAX_LENGTH_REMOVED',
  'MIN_LENGTH_DECREASED',
  'MIN_LENGTH_REMOVED',
  'PATTERN_REMOVED',
  'MAXIMUM_INCREASED',
  'MAXIMUM_REMOVED',
  'MINIMUM_DECREASED',
  'MINIMUM_REMOVED',
  'EXCLUSIVE_MAXIMUM_INCREASED',
  'EXCLUSIVE_MAXIMUM_REMOVED',
  'EXCLUSIVE_MINIMUM_DECREASED',
  'EXCLUSIVE_MINIMUM_REMOVED',
  'MULTIPLE_OF_REDUCED',
  'MULTIPLE_OF_REMOVED',
  'REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED',
  'REQUIRED_ATTRIBUTE_REMOVED',
  'DEPENDENCY_ARRAY_NARROWED',
  'DEPENDENCY_ARRAY_REMOVED',
  'DEPENDENCY_SCHEMA_REMOVED',
  'MAX_PROPERTIES_INCREASED',
  'MAX_PROPERTIES_REMOVED',
  'MIN_PROPERTIES_DECREASED',
  'MIN_PROPERTIES_REMOVED',
  'ADDITIONAL_PROPERTIES_ADDED',
  'ADDITIONAL_PROPERTIES_EXTENDED',
  'UNEVALUATED_PROPERTIES_ADDED',
  'UNEVALUATED_PROPERTIES_EXTENDED',
  'PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL',
  'REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL',
  'OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL',
  'PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL',
  'PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'MAX_ITEMS_INCREASED',
  'MAX_ITEMS_REMOVED',
  'MIN_ITEMS_DECREASED',
  'MIN_ITEMS_REMOVED',
  'MAX_CONTAINS_INCREASED',
  'MAX_CONTAINS_REMOVED',
  'MIN_CONTAINS_DECREASED',
  'MIN_CONTAINS_REMOVED',
  'UNIQUE_ITEMS_REMOVED',
  'ADDITIONAL_ITEMS_ADDED',
  'ADDITIONAL_ITEMS_EXTENDED',
  'UNEVALUATED_ITEMS_ADDED',
  'UNEVALUATED_ITEMS_EXTENDED',
  'ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL',
  'ITEM_ADDED_TO_CLOSED_CONTENT_MODEL',
  'ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL',
  'ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'ENUM_ARRAY_EXTENDED',
  'COMBINED_TYPE_EXTENDED',
  'PRODUCT_TYPE_NARROWED',
  'SUM_TYPE_EXTENDED',
  'NOT_TYPE_NARROWED',
] as const

/** Compatible as well for who promises never to have sent undeclared properties: the lenient policy. */
const LENIENT = [
  'ADDITIONAL_PROPERTIES_NARROWED',
  'ADDITIONAL_PROPERTIES_REMOVED',
  'UNEVALUATED_PROPERTIES_NARROWED',
  'UNEVALUATED_PROPERTIES_REMOVED',
  'REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL',
  'OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL',
  'PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL',
  'PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
  'PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL',
] as const

/** Changes that refuse a schema, and what each means to who reads old values. */
const INCOMPATIBLE = {
  SCHEMA_ADDED: 'a constraint was put where there was none',
  TYPE_CHANGED: 'the type changed, and the new one does not read values of the old',
  TYPE_NARROWED: 'numbers must now be whole',
  MAX_LENGTH_ADDED: 'texts have a greatest length now, and had none',
  MAX_LENGTH_DECREASED: 'the greatest length became smaller',
  MIN_LENGTH_ADDED: 'texts have a least length now, and had none',
  MIN_LENGTH_INCREASED: 'the least length became greater',
  PATTERN_ADDED: 'texts must match a pattern now',
  PATTERN_CHANGED: 'texts must match another pattern',
  MAXIMUM_ADDED: 'numbers have a maximum now, and had none',
  MAXIMUM_DECREASED: 'the maximum became smaller',
  MINIMUM_ADDED: 'numbers have a minimum now, and had none',
  MINIMUM_INCREASED: 'the minimum became greater',
  EXCLUSIVE_MAXIMUM_ADDED: 'numbers have an exclusive maximum now, and had none',
  EXCLUSIVE_MAXIMUM_DECREASED: 'the exclusive maximum became smaller',
  EXCLUSIVE_MINIMUM_ADDED: 'numbers have an exclusive minimum now, and had none',
  EXCLUSIVE_MINIMUM_INCREASED: 'the exclusive minimum became greater',
  MULTIPLE_OF_ADDED: 'numbers must be multiples now',
  MULTIPLE_OF_EXPANDED: 'numbers must be multiples of a greater number',
  MULTIPLE_OF_CHANGED: 'numbers must be multiples of another number',
  REQUIRED_ATTRIBUTE_ADDED: 'an optional field became required',
  MAX_PROPERTIES_ADDED: 'the number of fields has a limit now, and had none',
  MAX_PROPERTIES_DECREASED: 'fewer fields are allowed',
  MIN_PROPERTIES_ADDED: 'a least number of fields is asked for',
  MIN_PROPERTIES_INCREASED: 'more fields are asked for',
  ADDITIONAL_PROPERTIES_REMOVED: 'undeclared fields were allowed and are no longer',
  ADDITIONAL_PROPERTIES_NARROWED: 'undeclared fields must fit a schema now',
  UNEVALUATED_PROPERTIES_REMOVED: 'unevaluated fields were allowed and are no longer',
  UNEVALUATED_PROPERTIES_NARROWED: 'unevaluated fields must fit a schema now',
  DEPENDENCY_ARRAY_ADDED: 'a field asks for others now',
  DEPENDENCY_ARRAY_EXTENDED: 'a field asks for more others',
  DEPENDENCY_ARRAY_CHANGED: 'a field asks for different others',
  DEPENDENCY_SCHEMA_ADDED: 'a field asks for a schema now',
  REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL:
    'a field was declared that old values may hold with another type',
  REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL: 'a required field was added without a default',
  OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL:
    'a field was declared that old values may hold with another type',
  REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL: 'a required field was added without a default',
  PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL:
    'a field was removed, and undeclared fields are not allowed',
  PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL:
    'a field was declared with a type that undeclared fields did not have',
  PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL:
    'a field was removed, and undeclared fields must have another type',
  MAX_ITEMS_ADDED: 'lists have a greatest length now, and had none',
  MAX_ITEMS_DECREASED: 'the greatest number of items became smaller',
  MIN_ITEMS_ADDED: 'lists have a least length now, and had none',
  MIN_ITEMS_INCREASED: 'the least number of items became greater',
  UNIQUE_ITEMS_ADDED: 'items must differ now',
  MAX_CONTAINS_ADDED: 'how many items may match is limited now',
  MAX_CONTAINS_DECREASED: 'fewer items may match',
  MIN_CONTAINS_ADDED: 'some items must match now',
  MIN_CONTAINS_INCREASED: 'more items must match',
  ADDITIONAL_ITEMS_REMOVED: 'further items were allowed and are no longer',
  ADDITIONAL_ITEMS_NARROWED: 'further items must fit a schema now',
  UNEVALUATED_ITEMS_REMOVED: 'unevaluated items were allowed and are no longer',
  UNEVALUATED_ITEMS_NARROWED: 'unevaluated items must fit a schema now',
  ITEM_ADDED_TO_OPEN_CONTENT_MODEL:
    'an item was declared that old values may hold with another type',
  ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL: 'an item was removed, and no further ones are allowed',
  ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL:
    'an item was declared with a type that further items did not have',
  ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL:
    'an item was removed, and further items must have another type',
  ENUM_ARRAY_NARROWED: 'values were taken away',
  ENUM_ARRAY_CHANGED: 'values were taken away or replaced',
  COMBINED_TYPE_CHANGED: 'the way in which alternatives combine changed',
  COMBINED_TYPE_SUBSCHEMAS_CHANGED: 'an alternative has no counterpart that reads its values',
  PRODUCT_TYPE_EXTENDED: 'values must fit one more schema',
  SUM_TYPE_NARROWED: 'an alternative was taken away',
  NOT_TYPE_EXTENDED: 'more values are excluded',
} as const

/** The name of a change between two JSON Schemas. */
export type JsonChangeCode = (typeof COMPATIBLE)[number] | keyof typeof INCOMPATIBLE

/** A change, at a place given by the steps that lead to it. */
export interface Change {
  readonly code: JsonChangeCode
  readonly path: readonly string[]
}

const strict: ReadonlySet<string> = new Set(COMPATIBLE)
const lenient: ReadonlySet<string> = new Set([...COMPATIBLE, ...LENIENT])

/** How undeclared properties of open objects are judged: `strict`: they may be there; `lenient`: they never were. */
export type Policy = 'strict' | 'lenient'

/** The changes that a policy lets pass. */
export const compatibleChanges = (policy: Policy): ReadonlySet<string> =>
  policy === 'strict' ? strict : lenient

/** Why a change refuses a schema, as a clause. */
export function reasonOf(code: JsonChangeCode): string {
  return (INCOMPATIBLE as Readonly<Record<string, string>>)[code] ?? 'nothing is lost'
}

/** A change at the place that is being compared. */
export const here = (code: JsonChangeCode): Change => ({ code, path: [] })

/** A change of a keyword of the place that is being compared. */
export const of = (keyword: string, code: JsonChangeCode): Change => ({ code, path: [keyword] })

/** Changes of a part, seen from the whole. */
export const within = (steps: readonly string[], changes: readonly Change[]): readonly Change[] =>
  changes.map(({ code, path }) => ({ code, path: [...steps, ...path] }))
