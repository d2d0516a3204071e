/**
 * A versioned table of items: every version by event time, so that a join sees what was true when
 * the event happened, however late it is folded. Versions of the same time keep the order of the
 * log; the last one counts.
 */
import type { LogRecord } from '@millrace/log'
import type { FoldDefinition, ShardContext, TableShard } from '../fold.ts'
import { canonicalBytes, parseBytes } from './canonical.ts'

/** Event time and attributes; null after a removal. */
type Version = readonly [atMs: number, attributes: unknown]

/** See the head of the file. */
export class VersionedTable implements TableShard {
  readonly #versions = new Map<string, Version[]>()
  readonly #putType: string

  constructor(kind: string, _context: ShardContext) {
    this.#putType = `${kind}.put`
  }

  fold(record: LogRecord): void {
    const isPut = record.type === this.#putType
    const attributes = isPut ? (record.data as { attributes: unknown }).attributes : null
    const versions = this.#versions.get(record.key)
    const version: Version = [record.eventTimeMs, attributes]
    if (versions === undefined) {
      this.#versions.set(record.key, [version])
      return
    }
    let index = versions.length
    while (index > 0 && (versions[index - 1] as Version)[0] > record.eventTimeMs) index -= 1
    versions.splice(index, 0, version)
  }

  asOf(id: string, timeMs: number): unknown {
    const versions = this.#versions.get(id)
    if (versions === undefined) return undefined
    for (let index = versions.length - 1; index >= 0; index--) {
      const version = versions[index] as Version
      if (version[0] <= timeMs) return version[1] ?? undefined
    }
    return undefined
  }

  /** Event time of the newest version, a removal too; undefined when there was none. */
  newestMs(id: string): number | undefined {
    return this.#versions.get(id)?.at(-1)?.[0]
  }

  /** Event time of the first version since the row was last absent; undefined when it is absent now. */
  sinceMs(id: string): number | undefined {
    const versions = this.#versions.get(id) ?? []
    let since: number | undefined
    for (let index = versions.length - 1; index >= 0; index--) {
      const [atMs, attributes] = versions[index] as Version
      if (attributes === null) break
      since = atMs
    }
    return since
  }

  keys(): Iterable<string> {
    return this.#versions.keys()
  }

  keyCount(): number {
    return this.#versions.size
  }

  encodeKey(key: string): Uint8Array | undefined {
    const versions = this.#versions.get(key)
    return versions === undefined ? undefined : canonicalBytes(versions)
  }

  decodeKey(key: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#versions.delete(key)
    else this.#versions.set(key, parseBytes(bytes) as Version[])
  }
}

/** Name of the fold that keeps the table of an item kind. */
export function tableFoldName(kind: string): string {
  return `table.${kind}`
}

/** The fold that keeps the versioned table of an item kind. */
export function tableFold(kind: string): FoldDefinition<VersionedTable> {
  return {
    name: tableFoldName(kind),
    version: '1',
    source: kind,
    types: [`${kind}.put`, `${kind}.removed`],
    onFailure: 'park',
    createShard: context => new VersionedTable(kind, context),
  }
}
