/** What was decided between two moments: corrections and merges by changeset, and versions of a fold. */
import type { EventLog, LogRecord } from '@millrace/log'
import type { CorrectionBook } from '../corrections/book.ts'
import { CORRECTED_TYPE, CORRECTIONS_STREAM, type CorrectionData } from '../corrections/contract.ts'
import type { FoldDefinition } from '../fold.ts'
import { IDENTIFIED_TYPE, type IdentityData } from '../identity/contract.ts'
import { REBUILDS_STREAM } from '../rebuilds/events.ts'
import type { FoldRunner } from '../runner.ts'

/** Decisions that are taken away together: those of one changeset. */
export interface DecisionGroup {
  readonly kind: 'changeset' | 'merge'
  readonly name: string
  readonly by: string
  readonly reason: string
  /** Offsets of their records. */
  readonly offsets: Set<number>
  /** Events or ids that they name. */
  size: number
}

/** Groups that are measured each by itself; the others are measured together. */
const GROUPS_MAX = 12

/** How many records of corrections had arrived by then. */
export async function correctedAt(log: EventLog, timeMs: number): Promise<number> {
  return await log.seek({ stream: CORRECTIONS_STREAM, partition: 0, timeMs: timeMs + 1 })
}

/** What was decided from offset `from` of the corrections to `to`. */
export async function groupsBetween(
  log: Pick<EventLog, 'read'>,
  from: number,
  to: number,
): Promise<readonly DecisionGroup[]> {
  const groups = new Map<string, DecisionGroup>()
  for await (const { type, id, offset, data } of recordsOf(log, CORRECTIONS_STREAM, from, to)) {
    if (type !== CORRECTED_TYPE && type !== IDENTIFIED_TYPE) continue
    const kind = type === CORRECTED_TYPE ? 'changeset' : 'merge'
    const { changeset, by, reason } = data as CorrectionData | IdentityData
    const { follows, events = [] } = data as Partial<CorrectionData>
    const { links = [] } = data as Partial<IdentityData>
    const name = follows === undefined ? (changeset ?? id) : `what ${follows.fold} emitted`
    const known = groups.get(`${kind}\n${name}`)
    const group = known ?? { kind, name, by, reason, offsets: new Set<number>(), size: 0 }
    group.offsets.add(offset)
    group.size += events.length + links.length
    groups.set(`${kind}\n${name}`, group)
  }
  return [...groups.values()]
}

/** So many groups that all can be measured: the largest, and the others as one of each kind. */
export function fewGroups(groups: readonly DecisionGroup[]): readonly DecisionGroup[] {
  if (groups.length <= GROUPS_MAX) return groups
  const bySize = [...groups].sort((a, b) => b.size - a.size)
  const others = bySize.slice(GROUPS_MAX)
  const rest = (['changeset', 'merge'] as const).flatMap(kind => {
    const own = others.filter(group => group.kind === kind)
    if (own.length === 0) return []
    const offsets = new Set(own.flatMap(group => [...group.offsets]))
    const size = own.reduce((sum, group) => sum + group.size, 0)
    const reason = own.map(({ name }) => name).join(', ')
    return [{ kind, name: `${own.length} others`, by: 'several', reason, offsets, size }]
  })
  return [...bySize.slice(0, GROUPS_MAX), ...rest]
}

/** The groups that decided on a record of a history, and all that merge people. */
export async function groupsOn(
  book: CorrectionBook,
  groups: readonly DecisionGroup[],
  history: AsyncIterable<LogRecord>,
): Promise<readonly DecisionGroup[]> {
  const decided = new Set<number>()
  for await (const record of history) {
    for (const offset of book.decisionsOn(record)) decided.add(offset)
  }
  return groups.filter(
    ({ kind, offsets }) => kind === 'merge' || [...offsets].some(offset => decided.has(offset)),
  )
}

/** The versions of a fold that were served at two times, with what is not known of them. */
export async function versionsBetween(
  log: EventLog,
  runner: FoldRunner,
  [fromMs, toMs]: readonly [number, number],
): Promise<{
  readonly before: FoldDefinition
  readonly after: FoldDefinition
  readonly unmeasured: readonly string[]
}> {
  const switched: { readonly atMs: number; readonly before: string; readonly after: string }[] = []
  for await (const { key, type, ingestTimeMs: atMs, data } of recordsOf(log, REBUILDS_STREAM, 0)) {
    if (key !== runner.name || type !== 'rebuild.switched') continue
    const { before, version } = data as { before: { version: string }; version: string }
    switched.push({ atMs, before: before.version, after: version })
  }
  const versionAt = (timeMs: number): string =>
    switched.findLast(({ atMs }) => atMs <= timeMs)?.after ??
    switched[0]?.before ??
    runner.definition.version
  const [first, second] = [versionAt(fromMs), versionAt(toMs)]
  const codeOf = (version: string): FoldDefinition | undefined =>
    runner.versions.find(({ definition }) => definition.version === version)?.definition
  const after = codeOf(second) ?? runner.definition
  const before = codeOf(first) ?? after
  const unmeasured =
    first === second || codeOf(first) !== undefined
      ? []
      : [`version ${first} of ${runner.name} became ${second}: its code is not here any more, so both moments are told by that of now`] // prettier-ignore
  return { before, after, unmeasured }
}

async function* recordsOf(
  log: Pick<EventLog, 'read'>,
  stream: string,
  first: number,
  to = Infinity,
): AsyncGenerator<LogRecord> {
  for (let from = first; from < to;) {
    const records = await log.read({ stream, partition: 0, from })
    for (const record of records) if (record.offset < to) yield record
    if (records.length === 0) return
    from += records.length
  }
}
