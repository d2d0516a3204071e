/**
 * Which table entries each key read, and when last (event time): what tells, when a version arrives
 * late, which keys saw the table without it.
 */

/** Reads of one key: by `kind id`, the greatest event time. */
export type KeyReads = Readonly<Record<string, number>>

/** A row of a table that keys have read. */
interface Entry {
  readonly kind: string
  readonly id: string
  readonly readers: Set<string>
}

/** See the head of the file. */
export class TableReads {
  readonly #byKey = new Map<string, Map<Entry, number>>()
  readonly #entries = new Map<string, Map<string, Entry>>()

  note(key: string, kind: string, id: string, atMs: number): void {
    const entry = this.#entries.get(kind)?.get(id) ?? this.#addEntry(kind, id)
    let own = this.#byKey.get(key)
    if (own === undefined) this.#byKey.set(key, (own = new Map<Entry, number>()))
    const before = own.get(entry)
    if (before === undefined) entry.readers.add(key)
    if (before === undefined || atMs > before) own.set(entry, atMs)
  }

  of(key: string): KeyReads | undefined {
    const own = this.#byKey.get(key)
    if (own === undefined) return undefined
    const reads: Record<string, number> = {}
    for (const [{ kind, id }, atMs] of own) reads[entryName(kind, id)] = atMs
    return reads
  }

  replace(key: string, reads: KeyReads | undefined): void {
    for (const entry of this.#byKey.get(key)?.keys() ?? []) {
      entry.readers.delete(key)
      if (entry.readers.size === 0) this.#entries.get(entry.kind)?.delete(entry.id)
    }
    this.#byKey.delete(key)
    for (const [entry, atMs] of Object.entries(reads ?? {})) {
      const [kind, id] = splitName(entry)
      this.note(key, kind, id, atMs)
    }
  }

  /** Keys that read the entry at or after `fromMs`. */
  *readersOf(kind: string, id: string, fromMs: number): Iterable<string> {
    const entry = this.#entries.get(kind)?.get(id)
    if (entry === undefined) return
    for (const key of entry.readers) {
      if ((this.#byKey.get(key)?.get(entry) ?? Number.NEGATIVE_INFINITY) >= fromMs) yield key
    }
  }

  #addEntry(kind: string, id: string): Entry {
    let own = this.#entries.get(kind)
    if (own === undefined) this.#entries.set(kind, (own = new Map<string, Entry>()))
    const entry = { kind, id, readers: new Set<string>() }
    own.set(id, entry)
    return entry
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
