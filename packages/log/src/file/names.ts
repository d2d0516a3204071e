/** The numbers of names: types, definitions and tenants are written once and then as small integers. */
import { logErrors } from '../errors.ts'

export const NAME_SPACES = ['type', 'definition', 'tenant'] as const
export type NameSpace = (typeof NAME_SPACES)[number]

const NAMES_MAX: Readonly<Record<NameSpace, number>> = {
  type: 0x10000,
  definition: 0x10000,
  tenant: 0xffffffff,
}

/** The names of one space. Numbers count from 0 and are never given out twice. */
export class Names {
  readonly space: NameSpace
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []
  #lastName: string | undefined
  #lastNumber = 0

  constructor(space: NameSpace, names: readonly string[] = []) {
    this.space = space
    for (const name of names) this.add(name)
  }

  /** The number of a name, or undefined. */
  find(name: string): number | undefined {
    if (name === this.#lastName) return this.#lastNumber
    const number = this.#numbers.get(name)
    if (number !== undefined) {
      this.#lastName = name
      this.#lastNumber = number
    }
    return number
  }

  /** Gives a name the next number. */
  add(name: string): number {
    const number = this.#names.length
    this.#names.push(name)
    this.#numbers.set(name, number)
    return number
  }

  /** Refuses a new name when there is no number left for it. */
  check(name: string, index: number): void {
    if (this.#names.length < NAMES_MAX[this.space] || this.find(name) !== undefined) return
    const reason = `there are too many names of the kind ${this.space}`
    throw logErrors.create('LOG_EVENT_INVALID', { index, reason })
  }

  nameOf(number: number): string | undefined {
    return this.#names[number]
  }

  list(): readonly string[] {
    return this.#names
  }
}

/** The names of all spaces. */
export interface NameTable {
  readonly type: Names
  readonly definition: Names
  readonly tenant: Names
}

/** An empty table; the default tenant is number 0 and the empty definition is number 0. */
export function createNameTable(): NameTable {
  return {
    type: new Names('type'),
    definition: new Names('definition'),
    tenant: new Names('tenant'),
  }
}
