/** Which fields of declared events name people. */
import type { EventDefinition } from '@millrace/core'
import { PERSON, type PersonEvent, type PersonFields } from './contract.ts'

/** The events that name people, with the fields that do. */
export function personEvents(events: Iterable<EventDefinition>): readonly PersonEvent[] {
  return [...events].flatMap(({ name: type, stream, key, fields }) => {
    const named = Object.keys(fields).filter(field => fields[field]?.ref === PERSON)
    return named.length === 0 ? [] : [{ type, stream, key, fields: named }]
  })
}

/** The same by type, as `FoldDefinition.people` has it. */
export function personFields(events: Iterable<EventDefinition>): PersonFields {
  return new Map(personEvents(events).map(({ type, fields }) => [type, fields]))
}
