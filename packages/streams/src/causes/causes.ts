/** Measures causes: see `contract.ts`. */
import type { LogRecord } from '@millrace/log'
import type { FoldDefinition, FoldShard } from '../fold.ts'
import type { Lane } from '../lane.ts'
import type { FoldRunner } from '../runner.ts'
import type { Cause, Causes, CausesRequest } from './contract.ts'
import { fewGroups, groupsBetween, groupsOn, type DecisionGroup } from './decided.ts'
import { foldWorlds, type FoldedLane, type FoldedWorld } from './folding.ts'
import { isKnown, Span, type Bounds, type CausesPorts } from './span.ts'
import { changedFields, comparable, effectsOf, KeyNumbers, ranked, Sums } from './values.ts' // prettier-ignore

/** Of a fold that reads more types, they are taken away together. */
const TYPES_MAX = 8

/** A world that is folded beside the two that are compared, to tell one cause. */
interface Candidate {
  readonly cause: Pick<Cause, 'kind' | 'name' | 'by' | 'reason'>
  readonly world: (bounds: Bounds) => FoldedWorld
  /** True where its effect is what it does to the earlier moment; default: what it takes from the later one. */
  readonly isFirst?: true
  /** True for records that it is about; absent where it is about none. */
  readonly isOf?: (record: LogRecord, bounds: Bounds) => boolean
}

/** Tells what changed, and why. Throws as reads of the past, REPLAY_INVALID for moments in the wrong order, CAUSES_TOO_LARGE. */
export async function causesOf(
  ports: CausesPorts,
  runner: FoldRunner,
  request: CausesRequest,
): Promise<Causes> {
  const span = await Span.open(ports, runner, request)
  const groups = await decidedOn(ports, span, request.key)
  const candidates = [
    ...timeCandidates(span),
    ...trafficCandidates(span),
    ...groups.map(group => groupCandidate(ports, span, group)),
    ...definitionCandidates(span),
  ]
  const measured = new Measured(request, candidates)
  for (const lane of span.lanes) {
    const bounds = await span.boundsOf(lane)
    const worlds = [
      span.worldBefore(bounds),
      span.world(bounds),
      ...candidates.map(({ world }) => world(bounds)),
    ]
    await span
      .withTables(async () => {
        const counts = candidates.map(() => 0)
        const records = (): AsyncIterable<LogRecord> =>
          counted(span.records(lane, bounds), candidates, { bounds, counts: counts.fill(0) })
        const lanes = await foldWorlds(ports, lane, worlds, records)
        // Rows that are missing make it another time.
        return () => measured.take(worlds, lanes, counts)
      })
      .then(take => take())
  }
  return { from: span.instants.from.position, to: span.instants.to.position, unmeasured: span.unmeasured, ...measured.told() } // prettier-ignore
}

async function* counted(
  records: AsyncIterable<LogRecord>,
  candidates: readonly Candidate[],
  { bounds, counts }: { readonly bounds: Bounds; readonly counts: number[] },
): AsyncGenerator<LogRecord> {
  for await (const record of records) {
    for (const [at, { isOf }] of candidates.entries()) {
      if (isOf?.(record, bounds) === true) counts[at] = (counts[at] as number) + 1
    }
    yield record
  }
}

async function decidedOn(
  ports: CausesPorts,
  span: Span,
  key: string | undefined,
): Promise<readonly DecisionGroup[]> {
  const { from, to } = span.corrected
  const groups = await groupsBetween(ports.log, from, to)
  const few = fewGroups(groups)
  if (few === groups || key === undefined) return few
  const [lane] = span.lanes as [Lane]
  const history = span.records(lane, await span.boundsOf(lane))
  return fewGroups(await groupsOn(ports.book, groups, history))
}

/** What the passing of time, and rows that arrived, do to the earlier value alone. */
function timeCandidates(span: Span): readonly Candidate[] {
  const { runner } = span
  const bound = ({ from, to }: Bounds): FoldedWorld['bound'] => ({
    ...to,
    has: record => isKnown(from, record),
  })
  const isTimed = runner.lanes.some(({ lane: { shard } }) => shard.advance !== undefined)
  const isJoined = (runner.definition.tables ?? []).length > 0
  const time: Candidate = {
    cause: { kind: 'time', name: 'all' },
    isFirst: true,
    world: bounds => span.worldBefore(bounds, { bound: bound(bounds) }),
  }
  const rows: Candidate = {
    cause: { kind: 'rows', name: 'all' },
    isFirst: true,
    world: bounds => span.worldBefore(bounds, { tables: span.tables('to', span.corrections.from) }),
  }
  return [...(isTimed ? [time] : []), ...(isJoined ? [rows] : [])]
}

/** Records that arrived between the moments, by type. */
function trafficCandidates(span: Span): readonly Candidate[] {
  const { types = [] } = span.runner.definition
  const names = types.length === 0 || types.length > TYPES_MAX ? ['all'] : types
  return names.map(name => {
    const isOf = (record: LogRecord, { from, to }: Bounds): boolean => {
      const isNamed = name === 'all' || record.type === name
      return isNamed && isKnown(to, record) && !isKnown(from, record)
    }
    const has = (bounds: Bounds) => (record: LogRecord) =>
      isKnown(bounds.to, record) && !isOf(record, bounds)
    return {
      cause: { kind: 'traffic', name },
      isOf,
      world: bounds => span.world(bounds, { bound: { ...bounds.to, has: has(bounds) } }),
    }
  })
}

function groupCandidate(
  { book }: CausesPorts,
  span: Span,
  { kind, name, by, reason, offsets }: DecisionGroup,
): Candidate {
  const corrections = book.without(span.corrected.to, offsets)
  return {
    cause: { kind, name, by, reason },
    ...(kind === 'merge'
      ? {}
      : { isOf: record => book.decisionsOn(record).some(offset => offsets.has(offset)) }),
    world: bounds => span.world(bounds, { corrections }),
  }
}

function definitionCandidates(span: Span): readonly Candidate[] {
  const { from, to } = span.definitions
  if (from === to) return []
  return [
    {
      cause: { kind: 'definition', name: `${from.version} -> ${to.version}` },
      world: bounds => span.world(bounds, { definition: from }),
    },
  ]
}

/** Gathers the values of all worlds, partition by partition. */
class Measured {
  readonly #request: CausesRequest
  readonly #candidates: readonly Candidate[]
  readonly #counts: number[]
  readonly #sums: readonly Sums[]
  readonly #keys: KeyNumbers
  /** Of one key: what each world says. */
  #values: readonly unknown[] = []
  #isParked = false

  constructor(request: CausesRequest, candidates: readonly Candidate[]) {
    this.#request = request
    this.#candidates = candidates
    this.#counts = candidates.map(() => 0)
    this.#sums = [undefined, undefined, ...candidates].map(() => new Sums())
    this.#keys = new KeyNumbers(request.rate)
  }

  take(
    worlds: readonly FoldedWorld[],
    lanes: readonly FoldedLane[],
    counts: readonly number[],
  ): void {
    const { key: only } = this.#request
    for (const [at, count] of counts.entries()) this.#counts[at] = (this.#counts[at] as number) + count // prettier-ignore
    const read = (at: number, key: string): unknown =>
      this.#valueOf((worlds[at] as FoldedWorld).definition, (lanes[at] as FoldedLane).shard, key)
    const { parked } = lanes[1] as FoldedLane
    if (only !== undefined) {
      this.#values = lanes.map((_, at) => read(at, only))
      this.#isParked = parked.has(only)
      return
    }
    this.#isParked ||= parked.size > 0
    for (const [at, { shard }] of lanes.entries()) {
      for (const key of shard.keys()) this.#sums[at]?.add(read(at, key))
    }
    const [before, after] = lanes as readonly [FoldedLane, FoldedLane]
    for (const key of new Set([...before.shard.keys(), ...after.shard.keys()])) {
      this.#keys.add(key, read(0, key), read(1, key))
    }
  }

  #valueOf({ readKey }: FoldDefinition, shard: FoldShard, key: string): unknown {
    const { read = readKey } = this.#request
    return comparable(structuredClone(read?.(shard, key)))
  }

  told(): Pick<Causes, 'fields' | 'causes' | 'keys' | 'rate' | 'isParked'> {
    const { key, rate } = this.#request
    const values = key === undefined ? this.#sums.map(sums => sums.value(rate)) : this.#values
    const [before, after, ...others] = values
    const causes = this.#candidates.map(({ cause, isFirst, isOf }, at): Cause => {
      const own = others[at]
      const effects = isFirst === true ? effectsOf(before, own) : effectsOf(own, after)
      return { ...cause, ...(isOf === undefined ? {} : { records: this.#counts[at] }), effects } // prettier-ignore
    })
    const fields = changedFields(before, after, causes)
    const told = { fields, causes: ranked(causes), isParked: this.#isParked }
    if (key !== undefined) return told
    const field = rate?.of ?? fields.find(({ difference }) => difference !== undefined)?.field ?? ''
    const keys = this.#keys.largest(field)
    if (rate === undefined) return { ...told, keys }
    const [first, second] = this.#sums as readonly [Sums, Sums]
    return { ...told, keys, rate: this.#keys.changedRate(rate, first, second) }
  }
}
