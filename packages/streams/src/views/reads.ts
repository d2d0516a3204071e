/**
 * Which table entries each key read, and when last (event time): what tells, when a version arrives
 * late, which keys saw the table without it.
 */

/** Reads of one key: by `kind id`, the greatest event time. */
export type KeyReads = Readonly<Record<string, number>>

/** See the head of the file. */
export class TableReads {
  readonly #byKey = new Map<string, Map<string, number>>()
  readonly #byEntry = new Map<string, Set<string>>()

  note(key: string, kind: string, id: string, atMs: number): void {
    const entry = entryName(kind, id)
    let own = this.#byKey.get(key)
    if (own === undefined) this.#byKey.set(key, (own = new Map<string, number>()))
    const before = own.get(entry)
    if (before === undefined) {
      let keys = this.#byEntry.get(entry)
      if (keys === undefined) this.#byEntry.set(entry, (keys = new Set()))
      keys.add(key)
    }
    if (before === undefined || atMs > before) own.set(entry, atMs)
  }

  of(key: string): KeyReads | undefined {
    const own = this.#byKey.get(key)
    return own === undefined ? undefined : Object.fromEntries(own)
  }

  replace(key: string, reads: KeyReads | undefined): void {
    for (const entry of this.#byKey.get(key)?.keys() ?? []) {
      const keys = this.#byEntry.get(entry)
      keys?.delete(key)
      if (keys?.size === 0) this.#byEntry.delete(entry)
    }
    this.#byKey.delete(key)
    for (const [entry, atMs] of Object.entries(reads ?? {})) {
      const [kind, id] = splitName(entry)
      this.note(key, kind, id, atMs)
    }
  }

  /** Keys that read the entry at or after `fromMs`. */
  *readersOf(kind: string, id: string, fromMs: number): Iterable<string> {
    const entry = entryName(kind, id)
    for (const key of this.#byEntry.get(entry) ?? []) {
      if ((this.#byKey.get(key)?.get(entry) ?? Number.NEGATIVE_INFINITY) >= fromMs) yield key
    }
  }

  keys(): Iterable<string> {
    return this.#byKey.keys()
  }
}

/** Kinds have no blank. */
function entryName(kind: string, id: string): string {
  return `${kind} ${id}`
}

function splitName(entry: string): [kind: string, id: string] {
  const blank = entry.indexOf(' ')
  return [entry.slice(0, blank), entry.slice(blank + 1)]
}
