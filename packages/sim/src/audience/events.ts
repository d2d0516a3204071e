/** The events that an audience emits: shape, names, ids. */
import type { AudienceItem } from './catalogue.ts'
import type { AudienceNames } from './options.ts'
import type { AudiencePerson } from './people.ts'

/** An event, as plain data. Events come in order of `atMs`. */
export interface AudienceEvent {
  readonly type: string
  /** Absent when ids are switched off. Unique in an audience, ordered by time (UUID version 8). */
  readonly id?: string
  /** When it happened, whole milliseconds since the epoch. */
  readonly atMs: number
  readonly data: Readonly<Record<string, string | number>>
}

/** The kinds of events, whatever their names in the product. */
export type EventKind = 'watched' | 'liked' | 'hid' | 'shared' | 'studied' | 'enrolled'

/** A part of the history of an audience, in order of time. */
export interface AudienceBatch {
  readonly people: readonly AudiencePerson[]
  readonly items: readonly AudienceItem[]
  readonly events: readonly AudienceEvent[]
}

/** Makes an event of a kind, under the names of the product. */
export function createEventMaker(
  names: AudienceNames,
  nextId: ((atMs: number) => string) | undefined,
): (kind: EventKind, person: string, item: string, amount: number, atMs: number) => AudienceEvent {
  const { viewer, clipMember, learner, courseMember } = names
  const event = (type: string, atMs: number, data: AudienceEvent['data']): AudienceEvent =>
    nextId === undefined ? { type, atMs, data } : { type, id: nextId(atMs), atMs, data }
  return (kind, person, item, amount, atMs) => {
    switch (kind) {
      case 'watched':
        return event(names.watched, atMs, {
          [viewer]: person,
          [clipMember]: item,
          watchedMs: amount,
        })
      case 'studied':
        return event(names.studied, atMs, {
          [learner]: person,
          [courseMember]: item,
          minutes: amount,
        })
      case 'enrolled':
        return event(names.enrolled, atMs, { [learner]: person, [courseMember]: item })
      default:
        return event(names[kind] ?? kind, atMs, { [viewer]: person, [clipMember]: item })
    }
  }
}

/**
 * Ids that sort by time and are unique in an audience: 48 bits of time, version 8, 26 bits of the
 * seed, 48 bits of a counter. Equal seeds give equal ids; building one costs no hash.
 */
export function createEventIds(seedBits: number): (atMs: number) => string {
  const hex = Array.from({ length: 65_536 }, (_, bits) => bits.toString(16).padStart(4, '0'))
  const of = (bits: number): string => hex[bits & 0xffff] as string
  const version = of(0x8000 | (seedBits & 0xfff))
  const variant = of(0x8000 | ((seedBits >>> 12) & 0x3fff))
  let count = 0
  return atMs => {
    count += 1
    const high = Math.floor(atMs / 65_536)
    const counted = Math.floor(count / 65_536)
    return (
      `${of(high >>> 16)}${of(high)}-${of(atMs % 65_536)}-${version}-${variant}-` +
      `${of(Math.floor(counted / 65_536))}${of(counted)}${of(count)}`
    )
  }
}
