/** What merges and splits would touch, before they are made. */
import type { AffectedFold } from '../corrections/control.ts'
import type { CorrectionBook } from '../corrections/book.ts'
import type { Corrections } from '../corrections/contract.ts'
import type { Corrector } from '../corrections/corrector.ts'
import { keysOf } from '../corrections/lane-changes.ts'
import type { FoldRunner } from '../runner.ts'
import type { Canonical, IdentityLink } from './contract.ts'
import { goesThrough } from './links.ts'

/** What it stands on. */
export interface AffectedPorts {
  readonly book: CorrectionBook
  readonly corrector: Corrector
  readonly runners: readonly FoldRunner[]
}

const SAMPLES_MAX = 20

/** The keys that each fold would fold again if these links were the next ones; those that would close a circle are left out. */
export async function affectedBy(
  { book, corrector, runners }: AffectedPorts,
  links: readonly IdentityLink[],
): Promise<readonly AffectedFold[]> {
  const { people, position } = book
  const asked = new Map<string, string | undefined>()
  const intoOf = (id: string): string | undefined =>
    asked.has(id) ? asked.get(id) : people.intoAt(id, position)
  for (const { from, into } of links) {
    if (into === null || !goesThrough(into, from, intoOf)) asked.set(from, into ?? undefined)
  }
  const canonical: Canonical = id => {
    const into = intoOf(id)
    return into === undefined ? id : canonical(into)
  }
  const named = links.flatMap(({ from }) => [from, ...people.membersAt(from, position)])
  const ids = [...new Set(named)].filter(id => canonical(id) !== people.canonicalAt(id, position))
  const before = book.head()
  const after: Corrections = { ...before, canonical }
  const folds: AffectedFold[] = []
  for (const runner of runners) {
    if (runner.definition.isRekeying === true) continue
    const keys = new Set<string>()
    let records = 0
    for (const { lane } of runner.lanes) {
      const touched = await corrector.touchedByPeople(lane, ids, { before, after })
      records += touched.records.length
      for (const key of [...keysOf(lane, touched.records), ...touched.keys]) keys.add(key)
    }
    if (keys.size === 0) continue
    const samples = [...keys].slice(0, SAMPLES_MAX)
    const emits = (runner.definition.targets?.length ?? 0) > 0
    folds.push({ fold: runner.name, records, keys: keys.size, samples, emits })
  }
  return folds
}
