/**
 * Data of events inside the data of other records: decisions on dead letters and on corrections, and
 * what changesets would write. Each is sealed where it stands, with the key of its own person: its
 * personal fields give way to a member `$sealed` of the person and of the sealed bytes.
 */

/** The member that stands in place of personal fields. No declared field can have its name. */
export const SEALED_MEMBER = '$sealed'

/** Data of an event, where it stands in that of another record. */
export interface Spot {
  readonly data: Readonly<Record<string, unknown>>
  /** Types that the event may be of. */
  readonly types: readonly string[]
}

/** Finds events in the data of a record, and gives it with others in their place. */
export type ReplaceNested = (data: unknown, replace: (spot: Spot) => unknown) => unknown

/** A member of plain data as it is sealed. */
export type SealedMember = readonly [person: string, bytes: string]

/** The sealed member of nested data, if it has one. */
export function sealedMember(data: Readonly<Record<string, unknown>>): SealedMember | undefined {
  return data[SEALED_MEMBER] as SealedMember | undefined
}
