/** The dry run: what a plan would change, in counts and samples. */
import { isJsonEqual } from '@millrace/log'
import type { ChangeKind, Consequence } from './change-kind.ts'
import { actionOf } from './entries.ts'
import type { Chunk, Entry } from './events.ts'

/** An entry as people are shown it. */
export interface ShownEntry {
  readonly target: string
  readonly action: 'add' | 'change' | 'remove' | 'refused'
  readonly before?: unknown
  readonly after?: unknown
  readonly code?: string
  readonly reason?: string
}

/** What a plan would change. */
export interface Differences {
  readonly adds: number
  readonly changes: number
  readonly removes: number
  /** Changed members of values, by name, the most frequent first. */
  readonly fields: Readonly<Record<string, number>>
  readonly samples: readonly ShownEntry[]
  readonly consequences: readonly Consequence[]
}

/** Adds up the chunks of a plan; `samples` of each action are shown. */
export async function differencesOf(
  kind: ChangeKind,
  chunks: AsyncIterable<Chunk>,
  samples: number,
): Promise<Differences> {
  const counts = { add: 0, change: 0, remove: 0 }
  const fields = new Map<string, number>()
  const shown: Record<ShownEntry['action'], ShownEntry[]> = { add: [], change: [], remove: [], refused: [] } // prettier-ignore
  const changes: Entry[] = []
  for await (const { entries } of chunks) {
    for (const entry of entries) {
      const action = actionOf(entry)
      const list = shown[action ?? 'refused']
      if (list.length < samples) list.push(showEntry(kind, entry))
      if (action === undefined) continue
      counts[action] += 1
      if (kind.consequences !== undefined) changes.push(entry)
      if (action !== 'change') continue
      for (const name of changedFields(entry)) fields.set(name, (fields.get(name) ?? 0) + 1)
    }
  }
  return {
    adds: counts.add,
    changes: counts.change,
    removes: counts.remove,
    fields: Object.fromEntries([...fields].sort((a, b) => b[1] - a[1])),
    samples: [...shown.remove, ...shown.change, ...shown.add, ...shown.refused],
    consequences: (await kind.consequences?.(changes)) ?? [],
  }
}

/** An entry with its personal fields hidden. */
export function showEntry(kind: ChangeKind, entry: Entry): ShownEntry {
  const { target, before, after, refused } = entry
  const action = actionOf(entry)
  if (refused !== undefined || action === undefined)
    return { target, action: 'refused', ...refused }
  const show = (value: unknown): unknown => kind.shown?.(target, value) ?? value
  return {
    target,
    action,
    ...(before === undefined ? {} : { before: show(before) }),
    ...(after === undefined ? {} : { after: show(after) }),
  }
}

/** The members in which two objects differ. */
function changedFields({ before, after }: Entry): readonly string[] {
  if (!isObject(before) || !isObject(after)) return []
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].filter(name => !isJsonEqual(before[name], after[name]))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
