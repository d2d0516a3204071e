/**
 * Which ids of people are one person.
 *
 * Promise: a merge is a record of the log, durable before it has an effect, and holds for every fold
 * that says which fields of its events name people (`FoldDefinition.people`): the events of the one
 * count as the other's, those that arrive later too. Taken back, each has exactly what came under its
 * own id. Nothing is rewritten (docs/adr/0020-identity.md).
 */

/** The kind of entity whose ids can be merged, and the stream of the events that it is the key of. */
export const PERSON = 'person'
/** The type of a record that merges or splits people, on the stream of corrections: all of them have one order. */
export const IDENTIFIED_TYPE = 'identified'
/** Header of a record that stands in for another under a key that this one had not: its partition and offset. */
export const ORIGIN_HEADER = 'origin'
/** Header of a record that stands in on the stream of people: the id that it came under. */
export const ALIAS_HEADER = 'alias'
/** The generation of records that stand in on the stream of people: whoever re-keys it has the event already. */
export const MERGED = 2 ** 32 - 1

/** One decision: `from` is `into` from here on; null: it is itself again. */
export interface IdentityLink {
  readonly from: string
  readonly into: string | null
}

/** The data of such a record. */
export interface IdentityData {
  /** What it is a part of, as the caller names it. */
  readonly changeset?: string
  readonly links: readonly IdentityLink[]
  readonly reason: string
  /** Who decided it. */
  readonly by: string
}

/** Who an id is; itself when nobody merged it. */
export type Canonical = (id: string) => string

/** The fields that name people, by event type. */
export type PersonFields = ReadonlyMap<string, readonly string[]>

/** An event type that names people. */
export interface PersonEvent {
  readonly type: string
  readonly stream: string
  /** The field that gives its key. */
  readonly key: string
  readonly fields: readonly string[]
}
