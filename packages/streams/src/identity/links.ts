/** Every merge and split of the log, as they are in force now and were at any position of the corrections. */
import type { Canonical, IdentityData, IdentityLink } from './contract.ts'

/** One decision on an id. */
export interface LinkDecision {
  /** Offset of its record. */
  readonly at: number
  /** Undefined: it is itself again. */
  readonly into: string | undefined
}

const NONE: readonly LinkDecision[] = []

/** See the head of the file. */
export class PersonLinks {
  readonly #byId = new Map<string, LinkDecision[]>()
  /** Which ids were ever merged into one directly. */
  readonly #sources = new Map<string, Set<string>>()
  /** The ids that records were about, by the offset of the record. */
  readonly #changed: { readonly at: number; readonly ids: readonly string[] }[] = []

  /** Takes what a record at offset `at` says. What would make a person a part of itself has no effect. */
  add(at: number, { links }: Pick<IdentityData, 'links'>): void {
    const ids: string[] = []
    for (const { from, into } of links) {
      // Those of one record come after each other.
      if (into !== null && goesThrough(into, from, id => this.intoAt(id, at + 1))) continue
      const known = this.#byId.get(from)
      const decision = { at, into: into ?? undefined }
      if (known === undefined) this.#byId.set(from, [decision])
      else known.push(decision)
      ids.push(from)
      if (into === null) continue
      const sources = this.#sources.get(into)
      if (sources === undefined) this.#sources.set(into, new Set([from]))
      else sources.add(from)
    }
    this.#changed.push({ at, ids })
  }

  /** True when anybody was ever merged before `position`. */
  isAnyAt(position: number): boolean {
    const [first] = this.#changed
    return first !== undefined && first.at < position
  }

  /** Who an id is, as of a position. */
  canonicalAt(id: string, position: number): string {
    let found = id
    for (;;) {
      const into = intoAt(this.#byId.get(found), position)
      if (into === undefined) return found
      found = into
    }
  }

  /** Into whom an id is merged directly, as of a position. */
  intoAt(id: string, position: number): string | undefined {
    return intoAt(this.#byId.get(id), position)
  }

  /** The function of it; undefined while nobody was merged. */
  at(position: number): Canonical | undefined {
    if (!this.isAnyAt(position)) return undefined
    return id => this.canonicalAt(id, position)
  }

  /** The same if the records at these offsets had never been written. */
  without(leftOut: ReadonlySet<number>): PersonLinks {
    const links = new PersonLinks()
    for (const { at, ids } of this.#changed) {
      if (leftOut.has(at)) continue
      const own = ids.map(from => {
        const { into = null } = this.history(from).find(decided => decided.at === at) ?? {}
        return { from, into }
      })
      links.add(at, { links: own })
    }
    return links
  }

  /** A copy as of a position, in which these links are the next decision. */
  followedBy(position: number, links: readonly IdentityLink[]): PersonLinks {
    const later = this.#changed.filter(({ at }) => at >= position)
    const next = this.without(new Set(later.map(({ at }) => at)))
    next.add(position, { links })
    return next
  }

  /** What was decided on an id, oldest first. */
  history(id: string): readonly LinkDecision[] {
    return this.#byId.get(id) ?? NONE
  }

  /** All ids that are this one now, itself left out, in the order of the text. */
  membersAt(id: string, position: number): readonly string[] {
    const found = this.#descend([id])
    found.delete(id)
    return [...found].filter(other => this.canonicalAt(other, position) === id).sort()
  }

  /** Ids that are somebody else at `to` than at `from`. */
  changed(from: number, to: number): readonly string[] {
    const named = this.#changed.filter(({ at }) => at >= from && at < to).flatMap(({ ids }) => ids)
    return [...this.#descend(named)].filter(
      id => this.canonicalAt(id, from) !== this.canonicalAt(id, to),
    )
  }

  /** Ids, and all that were ever merged into them. */
  #descend(ids: readonly string[]): Set<string> {
    const found = new Set(ids)
    for (const id of found) for (const source of this.#sources.get(id) ?? []) found.add(source)
    return found
  }
}

/** True when `id` is `other`, or is merged into them. */
export function goesThrough(
  id: string,
  other: string,
  intoOf: (id: string) => string | undefined,
): boolean {
  for (let each: string | undefined = id; each !== undefined; each = intoOf(each)) {
    if (each === other) return true
  }
  return false
}

function intoAt(
  decisions: readonly LinkDecision[] | undefined,
  position: number,
): string | undefined {
  if (decisions === undefined) return undefined
  for (let index = decisions.length - 1; index >= 0; index--) {
    const { at, into } = decisions[index] as LinkDecision
    if (at < position) return into
  }
  return undefined
}
