/** The events behind the value of a feature: those in its window that changed it, in the order in which they counted. */
import { isDeepStrictEqual } from 'node:util'
import type { Clock, FeatureValue } from '@millrace/core'
import {
  CELL_STATUSES,
  createCellRow,
  featureFoldName,
  featuresErrors,
  type CompiledFeatures,
  type FeaturePlan,
  type FeatureShard,
  type KeyValues,
  type PlannedFeature,
  type TimeSpan,
} from '@millrace/features'
import { eventIdOf, type Change, type Moment, type Streams } from '@millrace/streams'

/** Changes of the key that are looked at together. */
const LOOKED_AT = 500

/** Which value, and which page of the events behind it. */
export interface ExplainRequest {
  readonly view: string
  readonly feature: string
  readonly entity: string
  /** Of a view of pairs: what the entity is paired with. */
  readonly pair: string
  /** Default: now. */
  readonly at?: Moment | undefined
  /** Where its window ends, if that is behind the watermark. Default: at `at`; of a position at the watermark. */
  readonly endsMs?: number | undefined
  /** Go on behind this one: the `next` of the page before. */
  readonly after?: number | undefined
  readonly limit: number
}

/** An event behind a value. */
export interface FeatureCause {
  /** Id of the event as it was sent, also where its record was re-keyed. */
  readonly id: string
  readonly type: string
  readonly atMs: number
  readonly arrivedMs: number
  /** What the feature was when the event came, and by it; undefined for nothing. */
  readonly before: FeatureValue | undefined
  readonly after: FeatureValue | undefined
}

/** A value, and a page of the events behind it. */
export interface FeatureExplanation {
  readonly value: unknown
  readonly status: string
  /** The moment at which its window ends. */
  readonly atMs: number
  readonly events: readonly FeatureCause[]
  readonly next?: number
  /** True when the key waits for a repair: what came behind that changed nothing. */
  readonly isParked: boolean
}

/** What is read. */
export interface ExplainPorts {
  readonly streams: Pick<Streams, 'past' | 'reflected' | 'identities'>
  readonly clock: Clock
  readonly compiled: CompiledFeatures
}

/** Explains a value, from the history of its key. Rejects with FEATURE_UNKNOWN and as reads of the past do. */
export async function explainFeature(
  { streams, clock, compiled }: ExplainPorts,
  request: ExplainRequest,
): Promise<FeatureExplanation> {
  const { plan, feature } = plannedFeature(compiled, request)
  const fold = featureFoldName(plan.name)
  const key = plan.entity === 'person' ? streams.identities.canonical(request.entity) : request.entity // prettier-ignore
  const at = request.at ?? { position: streams.reflected([fold]) }
  const state = await streams.past.state<FeatureShard>({ fold, key, at })
  const momentMs = request.at === undefined ? clock.nowMs() : 'timeMs' in at ? at.timeMs : 0
  const atMs = Math.max(request.endsMs ?? momentMs, state.shard.watermarkMs, 0)
  const row = createCellRow(1)
  const { pair: subKey } = request
  state.shard.read({ plan, key, subKey, features: [feature.index], tMs: atMs }, row, [0])
  const span = state.shard.spanOf(key, subKey, feature.name, atMs)
  const { events, next } = await causesOf(streams, { feature, fold, key, at, span }, request)
  return {
    value: row.others[0] ?? row.values[0],
    status: CELL_STATUSES[row.statuses[0] as number] as string,
    atMs,
    events,
    ...(next === undefined ? {} : { next }),
    isParked: state.isParked,
  }
}

function plannedFeature(
  { plans }: CompiledFeatures,
  { view, feature: name }: ExplainRequest,
): { readonly plan: FeaturePlan; readonly feature: PlannedFeature } {
  const plan = plans.get(view)
  const feature = plan?.features.find(own => own.name === name)
  if (plan !== undefined && feature !== undefined) return { plan, feature }
  throw featuresErrors.create('FEATURE_UNKNOWN', { feature: `${view}.${name}` })
}

interface Scope {
  readonly feature: PlannedFeature
  readonly fold: string
  readonly key: string
  readonly at: Moment
  /** From when to when events count. */
  readonly span: TimeSpan | undefined
}

async function causesOf(
  { past }: Pick<Streams, 'past'>,
  { feature, fold, key, at, span }: Scope,
  { pair, after, limit }: ExplainRequest,
): Promise<{ readonly events: readonly FeatureCause[]; readonly next: number | undefined }> {
  if (span === undefined) return { events: [], next: undefined }
  const [fromMs, toMs] = span
  const valueOf = (values: unknown): FeatureValue | undefined =>
    (values as KeyValues | undefined)?.[pair]?.[feature.name]
  const events: FeatureCause[] = []
  for (let from = after; ;) {
    const behind = from === undefined ? {} : { after: from }
    const page = await past.changes({ fold, key, to: at, limit: LOOKED_AT, ...behind })
    for (const change of page.changes) {
      const told = causeOf(change, valueOf)
      if (told === undefined || told.cause.atMs < fromMs || told.cause.atMs > toMs) continue
      events.push(told.cause)
      if (events.length === limit) return { events, next: told.offset }
    }
    if (page.next === undefined) return { events, next: undefined }
    from = page.next
  }
}

/** What a change was for the feature; undefined for the passing of time, and where it made no difference. */
function causeOf(
  change: Change,
  valueOf: (values: unknown) => FeatureValue | undefined,
): { readonly cause: FeatureCause; readonly offset: number } | undefined {
  if (change.kind === 'time') return undefined
  const { record } = change
  const before = valueOf(change.before)
  const after = valueOf(change.after)
  if (isDeepStrictEqual(before, after)) return undefined
  const { type, eventTimeMs: atMs, ingestTimeMs: arrivedMs, offset } = record
  return { cause: { id: eventIdOf(record), type, atMs, arrivedMs, before, after }, offset }
}
