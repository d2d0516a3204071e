/**
 * The profile of each person, and the re-keying of what they do: the fold reads the stream of people
 * once, keeps recent items, all items acted on and items turned down, and emits for each signal one
 * `item-signal` per partition of items, from which the statistics of items are folded.
 *
 * Effective time is the event's time, but not later than its arrival plus a minute: one event from a
 * wrong clock must not make an item the newest for ever. Both times are stored, so a rebuild sees
 * the same.
 */
import { createHash } from 'node:crypto'
import { partitionOf } from '@millrace/core'
import type { App, SignalDefinition } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import { STATISTICS_DEFAULTS } from '@millrace/recommend'
import {
  personFields,
  type Emission,
  type FoldDefinition,
  type FoldOutput,
} from '@millrace/streams'
import { itemKey, itemSpaceOf, type ItemSpace } from '../catalogue/index.ts'
import { productErrors } from '../errors.ts'
import {
  ITEM_SIGNAL,
  ITEM_SIGNALS,
  NumberedSignal,
  recommendationStreams,
  type ItemSignal,
} from './events.ts'
import { ProfileShard, type ActionContext } from './profile-shard.ts'

/** Name of the fold. */
export const PROFILE_FOLD = 'profile'

const FUTURE_MAX_MS = 60_000
/** A weight beyond this counts as this: no single event outweighs a hundred ordinary ones. */
const WEIGHT_MAX = 100

/** The fold from events of people to profiles and `item-signal` records. */
export function profileFold(app: App): FoldDefinition<ProfileShard> {
  const signals = app.options.signals ?? []
  const partitions =
    recommendationStreams(app).find(stream => stream.name === ITEM_SIGNALS)?.partitions ?? 1
  const space = itemSpaceOf(app)
  const byType = new Map<string, SignalDefinition[]>()
  for (const signal of signals) {
    const known = byType.get(signal.event.name)
    if (known === undefined) byType.set(signal.event.name, [signal])
    else known.push(signal)
  }
  return {
    name: PROFILE_FOLD,
    version: versionOf(signals),
    source: 'person',
    types: [...byType.keys()],
    people: personFields(signals.map(({ event }) => event)),
    targets: [ITEM_SIGNALS],
    onFailure: 'park',
    createShard: () => {
      const shard: ProfileShard = new ProfileShard(space, (record, output) =>
        foldSignals(work, record, output),
      )
      const work: Work = { shard, space, partitions, signals: byType }
      return shard
    },
  }
}

/** What the weights compute is a part of what the fold computes, and so of its version. */
function versionOf(signals: readonly SignalDefinition[]): string {
  const text = signals
    .map(
      signal => `${signal.event.name} ${signal.item} ${signal.itemKind} ${String(signal.weight)}`,
    )
    .join('\n')
  return `2-${STATISTICS_DEFAULTS.contextItems}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`
}

interface Work {
  readonly shard: ProfileShard
  readonly space: ItemSpace
  readonly partitions: number
  /** By type of event. */
  readonly signals: ReadonlyMap<string, readonly SignalDefinition[]>
}

function foldSignals(work: Work, record: LogRecord, output: FoldOutput): void {
  const { shard, space } = work
  const data = record.data as Readonly<Record<string, unknown>>
  const timeMs = Math.min(record.eventTimeMs, record.ingestTimeMs + FUTURE_MAX_MS)
  for (const signal of work.signals.get(record.type) ?? []) {
    const weight = Math.min(signal.weight(data as never), WEIGHT_MAX)
    if (!Number.isFinite(weight)) {
      throw productErrors.create('SIGNAL_INVALID', { type: record.type })
    }
    const person = shard.intern(record.key)
    const key = itemKey(signal.itemKind, data[signal.item] as string)
    const number = space.intern(key)
    if (weight <= 0) {
      shard.dislike(person, number, timeMs)
      continue
    }
    const item = { key: space.keyOf(number), number }
    const context = shard.context(person, item, STATISTICS_DEFAULTS.contextItems, timeMs)
    shard.act(person, number, weight, timeMs)
    emitSignal(work, { weight, ...context }, timeMs, output)
  }
}

function emitSignal(
  { partitions, space }: Work,
  signal: ActionContext & { readonly weight: number },
  timeMs: number,
  output: FoldOutput,
): void {
  const { keys, gaps, weight } = signal
  if (partitions === 1) {
    output.emit(emissionOf(keys, new NumberedSignal(space, signal), timeMs))
    return
  }
  const data: ItemSignal = { item: keys[0], weight, from: keys.slice(1), gaps }
  const byPartition = new Map<number, string[]>()
  for (const key of keys) {
    const partition = partitionOf(key, partitions)
    const own = byPartition.get(partition)
    if (own === undefined) byPartition.set(partition, [key])
    else own.push(key)
  }
  for (const own of byPartition.values()) output.emit(emissionOf(own, data, timeMs))
}

function emissionOf(keys: readonly string[], data: ItemSignal, eventTimeMs: number): Emission {
  const key = keys[0] as string
  return { stream: ITEM_SIGNALS, type: ITEM_SIGNAL, key, keys, eventTimeMs, data }
}
