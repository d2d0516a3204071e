/**
 * Whether what is sealed in a backup can be opened by the keys of its store: of each person the first
 * sealed record is tried. A key that was destroyed is no fault: somebody was erased.
 */
import { isError } from '@millrace/core'
import type { LogRecord } from '../log.ts'
import type { KeyEntry } from '../sealing/keys.ts'
import { unseal } from '../sealing/seal.ts'
import { placeOf } from '../sealing/sealing-log.ts'

const SAMPLES = 3

/** See the head of the file. */
export class SealCheck {
  readonly #keys: ReadonlyMap<string, Uint8Array | undefined>
  readonly #seen = new Set<string>()
  readonly #absent: string[] = []
  readonly #wrong: string[] = []

  constructor(entries: readonly KeyEntry[]) {
    this.#keys = new Map(entries.map(({ name, key }) => [name, key]))
  }

  /** Looks at a record. */
  look(record: LogRecord): void {
    const { sealed } = record
    if (sealed === undefined || this.#seen.has(sealed.person)) return
    const { person, bytes } = sealed
    this.#seen.add(person)
    const key = this.#keys.get(person)
    if (key !== undefined) {
      try {
        unseal(key, bytes, placeOf(record, person))
      } catch (error) {
        if (!isError(error, 'SEAL_BROKEN')) throw error
        this.#wrong.push(person)
      }
    } else if (!this.#keys.has(person)) this.#absent.push(person)
  }

  /** Why something cannot be opened; empty when all of it can. */
  reasons(): readonly string[] {
    const told = (people: readonly string[], what: string): readonly string[] =>
      people.length === 0
        ? []
        : [`${what} of ${people.length} people, such as ${people.slice(0, SAMPLES).join(', ')}: their personal fields cannot be read`] // prettier-ignore
    return [
      ...told(this.#absent, 'the store has no key, and no note that it was destroyed,'),
      ...told(this.#wrong, 'what is sealed does not match the key'),
    ]
  }
}
