/**
 * What of an event is personal, and whose: which fields are kept sealed with the key of a person, and
 * which fields name people. It follows from the marks of the definition alone.
 */
import type { App, CompiledEvent } from './app.ts'
import type { Field, Fields } from './schema.ts'

/** The kind of the ids of people. */
const PERSON = 'person'

type Data = Readonly<Record<string, unknown>>

/** What of events of one type is personal. */
export class PersonalEvent {
  /** The stream of the type. */
  readonly stream: string
  /** True when the partition key is the id of a person. */
  readonly isKeyed: boolean
  /** True when a field other than the key may name a person. */
  readonly namesOthers: boolean
  /** Fields that are sealed. */
  readonly fields: ReadonlySet<string>
  /** Where a row has its attributes. */
  readonly #isRow: boolean
  readonly #key: string
  /** Fields that may name a person, those that always name one first. */
  readonly #people: readonly string[]

  constructor({ definition }: CompiledEvent, fields: Fields, seals: 'personal' | 'payload') {
    const named = Object.entries(fields)
    this.stream = definition.stream
    this.isKeyed = definition.stream === PERSON
    this.#isRow = fields !== definition.fields
    this.#key = definition.key
    this.#people = named
      .filter(([name, { ref }]) => ref === PERSON && (this.#isRow || name !== definition.key))
      .toSorted(([, a], [, b]) => rankOf(a) - rankOf(b))
      .map(([name]) => name)
    this.namesOthers = this.#people.length > 0
    const isSealed = ({ isPersonal, ref }: Field<unknown>): boolean =>
      isPersonal || (seals === 'payload' && ref === undefined)
    const isKey = (name: string): boolean => !this.#isRow && name === definition.key
    this.fields = new Set(
      named.filter(([name, field]) => isSealed(field) && !isKey(name)).map(([name]) => name),
    )
  }

  /** The person with whose key an event is sealed: the one that it is keyed by, else the first that it names; undefined when it names none. */
  ownerOf(data: unknown): string | undefined {
    return this.peopleOf(data)[0]
  }

  /** All people that an event names. */
  peopleOf(data: unknown): readonly string[] {
    const people: string[] = []
    const add = (value: unknown): void => {
      if (typeof value === 'string') people.push(value)
      else if (Array.isArray(value)) for (const inner of value) add(inner)
    }
    if (this.isKeyed) add((data as Data | null)?.[this.#key])
    const inner = this.#inner(data)
    for (const name of this.#people) add(inner[name])
    return people
  }

  /** An event with null in place of its personal fields, and these by themselves; undefined when it has none. */
  split(data: unknown): { readonly plain: unknown; readonly personal: Data } | undefined {
    const personal: Record<string, unknown> = {}
    const plain: Record<string, unknown> = {}
    let count = 0
    for (const [name, value] of Object.entries(this.#inner(data))) {
      // Null is what stands in the place of a field that nobody can open any more.
      const isPersonal = value !== null && this.fields.has(name)
      plain[name] = isPersonal ? null : value
      if (!isPersonal) continue
      personal[name] = value
      count += 1
    }
    if (count === 0) return undefined
    if (!this.#isRow) return { plain, personal }
    return { plain: { ...(data as Data), attributes: plain }, personal: { attributes: personal } }
  }

  #inner(data: unknown): Data {
    const inner = this.#isRow ? (data as Data | null)?.['attributes'] : data
    return typeof inner === 'object' && inner !== null ? (inner as Data) : {}
  }
}

function rankOf({ isOptional, schema }: Field<unknown>): number {
  return (schema['type'] === 'array' ? 2 : 0) + (isOptional ? 1 : 0)
}

/** Puts what `split` has parted together again, each field in its place. */
export function joinPersonal(plain: unknown, personal: unknown): unknown {
  const joined: Record<string, unknown> = { ...(plain as Data) }
  for (const [name, value] of Object.entries(personal as Data)) {
    const known = joined[name]
    joined[name] = isObject(known) && isObject(value) ? joinPersonal(known, value) : value
  }
  return joined
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The event types of an app that name people. */
export function personalEvents(app: App): ReadonlyMap<string, PersonalEvent> {
  const { seals = 'personal' } = app.options
  const found = new Map<string, PersonalEvent>()
  for (const [name, event] of app.events) {
    const isPut = event.isTableChange && name.endsWith('.put')
    const row = isPut ? app.tables.get(event.definition.stream)?.definition.fields : undefined
    const personal = new PersonalEvent(event, row ?? event.definition.fields, seals)
    if (personal.isKeyed || personal.namesOthers) found.set(name, personal)
  }
  return found
}
