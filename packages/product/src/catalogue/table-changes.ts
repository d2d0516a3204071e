/**
 * Which keys of a table changed: noted by the fold as it goes, so that what is derived from the
 * table (numbers, lists, indexes) is brought up to date without scanning it.
 *
 * Only names are noted; readers look the values up in the live fold. A rebuild beside the live state
 * notes keys too, which costs a look and changes nothing.
 */
import type { App } from '@millrace/core'
import type { FoldDefinition, TableShard } from '@millrace/streams'

/** Keys that changed since the last look. */
export interface ChangedKeys {
  /** Takes the keys; the next look starts empty. */
  take(): ReadonlySet<string>
  readonly size: number
  close(): void
}

class TableChanges {
  readonly #listeners = new Set<Set<string>>()

  note(key: string): void {
    for (const keys of this.#listeners) keys.add(key)
  }

  subscribe(): ChangedKeys {
    let keys = new Set<string>()
    this.#listeners.add(keys)
    const listeners = this.#listeners
    return {
      take() {
        const taken = keys
        listeners.delete(keys)
        keys = new Set()
        listeners.add(keys)
        return taken
      },
      get size() {
        return keys.size
      },
      close: () => void listeners.delete(keys),
    }
  }
}

const byApp = new WeakMap<App, Map<string, TableChanges>>()

function changesOf(app: App, kind: string): TableChanges {
  let byKind = byApp.get(app)
  if (byKind === undefined) {
    byKind = new Map()
    byApp.set(app, byKind)
  }
  let changes = byKind.get(kind)
  if (changes === undefined) {
    changes = new TableChanges()
    byKind.set(kind, changes)
  }
  return changes
}

/** The keys of a table that change from now on. */
export function subscribeTable(app: App, kind: string): ChangedKeys {
  return changesOf(app, kind).subscribe()
}

const noted = new WeakSet<object>()

/** True for a definition that `noteChanges` made. */
export function notesChanges(definition: FoldDefinition): boolean {
  return noted.has(definition)
}

/** The same fold, which also notes the keys that change. */
export function noteChanges<Shard extends TableShard>(
  app: App,
  kind: string,
  definition: FoldDefinition<Shard>,
): FoldDefinition<Shard> {
  const changes = changesOf(app, kind)
  const noting: FoldDefinition<Shard> = {
    ...definition,
    createShard(context) {
      const shard = definition.createShard(context)
      const { fold, decodeKey, invert } = shard
      shard.fold = (record, output) => {
        fold.call(shard, record, output)
        changes.note(record.key)
      }
      shard.decodeKey = (key, bytes) => {
        decodeKey.call(shard, key, bytes)
        changes.note(key)
      }
      if (invert !== undefined) {
        shard.invert = record => {
          changes.note(record.key)
          return invert.call(shard, record)
        }
      }
      return shard
    },
  }
  noted.add(noting)
  return noting
}
